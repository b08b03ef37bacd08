"""The claim of simplified concrete dropout: variance of its gradient, and the masks it gives, by form, t and samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from benchmarks.common import Report, options, resolve_device
from benchmarks.masks.data import Frames, scene_frames
from benchmarks.masks.methods import join_masks
from scd_core.masks import fit_masks
from scd_core.masks.comparators.single_map import INFILL_SIGMA
from scd_core.masks.concrete import original_concrete, simplified_concrete
from scd_core.masks.infill import blend, make_infill
from scd_core.masks.log_odds import log_odds
from scd_core.masks.metrics import average_precision, deletion_insertion
from scd_core.masks.noise import paired_uniform
from scd_core.masks.preserve import borrowed
from scd_core.masks.resample import bilinear_matrix, resample
from scd_core.masks.settings import SCDConfig

__all__ = ["gradient_statistics", "main"]

FORMS = {"simplified": simplified_concrete, "original": original_concrete}
TEMPERATURES = (0.1, 0.5, 1.0)
SAMPLES = (1, 2, 4, 8, 16, 32)
REPEATS = 24
"""Estimates of one gradient, of which the variance is taken."""
SPREAD = 4.0
"""Map logits at which gradients are taken are normal with this standard deviation: a map half-way through its fit."""
SETTLED = 20.0
"""Standard deviation of the logits of a map that has been optimised at the reference's step size of 10."""
CELLS = 14
"""Cells along the shorter side of the map, in both tables."""

COLUMNS = (
    "form", "temperature", "samples", "antithetic", "relative_variance", "dead_share", "ap_marks", "deletion",
    "insertion",
)  # fmt: skip

_NOTES = {
    "relative_variance": "trace of the variance of the gradient estimate over the squared norm of its mean, by map logit",
    "dead_share": "share of the cells of a settled map (logits of standard deviation 20) to which no sample gives a "
    "gradient in float32: what is dead stays as it is",
    "ap_marks, deletion, insertion": "of the joint map fitted with this form, temperature and number of samples, "
    "all else as the reference setting but for the map's resolution and the number of steps",
}


def main(arguments: Sequence[str] | None = None) -> Report:
    """Parse the command line, measure, print, write."""
    parser = options("Gradient variance and final quality by dropout form, temperature and samples.")
    parser.add_argument("--images", type=int, default=8, help="scenes")
    parser.add_argument("--steps", type=int, default=40, help="optimisation steps of the fits")
    chosen = parser.parse_args(arguments)
    report = Report("mask_gradients", resolve_device(chosen.device), notes=dict(_NOTES))
    count, steps = (2, 4) if chosen.quick else (chosen.images, chosen.steps)
    samples = SAMPLES[:3] if chosen.quick else SAMPLES
    frames = scene_frames(count, chosen.seed[0], report.device)
    for form in FORMS:
        for temperature in TEMPERATURES:
            for number in samples:
                for antithetic in (False, True) if form == "simplified" and number > 1 else (False,):
                    row: dict[str, Any] = {
                        "form": form, "temperature": temperature, "samples": number, "antithetic": antithetic,
                    }  # fmt: skip
                    row |= gradient_statistics(frames, form, temperature, number, antithetic)
                    row |= _quality(frames, form, temperature, number, antithetic, steps)
                    report.rows.append(row)
                    report.progress(f"{form} t={temperature} S={number}{' antithetic' if antithetic else ''}")
    report.summary = _summary(report.rows)
    report.show(COLUMNS, "concrete dropout: gradient variance and masks")
    report.finish(chosen.json)
    return report


