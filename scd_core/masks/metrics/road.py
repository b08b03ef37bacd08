"""ROAD: remove pixels by importance, impute them from their neighbours, and see what the model still knows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from scd_core.masks.comparators.single_map import check_targets
from scd_core.masks.metrics.checks import check_images, check_maps, resize_maps
from scd_core.masks.metrics.scoring import pixel_ranks, target_probability
from scd_core.masks.preserve import Model

__all__ = ["Road", "linear_imputation", "road"]


@dataclass(frozen=True)
class Road:
    """Probabilities that remain after removal, averaged over the removed shares; each (N,) float64."""

    most_first: Tensor
    """Probability with the most important pixels removed; lower is better."""
    least_first: Tensor
    """Probability with the least important pixels removed; higher is better."""

    @property
    def score(self) -> Tensor:
        """``(least_first - most_first) / 2`` in [-0.5, 0.5]; higher is better, a random map scores 0."""
        return (self.least_first - self.most_first) / 2


def road(
    model: Model,
    images: Tensor,
    targets: Tensor,
    maps: Tensor,
    *,
    shares: Sequence[float] = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9),
    noise: float = 0.01,
    batch_size: int = 64,
    seed: int = 0,
) -> Road:
    """Probability of the target after removal with noisy linear imputation (Rong et al., ICML 2022).

    The imputation leaves little trace of *which* pixels were removed, so the curve shows what the removed pixels
    held and not what shape the hole had.

    Args:
        model: (B, C, H, W) -> (B, K) logits.
        images: (N, C, H, W), as the model takes them.
        targets: (N,) class indices.
        maps: (N, h, w); larger means more evidence. Equal values are removed in a seeded random order.
        shares: shares of the pixels that are removed, each in (0, 1).
        noise: standard deviation of the noise on imputed pixels (units of ``images``).
        batch_size: images through the model at once.
        seed: seed of the noise and of the order of equal values.

    Raises:
        ValueError: wrong shapes, values that are not finite, targets out of range, or a share outside (0, 1).

    Example:
        >>> from torch import nn
        >>> model = nn.Sequential(nn.Flatten(), nn.Linear(16, 2, bias=False))
        >>> _ = nn.init.zeros_(model[1].weight)
        >>> found = road(model, torch.rand(2, 1, 4, 4), torch.tensor([0, 1]), torch.rand(2, 4, 4), shares=[0.5])
        >>> found.most_first.tolist(), found.score.tolist()
        ([0.5, 0.5], [0.0, 0.0])
    """
    if not shares or not all(0.0 < share < 1.0 for share in shares):
        raise ValueError(f"shares: expected at least one, each between 0 and 1 exclusive, got {list(shares)}")
    maps = check_maps(maps).to(images.device)
    check_images(images, targets, maps)
    check_targets(model, images, targets)
    height, width = images.shape[2:]
    ranks = pixel_ranks(resize_maps(maps, (height, width)), seed).view(-1, 1, height, width)
    n_pixels = height * width
    generator = torch.Generator(device=images.device).manual_seed(seed)
    sums = {
        "most": torch.zeros(len(images), dtype=torch.float64),
        "least": torch.zeros(len(images), dtype=torch.float64),
    }
    for share in shares:
        count = round(share * n_pixels)
        for name, removed in (("most", ranks < count), ("least", ranks >= n_pixels - count)):
            for start in range(0, len(images), batch_size):
                part = slice(start, start + batch_size)
                filled = linear_imputation(images[part], removed[part])
                shaken = torch.randn(filled.shape, generator=generator, device=filled.device, dtype=filled.dtype)
                filled = torch.where(removed[part], filled + noise * shaken, filled)
                sums[name][part] += target_probability(model, filled, targets[part], batch_size)
    return Road(sums["most"] / len(shares), sums["least"] / len(shares))


def linear_imputation(images: Tensor, removed: Tensor, *, tolerance: float = 3e-3, max_steps: int = 1000) -> Tensor:
    r"""Fill removed pixels so that each is the weighted mean of its neighbours (Rong et al. 2022, section 5).

    .. math:: x_u = \sum_{v \sim u} w_{uv} x_v \big/ \sum_{v \sim u} w_{uv}

    with weight 1/6 for the four direct neighbours and 1/12 for the four diagonal ones, inside the picture. The
    equations of all pictures and channels are one batch of sparse symmetric systems, solved by conjugate gradients
    from a coarse-to-fine first guess.

    Args:
        images: (N, C, H, W).
        removed: (N, 1, H, W) bool, True where a pixel is to be filled.
        tolerance: largest residual over the right-hand side, per picture and channel; the default leaves an error of
            under a hundredth of the picture's standard deviation, less than the noise that ROAD adds.
        max_steps: most conjugate-gradient steps.

    Returns:
        (N, C, H, W), the kept pixels unchanged.

    Raises:
        ValueError: wrong shapes, or a picture of which no pixel is kept; the message names it.

    Example:
        >>> row = torch.tensor([0.0, 9.0, 2.0]).view(1, 1, 1, 3)
        >>> filled = linear_imputation(row, torch.tensor([False, True, False]).view(1, 1, 1, 3))
        >>> [round(value, 4) for value in filled.flatten().tolist()]
        [0.0, 1.0, 2.0]
    """
    if removed.shape != (len(images), 1, *images.shape[2:]) or removed.dtype != torch.bool:
        raise ValueError(
            f"removed: expected bool of shape {(len(images), 1, *images.shape[2:])}, got {removed.dtype} "
            f"{tuple(removed.shape)}"
        )
    hidden = removed.flatten(1).all(dim=1)
    if hidden.any():
        raise ValueError(
            f"image {int(hidden.nonzero()[0])}: every pixel is removed, so there is nothing to impute from"
        )
    with torch.no_grad():
        return _conjugate_gradient(images, removed, tolerance, max_steps)


def _conjugate_gradient(images: Tensor, removed: Tensor, tolerance: float, max_steps: int) -> Tensor:
    mask = removed.to(images.dtype)
    degree = _neighbours(torch.ones_like(mask[:1]))

    def laplacian(values: Tensor) -> Tensor:
        return mask * (degree * values - _neighbours(values))

    known = images * (1 - mask)
    right = mask * _neighbours(known)
    filled = mask * _push_pull(known, 1 - mask)
    residual = right - laplacian(filled)
    direction = residual.clone()
    power = residual.square().sum(dim=(2, 3), keepdim=True)
    goal = tolerance**2 * right.square().sum(dim=(2, 3), keepdim=True)
    for _ in range(max_steps):
        if not (power > goal).any():
            break
        product = laplacian(direction)
        curvature = (direction * product).sum(dim=(2, 3), keepdim=True)
        # A system that is solved already has no direction left; its step is 0 rather than 0/0.
        step = torch.where(curvature > 0, power / curvature, torch.zeros_like(power))
        filled = filled + step * direction
        residual = residual - step * product
        new_power = residual.square().sum(dim=(2, 3), keepdim=True)
        direction = residual + torch.where(power > 0, new_power / power, torch.zeros_like(power)) * direction
        power = new_power
    return known + filled


def _neighbours(values: Tensor) -> Tensor:
    """Sum over the eight neighbours inside the picture, 1/6 for direct and 1/12 for diagonal ones."""
    padded = functional.pad(values, (1, 1, 1, 1))
    vertical = padded[..., :-2, :] + padded[..., 2:, :]
    column = vertical + padded[..., 1:-1, :]
    around = column[..., :-2] + column[..., 2:] + vertical[..., 1:-1]
    direct = vertical[..., 1:-1] + padded[..., 1:-1, :-2] + padded[..., 1:-1, 2:]
    return (around + direct) / 12


def _push_pull(values: Tensor, weight: Tensor) -> Tensor:
    """Fill pixels of weight 0 from ever coarser averages of the others: a first guess right at low frequencies."""
    if bool((weight > 0).all()) or max(values.shape[2:]) == 1:
        return values
    pooled_weight = functional.avg_pool2d(weight, 2, ceil_mode=True, count_include_pad=False)
    pooled = functional.avg_pool2d(values * weight, 2, ceil_mode=True, count_include_pad=False)
    pooled = pooled / pooled_weight.clamp_min(1e-12)
    coarse = _push_pull(pooled, (pooled_weight > 0).to(values.dtype))
    size = (values.shape[2], values.shape[3])
    guess = functional.interpolate(coarse, size=size, mode="bilinear", align_corners=False)
    return torch.where(weight > 0, values, guess)
