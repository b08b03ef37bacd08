"""Whether a map depends on the class it is made for."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from scd_core.masks.metrics.checks import check_maps, resize_maps
from scd_core.masks.preserve import Model, borrowed, run_model

__all__ = ["class_sensitivity", "rank_correlation"]


def rank_correlation(first: Tensor, second: Tensor) -> Tensor:
    """Spearman's rank correlation between two maps of each image; equal values share their mean rank.

    Args:
        first: (N, h, w).
        second: (N, h, w), resized bilinearly to the first.

    Returns:
        (N,) float64 in [-1, 1]. Where a map is constant it ranks nothing: 0 if the other one is not, and 1 if both
        are, for then the two maps do not differ.

    Raises:
        ValueError: wrong shapes, or a map that is not finite.

    Example:
        >>> first = torch.tensor([[[1.0, 2.0, 3.0]]])
        >>> [round(rank_correlation(first, second).item(), 6) for second in (first.exp(), -first)]
        [1.0, -1.0]
    """
    first, second = check_maps(first), check_maps(second)
    if len(first) != len(second):
        raise ValueError(f"maps: expected the same number of images, got {len(first)} and {len(second)}")
    second = resize_maps(second, (first.shape[1], first.shape[2]))
    ranks = [_centred_ranks(maps.flatten(1)) for maps in (first, second)]
    norms = [rank.norm(dim=1) for rank in ranks]
    product = (ranks[0] * ranks[1]).sum(dim=1)
    correlation = product / (norms[0] * norms[1]).clamp_min(torch.finfo(torch.float64).tiny)
    both_flat = (norms[0] == 0) & (norms[1] == 0)
    return torch.where(both_flat, torch.ones_like(correlation), correlation.clamp(-1.0, 1.0))


def class_sensitivity(model: Model, images: Tensor, method: Callable[[Model, Tensor, Tensor], Tensor]) -> Tensor:
    """Rank correlation between the maps of the most and the least probable class (Rebuffi et al. 2020, section 4.3).

    Near 1 the method shows the same picture for every class, so it shows little of the class; near or below 0
    it depends on the class.

    Args:
        model: (B, C, H, W) -> (B, K) logits.
        images: (N, C, H, W).
        method: ``method(model, images, targets)`` -> maps (N, h, w).

    Returns:
        (N,) float64 in [-1, 1].

    Raises:
        ValueError: what ``method`` returns is no map for each image.

    Example:
        >>> from torch import nn
        >>> model = nn.Sequential(nn.Flatten(), nn.Linear(12, 2))
        >>> blind = class_sensitivity(model, torch.rand(1, 3, 2, 2), lambda model, images, targets: images[:, 0])
        >>> round(blind.item(), 6)
        1.0
    """
    with borrowed(model), torch.no_grad():
        logits = run_model(model, images)
    best = method(model, images, logits.argmax(dim=1))
    worst = method(model, images, logits.argmin(dim=1))
    return rank_correlation(best, worst)


def _centred_ranks(values: Tensor) -> Tensor:
    """Mean ranks of each row of (N, P) values, less their mean."""
    ordered, order = values.sort(dim=1)
    positions = torch.arange(values.shape[1], device=values.device, dtype=torch.float64).expand(values.shape)
    is_start = torch.ones_like(ordered, dtype=torch.bool)
    is_start[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    run = is_start.cumsum(dim=1) - 1
    zeros = torch.zeros_like(positions)
    sums = zeros.scatter_add(1, run, positions)
    counts = zeros.scatter_add(1, run, torch.ones_like(positions))
    mean_rank = (sums / counts.clamp_min(1.0)).gather(1, run)
    ranks = zeros.scatter(1, order, mean_rank)
    return ranks - (values.shape[1] - 1) / 2.0
