"""A map against a region known to matter: average precision, share of energy, pointing."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from scd_core.masks.metrics.checks import check_maps, check_regions, resize_maps

__all__ = ["average_precision", "energy_in_region", "pointing_hit"]


def average_precision(maps: Tensor, regions: Tensor) -> Tensor:
    r"""Average precision of each map as a ranking of its pixels by membership in the region.

    .. math:: \mathrm{AP} = \sum_k (R_k - R_{k-1}) P_k

    over the distinct values of the map from the largest down, where :math:`P_k` and :math:`R_k` are precision and
    recall of the pixels at or above the k-th value. Equal values enter together, so a constant map scores the
    region's share of the picture and no more.

    Args:
        maps: (N, h, w); larger means more evidence. Resized bilinearly to the regions.
        regions: (N, H, W), non-zero inside.

    Returns:
        (N,) float64 in (0, 1].

    Raises:
        ValueError: wrong shapes, a map that is not finite, or an empty region.

    Example:
        >>> maps = torch.tensor([[[0.9, 0.2], [0.8, 0.1]]])
        >>> average_precision(maps, torch.tensor([[[1, 0], [1, 0]]])).item()
        1.0
        >>> average_precision(torch.ones(1, 2, 2), torch.tensor([[[1, 0], [0, 0]]])).item()
        0.25
    """
    maps = check_maps(maps)
    regions = check_regions(regions, maps)
    values, order = resize_maps(maps, _size(regions)).flatten(1).sort(dim=1, descending=True)
    inside = regions.flatten(1).gather(1, order).double()
    found = inside.cumsum(dim=1)
    precision = found / torch.arange(1, values.shape[1] + 1, device=values.device, dtype=torch.float64)
    # Only the last pixel of a run of equal values is a threshold; it takes the gain in recall of the whole run.
    last = torch.ones_like(values, dtype=torch.bool)
    last[:, :-1] = values[:, :-1] != values[:, 1:]
    before = torch.where(last, found, torch.zeros_like(found)).cummax(dim=1).values.roll(1, dims=1)
    before[:, 0] = 0.0
    gain = torch.where(last, found - before, torch.zeros_like(found))
    return (gain * precision).sum(dim=1) / found[:, -1]


def energy_in_region(maps: Tensor, regions: Tensor) -> Tensor:
    r"""Share of each map's mass that lies in the region (the energy-based pointing game, Wang et al. 2020, Score-CAM).

    .. math:: \sum_{u \in R} m_u \big/ \sum_u m_u

    Args:
        maps: (N, h, w), not negative. Resized bilinearly to the regions.
        regions: (N, H, W), non-zero inside.

    Returns:
        (N,) float64 in [0, 1]; 0 where the map is zero everywhere. A constant map gives the region's share of the
        picture, so compare with that.

    Raises:
        ValueError: wrong shapes, a map that is negative or not finite, or an empty region.

    Example:
        >>> energy_in_region(torch.tensor([[[3.0, 1.0]]]), torch.tensor([[[1, 0]]])).item()
        0.75
    """
    maps = check_maps(maps)
    negative = (maps < 0).flatten(1).any(dim=1)
    if negative.any():
        raise ValueError(f"map of image {int(negative.nonzero()[0])} is negative somewhere; its energy has no meaning")
    regions = check_regions(regions, maps)
    maps = resize_maps(maps, _size(regions)).double()
    total = maps.sum(dim=(1, 2))
    inside = (maps * regions).sum(dim=(1, 2))
    return torch.where(total > 0, inside / total.clamp_min(torch.finfo(torch.float64).tiny), torch.zeros_like(total))


def pointing_hit(maps: Tensor, regions: Tensor, tolerance: float = 15.0) -> Tensor:
    """Whether each map's peak lies in the region or within ``tolerance`` of it (Zhang et al. 2018, pointing game).

    Where several pixels share the maximum, as on the plateau of a saturated mask, the peak is the one of them with
    the most mass around it (Gaussian weights, sigma an eighth of the shorter side). A map that is constant points
    nowhere and never hits.

    Args:
        maps: (N, h, w). Resized bilinearly to the regions.
        regions: (N, H, W), non-zero inside.
        tolerance: distance from the region that still counts (pixels of the regions, Euclidean).

    Returns:
        (N,) bool.

    Raises:
        ValueError: wrong shapes, a map that is not finite, an empty region, or a negative tolerance.

    Example:
        >>> region = torch.zeros(1, 8, 8)
        >>> region[0, 2, 2] = 1
        >>> peak = torch.zeros(1, 8, 8)
        >>> peak[0, 2, 5] = 1
        >>> [pointing_hit(peak, region, tolerance).item() for tolerance in (2, 3)]
        [False, True]
        >>> pointing_hit(torch.ones(1, 8, 8), torch.ones(1, 8, 8)).item()
        False
    """
    if not tolerance >= 0:
        raise ValueError(f"tolerance: expected at least 0 pixels, got {tolerance}")
    maps = check_maps(maps)
    regions = check_regions(regions, maps)
    height, width = _size(regions)
    maps = resize_maps(maps, (height, width))
    low, high = maps.flatten(1).aminmax(dim=1)
    # Interpolation and float32 leave a constant map constant only to rounding.
    is_flat = high - low <= 1e-6 * high.abs().clamp_min(low.abs())
    is_peak = maps >= (high - 1e-6 * (high - low))[:, None, None]
    around = _blur(maps - low[:, None, None], min(height, width) / 8)
    index = around.masked_fill(~is_peak, -math.inf).flatten(1).argmax(dim=1)
    row, column = index // width, index % width
    rows = torch.arange(height, device=maps.device)[None, :, None] - row[:, None, None]
    columns = torch.arange(width, device=maps.device)[None, None, :] - column[:, None, None]
    is_near = rows**2 + columns**2 <= tolerance**2
    return (is_near & regions).flatten(1).any(dim=1) & ~is_flat


def _size(regions: Tensor) -> tuple[int, int]:
    return regions.shape[1], regions.shape[2]


def _blur(maps: Tensor, sigma: float) -> Tensor:
    """Gaussian sums of (N, H, W) maps that are zero outside the picture."""
    radius = math.ceil(3 * sigma)
    offsets = torch.arange(-radius, radius + 1, device=maps.device, dtype=maps.dtype)
    kernel = torch.exp(-0.5 * (offsets / sigma) ** 2)
    blurred = functional.conv2d(maps[:, None], kernel[None, None, :, None], padding=(radius, 0))
    return functional.conv2d(blurred, kernel[None, None, None, :], padding=(0, radius))[:, 0]