def gradient_statistics(
    frames: Frames, form: str, temperature: float, samples: int, antithetic: bool, repeats: int = REPEATS
) -> dict[str, float]:
    """Variance of the score's gradient by the map logits, over repeated draws at the same logits.

    Args:
        frames: images of one network.
        form: ``simplified`` or ``original``.
        temperature: t of the relaxation.
        samples: samples that one estimate averages.
        antithetic: samples come as pairs (u, 1 - u).
        repeats: estimates.

    Returns:
        ``relative_variance`` (median over the images) and ``dead_share`` (see the notes).
    """
    height, width = frames.images.shape[2:]
    short = min(height, width)
    grid = (round(height * CELLS / short), round(width * CELLS / short))
    rows, columns = (bilinear_matrix(size, cells).to(frames.images) for size, cells in zip((height, width), grid))
    variances = []
    with borrowed(frames.model):
        for index in range(len(frames)):
            part = frames.part(index, index + 1)
            infill = make_infill(part.images, "blur", INFILL_SIGMA, part.seeds)
            generator = torch.Generator().manual_seed(int(part.seeds[0]))
            logits = (SPREAD * torch.randn(1, 1, *grid, generator=generator)).to(part.images)
            estimates = []
            for repeat in range(repeats):
                draw = torch.full_like(part.seeds, repeat)
                uniform = paired_uniform(part.seeds, draw, samples, grid, antithetic).to(part.images)
                estimates.append(_gradient(part, infill, logits, uniform, form, temperature, rows, columns))
            stacked = torch.stack(estimates).double()
            noise = stacked.var(dim=0).sum()
            # The mean of R estimates still holds 1/R of their variance.
            signal = stacked.mean(dim=0).square().sum() - noise / repeats
            variances.append(noise / signal.clamp_min(1e-30))
    return {
        "relative_variance": float(torch.stack(variances).median()),
        "dead_share": _dead_share(form, temperature, samples, antithetic),
    }


def _dead_share(form: str, temperature: float, samples: int, antithetic: bool, cells: int = 10_000) -> float:
    generator = torch.Generator().manual_seed(0)
    leaf = (SETTLED * torch.randn(cells, generator=generator)).requires_grad_(True)
    zero = torch.zeros(1, dtype=torch.int64)
    uniform = paired_uniform(zero, zero, samples, (cells,), antithetic)[0]
    (gradient,) = torch.autograd.grad(FORMS[form](leaf, uniform, temperature).sum(), leaf)
    return float((gradient == 0).double().mean())


def _gradient(
    part: Frames, infill: Tensor, logits: Tensor, uniform: Tensor, form: str, temperature: float, rows: Tensor,
    columns: Tensor,
) -> Tensor:  # fmt: skip
    leaf = logits.clone().requires_grad_(True)
    keep = resample(FORMS[form](leaf, uniform, temperature), rows, columns)[0]
    count = len(keep)
    blended = blend(part.images.expand(count, -1, -1, -1), keep, infill.expand(count, -1, -1, -1))
    score = log_odds(part.model(blended), part.targets.expand(count)).mean()
    return torch.autograd.grad(score, leaf)[0]


def _quality(
    frames: Frames, form: str, temperature: float, samples: int, antithetic: bool, steps: int
) -> dict[str, float]:
    config = SCDConfig.reference().model_copy(
        update={
            "form": form, "temperature": temperature, "samples": samples, "antithetic": antithetic, "steps": steps,
            "mask_size": CELLS,
        }
    )  # fmt: skip
    masks = join_masks([fit_masks(frames.model, frames.images, frames.targets, config, frames.seeds)])
    curves = deletion_insertion(frames.model, frames.images, frames.targets, masks.joint, steps=16)
    return {
        "ap_marks": float(average_precision(masks.joint, frames.regions["marks"]).mean()),
        "deletion": float(curves.deletion.mean()),
        "insertion": float(curves.insertion.mean()),
    }


def _summary(rows: list[dict[str, Any]]) -> dict[str, float | None]:
    """Variance and quality at the settings that the claim is about."""

    def pick(key: str, form: str, temperature: float, samples: int, antithetic: bool = False) -> float | None:
        wanted = (form, temperature, samples, antithetic)
        found = [
            row[key] for row in rows if (row["form"], row["temperature"], row["samples"], row["antithetic"]) == wanted
        ]
        return found[0] if found else None

    most = max(row["samples"] for row in rows)
    return {
        "variance_simplified_t1": pick("relative_variance", "simplified", 1.0, 1),
        "variance_original_t1": pick("relative_variance", "original", 1.0, 1),
        "variance_simplified_t01": pick("relative_variance", "simplified", 0.1, 1),
        "variance_original_t01": pick("relative_variance", "original", 0.1, 1),
        "variance_two_independent_t1": pick("relative_variance", "simplified", 1.0, 2),
        "variance_two_antithetic_t1": pick("relative_variance", "simplified", 1.0, 2, True),
        "ap_marks_simplified_t1_fewest": pick("ap_marks", "simplified", 1.0, 1),
        "ap_marks_simplified_t1_most": pick("ap_marks", "simplified", 1.0, most),
        "ap_marks_original_t01_fewest": pick("ap_marks", "original", 0.1, 1),
        "ap_marks_original_t01_most": pick("ap_marks", "original", 0.1, most),
        "most_samples": most,
    }


if __name__ == "__main__":
    main()
