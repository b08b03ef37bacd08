"""Deletion and insertion: how fast the target's probability falls, or comes back, in the order of the map."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from scd_core.masks.comparators.single_map import INFILL_SIGMA, check_targets
from scd_core.masks.infill import make_infill
from scd_core.masks.metrics.checks import check_images, check_maps, resize_maps
from scd_core.masks.metrics.scoring import pixel_ranks, target_probability
from scd_core.masks.preserve import Model

__all__ = ["DeletionInsertion", "deletion_insertion"]


@dataclass(frozen=True)
class DeletionInsertion:
    """Areas under the two curves and the curves themselves."""

    deletion: Tensor
    """(N,) float64: mean probability while the evidence is removed, most important first; lower is better."""
    insertion: Tensor
    """(N,) float64: mean probability while the evidence is put back, most important first; higher is better."""
    deletion_curve: Tensor
    """(N, steps + 1) float64: probability with k/steps of the pixels removed."""
    insertion_curve: Tensor
    """(N, steps + 1) float64: probability with k/steps of the pixels put back."""


def deletion_insertion(
    model: Model,
    images: Tensor,
    targets: Tensor,
    maps: Tensor,
    *,
    substrate: Tensor | str = "blur",
    steps: int = 32,
    batch_size: int = 64,
    seed: int = 0,
) -> DeletionInsertion:
    r"""Areas under the deletion and insertion curves (Petsiuk et al., BMVC 2018).

    Pixels change between the image and the substrate in ``steps`` equal portions, most important first. Each area is
    the trapezoid rule over the share of changed pixels, so it is a mean probability. Two results compare only with
    the same substrate and steps.

    Args:
        model: (B, C, H, W) -> (B, K) logits.
        images: (N, C, H, W), as the model takes them.
        targets: (N,) class indices.
        maps: (N, h, w); larger means more evidence. Resized bilinearly; equal values change in a seeded random order.
        substrate: what removed pixels show: an infill by name (``blur``, ``mean``, ``noise``, ``local_mean``), or a
            tensor that broadcasts to the images. The blur is that of the masks' own infill.
        steps: portions.
        batch_size: images through the model at once; memory does not grow beyond it.
        seed: seed of the order of equal values, and of the infill where it is random.

    Raises:
        ValueError: wrong shapes, values that are not finite, targets out of range, or fewer than one step.

    Example:
        >>> from torch import nn
        >>> class First(nn.Module):
        ...     def forward(self, images):
        ...         return torch.stack([images[:, 0, 0, 0], -images[:, 0, 0, 0]], dim=1) * 50
        >>> image, map_ = torch.ones(1, 1, 1, 4), torch.tensor([[[0.9, 0.3, 0.2, 0.1]]])
        >>> found = deletion_insertion(First(), image, torch.tensor([0]), map_, substrate=-image, steps=4)
        >>> found.deletion_curve.round(decimals=6).tolist()
        [[1.0, 0.0, 0.0, 0.0, 0.0]]
        >>> found.deletion.item(), found.insertion.item()
        (0.125, 0.875)
    """
    if steps < 1:
        raise ValueError(f"steps: expected at least 1, got {steps}")
    maps = check_maps(maps).to(images.device)
    check_images(images, targets, maps)
    check_targets(model, images, targets)
    height, width = images.shape[2:]
    n_pixels = height * width
    ranks = pixel_ranks(resize_maps(maps, (height, width)), seed).view(-1, 1, height, width)
    background = _substrate(images, substrate, seed)
    counts = torch.tensor([round(step * n_pixels / steps) for step in range(steps + 1)], device=images.device)
    curves = []
    for original, replacement in ((images, background), (background, images)):
        values = []
        for start in range(0, len(images) * len(counts), batch_size):
            index = torch.arange(start, min(start + batch_size, len(images) * len(counts)), device=images.device)
            image, step = index // len(counts), index % len(counts)
            is_changed = ranks[image] < counts[step].view(-1, 1, 1, 1)
            mixed = torch.where(is_changed, replacement[image], original[image])
            values.append(target_probability(model, mixed, targets.to(images.device)[image], batch_size))
        curves.append(torch.cat(values).view(len(images), len(counts)))
    areas = [torch.trapezoid(curve, dx=1.0 / steps, dim=1) for curve in curves]
    return DeletionInsertion(areas[0], areas[1], curves[0], curves[1])


def _substrate(images: Tensor, substrate: Tensor | str, seed: int) -> Tensor:
    if isinstance(substrate, str):
        seeds = torch.arange(len(images), device=images.device) + seed
        return make_infill(images, substrate, INFILL_SIGMA, seeds)
    try:
        return substrate.to(images).expand_as(images)
    except RuntimeError as error:
        raise ValueError(f"substrate: {tuple(substrate.shape)} does not broadcast to {tuple(images.shape)}") from error
