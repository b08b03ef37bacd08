"""How rough a map is."""

from __future__ import annotations

from torch import Tensor

from scd_core.masks.metrics.checks import check_maps, resize_maps
from scd_core.masks.resample import total_variation as edges

__all__ = ["total_variation"]


def total_variation(maps: Tensor, size: tuple[int, int] | None = None) -> Tensor:
    r"""Anisotropic total variation of each map per pixel.

    .. math:: \frac{1}{HW} \sum_{i,j} |m_{i+1,j} - m_{i,j}| + |m_{i,j+1} - m_{i,j}|

    Maps of different resolution are comparable only at one size, so give the picture's.

    Args:
        maps: (N, h, w).
        size: (H, W) to which the maps are resized bilinearly first; None takes them as they are.

    Returns:
        (N,) float64, at least 0.

    Raises:
        ValueError: wrong shape, or a map that is not finite.

    Example:
        >>> import torch
        >>> total_variation(torch.tensor([[[0.0, 1.0], [0.0, 1.0]]])).item()
        0.5
    """
    maps = check_maps(maps)
    if size is not None:
        maps = resize_maps(maps, size)
    return edges(maps.double()) / (maps.shape[1] * maps.shape[2])
