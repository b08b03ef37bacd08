"""The result of a method that makes one map per image, in the form of the mask engine's."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from scd_core.masks.checks import bad_images, check_not_probabilities, check_request, check_same_again
from scd_core.masks.feature_layer import FeatureLayer, find_feature_layer
from scd_core.masks.infill import blend, make_infill
from scd_core.masks.preserve import Model, borrowed, run_model
from scd_core.masks.result import NO_GRADIENT, Masks

__all__ = ["INFILL_SIGMA", "check_inputs", "check_targets", "layer_maps", "masks_from_maps", "unit_range"]

INFILL_SIGMA = 10.0
"""Width of the blur with which a map's probabilities are taken (sigma, pixels at a shorter side of 224)."""


def check_inputs(model: Model, images: Tensor, targets: Tensor) -> None:
    """Refuse what no map can be made for, before any work is done.

    Raises:
        ValueError: wrong shapes or types, NaN or infinite images, a model with one class, or a target out of range.
    """
    check_request(images, targets, None, None, None)
    if broken := bad_images(images):
        raise ValueError(next(iter(broken.values())))
    if len(images) == 0:
        raise ValueError("images: expected at least one, got none")
    check_targets(model, images, targets)


def check_targets(model: Model, images: Tensor, targets: Tensor) -> None:
    """Refuse a target that the model has no logit for, and a model of chance; costs two images through the model.

    Args:
        model: (B, C, H, W) -> (B, K) logits.
        images: (N, C, H, W), of which the first is used.
        targets: (N,) integers.

    Raises:
        ValueError: the model gives no logits of K >= 2 classes, or others each time, or a target is out of range; the line
            names the image.
    """
    with borrowed(model):
        logits = run_model(model, images[:1].detach().requires_grad_())
        again = run_model(model, images[:1])
    check_not_probabilities(logits)
    check_same_again(logits.detach(), again.detach())
    outside = (targets < 0) | (targets >= logits.shape[1])
    if outside.any():
        index = int(outside.nonzero()[0])
        raise ValueError(
            f"targets: image {index}: expected a class from 0 to {logits.shape[1] - 1}, got {int(targets[index])}"
        )


def unit_range(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Maps (N, h, w) at (H, W), each scaled to [0, 1]; a map that is not positive anywhere becomes zero.

    Args:
        maps: (N, h, w), negative values count as 0.
        size: (H, W).
    """
    maps = maps.float().clamp_min(0.0)
    # Scaled before it is enlarged as well: gradients of a confident image may be too small to interpolate.
    maps = maps / maps.amax(dim=(1, 2), keepdim=True).clamp_min(torch.finfo(torch.float32).tiny)
    maps = functional.interpolate(maps[:, None], size=size, mode="bilinear", align_corners=False)[:, 0]
    peak = maps.amax(dim=(1, 2), keepdim=True)
    return torch.where(peak > 0, maps / peak.clamp_min(torch.finfo(torch.float32).tiny), torch.zeros_like(maps))


def masks_from_maps(
    model: Model,
    images: Tensor,
    targets: Tensor,
    maps: Tensor,
    *,
    evaluations: int,
    batch_size: int,
    failures: dict[int, str] | None = None,
) -> Masks:
    """One map per image as :class:`Masks`: the map is sufficient, destroying and joint region at once.

    The two probabilities are taken with the engine's blurred infill, which costs two more evaluations per image.

    Args:
        model: (B, 3, H, W) -> (B, K) logits.
        images: (N, 3, H, W).
        targets: (N,) int64.
        maps: (N, H, W) float32 in [0, 1].
        evaluations: images that went through the model for each map.
        batch_size: images through the model at once.
        failures: image index -> why it has no map.
    """
    failures = failures or {}
    probabilities: list[list[Tensor]] = [[], []]
    with borrowed(model), torch.no_grad():
        for start in range(0, len(images), batch_size):
            part = images[start : start + batch_size]
            seeds = torch.zeros(len(part), dtype=torch.int64, device=images.device)
            infill = make_infill(part, "blur", INFILL_SIGMA, seeds)
            keep = maps[start : start + batch_size].to(part)
            chosen = targets[start : start + batch_size, None].to(images.device)
            for values, kept in zip(probabilities, (keep, 1 - keep)):
                logits = run_model(model, blend(part, kept, infill))
                values.append(logits.float().softmax(dim=1).gather(1, chosen)[:, 0])
    ones = torch.ones(len(images), dtype=torch.int64, device=images.device)
    is_failed = torch.tensor([index in failures for index in range(len(images))], device=images.device)
    found = [torch.cat(values).masked_fill(is_failed, torch.nan) for values in probabilities]
    return Masks(
        sufficient=maps,
        destroying=maps,
        joint=maps,
        ssr_probability=found[0],
        sdr_probability=found[1],
        area=maps.mean(dim=(1, 2)),
        iterations=0 * ones,
        converged=~is_failed,
        evaluations=(evaluations + 2) * ones,
        seeds=0 * ones,
        failures=failures,
    )


def layer_maps(
    model: nn.Module,
    images: Tensor,
    targets: Tensor,
    signals: Callable[[FeatureLayer, Tensor, Tensor], tuple[Tensor, Tensor]],
    maps_of: Callable[[Tensor, Tensor], Tensor],
    *,
    layer: str | None,
    batch_size: int,
    evaluations: int,
) -> Masks:
    """Run a method that reads one layer over all images, in batches, on a borrowed model.

    Args:
        model: (B, 3, H, W) -> (B, K) logits.
        images: (N, 3, H, W).
        targets: (N,) int64.
        signals: (layer, images (B, 3, H, W), targets (B,)) -> activations and gradients, (B, C, h, w) each. An image whose
            gradients are all zero has no map and is in ``failures``.
        maps_of: (activations, gradients) -> maps (B, h, w); negative values count as 0.
        layer: name of the layer, or None to find it.
        batch_size: images through the model at once.
        evaluations: images that go through the model for one map.

    Raises:
        ValueError: as the methods.
    """
    check_inputs(model, images, targets)
    targets = targets.to(images.device)
    size = (images.shape[2], images.shape[3])
    found_maps = []
    failures: dict[int, str] = {}
    with borrowed(model):
        found = find_feature_layer(model, images[0], layer)
        for start in range(0, len(images), batch_size):
            part = slice(start, start + batch_size)
            activations, gradients = signals(found, images[part], targets[part])
            is_blind = ~gradients.flatten(1).any(1)
            maps = maps_of(activations, gradients).masked_fill(is_blind[:, None, None], 0)
            found_maps.append(unit_range(maps, size))
            for index in is_blind.nonzero().flatten().tolist():
                failures[start + index] = f"model: image {start + index}: {NO_GRADIENT}"
    return masks_from_maps(
        model,
        images,
        targets,
        torch.cat(found_maps),
        evaluations=evaluations,
        batch_size=batch_size,
        failures=failures,
    )
