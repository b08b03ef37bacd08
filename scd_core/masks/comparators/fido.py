"""FIDO: the original perturbation masks by concrete dropout, as published before their simplification."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from scd_core.masks.comparators.single_map import INFILL_SIGMA, check_inputs
from scd_core.masks.concrete import keep_probability, original_concrete
from scd_core.masks.infill import blend, make_infill
from scd_core.masks.log_odds import log_odds
from scd_core.masks.noise import uniform_field
from scd_core.masks.preserve import Model, borrowed, run_model
from scd_core.masks.resample import bilinear_matrix, resample, total_variation
from scd_core.masks.result import NO_GRADIENT, Masks

__all__ = ["fido"]


def fido(
    model: Model,
    images: Tensor,
    targets: Tensor,
    *,
    seeds: Tensor | None = None,
    infill: str = "blur",
    steps: int = 300,
    samples: int = 8,
    mask_size: int = 56,
    temperature: float = 0.1,
    learning_rate: float = 0.05,
    area_weight: float = 1e-3,
    variation_weight: float = 1e-2,
    batch_size: int = 64,
) -> Masks:
    r"""Fill-In of the DropOut rates (Chang et al., ICLR 2019, arXiv 1807.08024).

    For each image two maps of keep-probabilities :math:`p = \sigma(k)` of 56 x 56 cells are optimised apart, by
    Adam with a linearly decayed step, on samples of the *original* concrete dropout at t = 0.1 (through p and its
    clamped logs), enlarged bilinearly:

    .. math:: \mathrm{SSR}: \min_k\; -E_z\, s_c\bigl(z x + (1-z)\hat x\bigr) + \lambda_1 \lVert p \rVert_1
              + \lambda_{tv} TV(p)

    .. math:: \mathrm{SDR}: \min_k\; +E_z\, s_c\bigl((1-z) x + z \hat x\bigr) + \lambda_1 \lVert p \rVert_1
              + \lambda_{tv} TV(p)

    with the log-odds :math:`s_c` and, in both, p = 1 for evidence: the map of the smallest sufficient region, and of
    the smallest destroying region. Both costs are sums over the map's own cells, so they keep their weight when the
    picture is larger. Differences from the published setting: the infill is not a trained generator.

    Args:
        model: (B, 3, H, W) -> (B, K) logits; comes back as it was given.
        images: (N, 3, H, W), normalised.
        targets: (N,) int64.
        seeds: (N,) int64, one per image; None gives every image 0. The mask of an image depends on no other image.
        infill: ``blur``, ``mean``, ``noise`` or ``local_mean``.
        steps: optimisation steps.
        samples: samples per map and step.
        mask_size: cells along the shorter side.
        temperature: t of the relaxation.
        learning_rate: Adam's step size at the start (logits); falls linearly to 0.
        area_weight: lambda_1, log-odds per cell.
        variation_weight: lambda_tv, log-odds per edge of a cell.
        batch_size: masked images through the model at once; at least ``2 * samples`` are.

    Returns:
        Masks; ``joint`` is ``sqrt(sufficient * destroying)``. ``evaluations`` is ``2 * samples * steps + 2``.

    Raises:
        ValueError: wrong shapes or values, a target out of range, or a setting that is not positive.

    Example:
        >>> from torch import nn
        >>> model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 2))
        >>> masks = fido(model, torch.rand(1, 3, 8, 8), torch.tensor([0]), steps=2, samples=1, mask_size=4)
        >>> masks.joint.shape, masks.evaluations.tolist()
        (torch.Size([1, 8, 8]), [6])
    """
    for name, value in {"steps": steps, "samples": samples, "mask_size": mask_size, "temperature": temperature}.items():
        if not value > 0:
            raise ValueError(f"{name}: expected a positive number, got {value}")
    check_inputs(model, images, targets)
    device = images.device
    targets = targets.to(device)
    seeds = torch.zeros(len(images), dtype=torch.int64) if seeds is None else seeds
    if seeds.shape != targets.shape or seeds.is_floating_point():
        raise ValueError(f"seeds: expected integers of shape {tuple(targets.shape)}, got {tuple(seeds.shape)}")
    seeds = seeds.to(device)
    height, width = images.shape[2:]
    short = min(height, width)
    cells = min(mask_size, short)
    grid = (round(height * cells / short), round(width * cells / short))
    rows, columns = (bilinear_matrix(size, count).to(images) for size, count in zip((height, width), grid))
    at_once = max(1, batch_size // (2 * samples))
    fit = _Fit(steps, samples, grid, temperature, learning_rate, area_weight, variation_weight)
    found = []
    with borrowed(model):
        for start in range(0, len(images), at_once):
            part = slice(start, start + at_once)
            replacement = make_infill(images[part], infill, INFILL_SIGMA, seeds[part])
            found.append(fit.maps(model, images[part], replacement, targets[part], seeds[part], (rows, columns)))
    maps, probability, felt = (torch.cat(parts) for parts in zip(*found))
    blind = (~felt).nonzero().flatten().tolist()
    maps[blind], probability[blind] = 0, torch.nan
    joint = (maps[:, 0] * maps[:, 1]).sqrt()
    ones = torch.ones(len(images), dtype=torch.int64, device=device)
    return Masks(
        sufficient=maps[:, 0],
        destroying=maps[:, 1],
        joint=joint,
        ssr_probability=probability[:, 0],
        sdr_probability=probability[:, 1],
        area=joint.mean(dim=(1, 2)),
        iterations=steps * ones,
        converged=torch.zeros_like(ones, dtype=torch.bool),
        evaluations=(2 * samples * steps + 2) * ones,
        seeds=seeds,
        failures={index: f"model: image {index}: {NO_GRADIENT}" for index in blind},
    )


@dataclass(frozen=True)
class _Fit:
    """Settings of a fit, named as :func:`fido` names them."""

    steps: int
    samples: int
    grid: tuple[int, int]
    temperature: float
    learning_rate: float
    area_weight: float
    variation_weight: float

    def maps(
        self,
        model: Model,
        images: Tensor,
        replacement: Tensor,
        targets: Tensor,
        seeds: Tensor,
        enlarge: tuple[Tensor, Tensor],
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Maps (B, 2, H, W) of the smallest sufficient and the smallest destroying region, p(target) of both (B, 2), and
        whether the score has a gradient at the first or the last step (B,)."""
        logits = torch.zeros(len(targets), 2, *self.grid, device=images.device, dtype=images.dtype, requires_grad=True)
        optimiser = torch.optim.Adam([logits], lr=self.learning_rate)
        schedule = torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, 0.0, total_iters=self.steps)
        felt = torch.zeros(len(targets), dtype=torch.bool, device=images.device)
        for step in range(self.steps):
            number = torch.full_like(seeds, step)
            uniform = uniform_field(seeds, number, (2, self.samples, *self.grid)).to(images)
            sampled = resample(original_concrete(logits[:, :, None], uniform, self.temperature), *enlarge)
            keep = torch.stack((sampled[:, 0], 1 - sampled[:, 1]), dim=1)
            scores = _scores(model, images, replacement, keep, targets)
            probability = keep_probability(logits)
            cost = self.area_weight * probability.sum() + self.variation_weight * total_variation(probability).sum()
            # The images' losses are summed, and Adam is element-wise: none of them feels another.
            score = (scores[:, 1] - scores[:, 0]).mean(dim=1).sum()
            if step in (0, self.steps - 1):
                felt |= torch.autograd.grad(score, logits, retain_graph=True)[0].flatten(1).any(1)
            loss = score + cost
            (logits.grad,) = torch.autograd.grad(loss, logits)
            optimiser.step()
            schedule.step()
        with torch.no_grad():
            final = resample(keep_probability(logits), *enlarge).clamp(0, 1)
            keep = torch.stack((final[:, 0], 1 - final[:, 1]), dim=1)[:, :, None]
            scores = _scores(model, images, replacement, keep, targets)
        return final.float(), scores[:, :, 0].float().sigmoid(), felt


def _scores(model: Model, images: Tensor, replacement: Tensor, keep: Tensor, targets: Tensor) -> Tensor:
    """Log-odds (B, 2, S) of blends with keep-maps (B, 2, S, H, W)."""
    count = keep.shape[1] * keep.shape[2]
    blends = blend(
        images.repeat_interleave(count, dim=0), keep.flatten(0, 2), replacement.repeat_interleave(count, dim=0)
    )
    return log_odds(run_model(model, blends), targets.repeat_interleave(count)).view(keep.shape[:3])
