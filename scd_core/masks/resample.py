"""Linear maps between grids: bilinear upsampling and Gaussian smoothing as small matrices, one per axis."""

from __future__ import annotations

import torch

__all__ = ["bilinear_matrix", "box_matrix", "gaussian_matrix", "resample", "total_variation"]


def bilinear_matrix(size: int, cells: int) -> torch.Tensor:
    """Matrix that upsamples `cells` values to `size` bilinearly, cell centres as in ``align_corners=False``.

    Args:
        size: rows, pixels of the fine axis.
        cells: columns, cells of the coarse axis.

    Returns:
        (size, cells) float64; rows sum to 1.
    """
    position = ((torch.arange(size, dtype=torch.float64) + 0.5) * cells / size - 0.5).clamp(0, cells - 1)
    return (1 - (position[:, None] - torch.arange(cells)).abs()).clamp(min=0)


def gaussian_matrix(size: int, sigma: float) -> torch.Tensor:
    """Matrix that blurs an axis with a Gaussian, renormalised where it leaves the frame.

    Args:
        size: pixels of the axis.
        sigma: standard deviation (pixels); 0 gives the identity.

    Returns:
        (size, size) float64; rows sum to 1.
    """
    if sigma <= 0:
        return torch.eye(size, dtype=torch.float64)
    position = torch.arange(size, dtype=torch.float64)
    weight = torch.exp(-0.5 * ((position[:, None] - position) / sigma) ** 2)
    return weight / weight.sum(1, keepdim=True)


def box_matrix(size: int, radius: int) -> torch.Tensor:
    """Matrix that averages an axis over the 2 * radius + 1 nearest pixels that lie in the frame.

    Args:
        size: pixels of the axis.
        radius: half of the window (pixels).

    Returns:
        (size, size) float64; rows sum to 1.
    """
    position = torch.arange(size)
    weight = ((position[:, None] - position).abs() <= radius).to(torch.float64)
    return weight / weight.sum(1, keepdim=True)


def resample(values: torch.Tensor, rows: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
    """Apply one matrix per axis: ``rows @ values @ columns.T``.

    Args:
        values: (..., h, w).
        rows: (H, h).
        columns: (W, w).

    Returns:
        (..., H, W).
    """
    return rows @ (values @ columns.mT)


def total_variation(values: torch.Tensor, step: tuple[float, float] = (1.0, 1.0)) -> torch.Tensor:
    """Anisotropic total variation: the sum of absolute differences between neighbours.

    Args:
        values: (..., h, w).
        step: pixels a cell spans (vertical, horizontal). A jump between two cells is an edge as long as a cell is
            wide, so with the true step the value of a map does not depend on the resolution it is stored in.

    Returns:
        (...) sum over the map, in units of pixel edges.
    """
    vertical = values.diff(dim=-2).abs().sum((-2, -1)) * step[1]
    horizontal = values.diff(dim=-1).abs().sum((-2, -1)) * step[0]
    return vertical + horizontal
