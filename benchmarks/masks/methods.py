"""The methods that are compared, each as one call with the same arguments."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any

import torch
from torch import Tensor, nn

from scd_core.masks import Masks, SCDConfig, cf_cam, fido, fit_masks, grad_cam, norm_grad
from scd_core.masks.comparators.single_map import masks_from_maps, unit_range
from scd_core.masks.noise import uniform_field

__all__ = ["EXPENSIVE", "METHODS", "QUICK", "join_masks"]

Method = Callable[[nn.Module, Tensor, Tensor, Tensor], Masks]
"""(model, images (N, 3, H, W), targets (N,), seeds (N,)) -> masks."""


def _chance(model: nn.Module, images: Tensor, targets: Tensor, seeds: Tensor) -> Masks:
    """Smooth noise that knows nothing of model or image: what a metric gives for it is its zero."""
    noise = uniform_field(seeds, torch.zeros_like(seeds), (7, 7)).to(images.device)
    size = (images.shape[2], images.shape[3])
    return masks_from_maps(model, images, targets, unit_range(noise, size), evaluations=0, batch_size=32)


METHODS: dict[str, Method] = {
    "default": lambda model, images, targets, seeds: fit_masks(model, images, targets, SCDConfig(), seeds),
    "reference": lambda model, images, targets, seeds: fit_masks(model, images, targets, SCDConfig.reference(), seeds),
    "fido": lambda model, images, targets, seeds: fido(model, images, targets, seeds=seeds),
    "grad_cam": lambda model, images, targets, seeds: grad_cam(model, images, targets),
    "norm_grad": lambda model, images, targets, seeds: norm_grad(model, images, targets),
    "norm_grad_selective": lambda model, images, targets, seeds: norm_grad(model, images, targets, selective=True),
    "cf_cam": lambda model, images, targets, seeds: cf_cam(model, images, targets),
    "cf_cam_linear": lambda model, images, targets, seeds: cf_cam(model, images, targets, weighting="linear"),
    "chance": _chance,
}
"""Name -> method; ``reference`` is the published setting of the simplified concrete dropout."""

EXPENSIVE = ("reference", "fido")
"""Methods of a thousand evaluations and more an image."""
QUICK = ("default", "reference", "grad_cam", "norm_grad", "cf_cam", "chance")
"""Methods of a quick run where none is named."""


def join_masks(parts: Sequence[Masks]) -> Masks:
    """Masks of several calls in one, in order; parts in which an image failed are refused.

    Raises:
        ValueError: an image has no mask.
    """
    for part in parts:
        if part.failures:
            raise ValueError(next(iter(part.failures.values())))
    values: dict[str, Any] = {
        item.name: torch.cat([getattr(part, item.name) for part in parts])
        for item in fields(Masks)
        if item.name != "failures"
    }
    return Masks(**values)
