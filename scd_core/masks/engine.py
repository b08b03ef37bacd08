"""Fit the masks of many images: a working set of images that enter, are optimised together, and leave."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import islice
from typing import Literal

import torch

from scd_core.masks.adamw import RowAdamW
from scd_core.masks.checks import bad_images, check_request, check_same_again, class_problem
from scd_core.masks.concrete import keep_probability, original_concrete, simplified_concrete
from scd_core.masks.forward import Forward
from scd_core.masks.grid import Grid, cells_for
from scd_core.masks.infill import make_infill
from scd_core.masks.log_odds import logit_range, target_score
from scd_core.masks.noise import paired_uniform
from scd_core.masks.preserve import Model, borrowed, model_device, model_dtype
from scd_core.masks.resample import total_variation
from scd_core.masks.result import NO_GRADIENT, Masks
from scd_core.masks.settings import SCDConfig
from scd_core.masks.working_set import WorkingSet

__all__ = ["fit_masks"]

_DEFAULT = SCDConfig()
_MAPS = 2
"""Sufficient and destroying."""


def fit_masks(
    model: Model,
    images: torch.Tensor,
    targets: torch.Tensor,
    config: SCDConfig = _DEFAULT,
    seeds: torch.Tensor | None = None,
    contrast: torch.Tensor | None = None,
    *,
    backgrounds: torch.Tensor | None = None,
    added: torch.Tensor | None = None,
    on_error: Literal["raise", "record"] = "raise",
) -> Masks:
    """Find, for each image, the smallest region that suffices for the target and the smallest whose loss destroys it.

    Two logit maps per image, sufficient k_s and destroying k_d, start at 0. Each step samples both by concrete
    dropout, blends ``z_s x + (1 - z_s) infill`` and ``(1 - z_d) x + z_d infill``, and lowers

        log-odds(destroying blend) - log-odds(sufficient blend) + w(i) (lambda_1 area + lambda_tv variation)

    averaged over the samples (Korsch, Shadaydeh, Denzler 2023, arXiv 2307.14825, on Chang et al. 2019,
    arXiv 1807.08024). Area and variation are those of sigmoid(k), counted in pixels of the image whatever the map's
    resolution. The result of an image depends on the image, its target and its seed, not on its companions: on a CPU
    to the last bit, on a GPU up to what the rounding of a batch of another size grows to.

    Args:
        model: maps (B, 3, H, W) normalised floats to (B, K) logits, K >= 2. It is used in evaluation mode and comes
            back as it was given, after an error as well.
        images: (N, 3, H, W) floats, normalised as the model wants them; any device.
        targets: (N,) integers in [0, K), the class that each mask explains.
        config: settings; ``SCDConfig.reference()`` is the published one.
        seeds: (N,) integers, the noise of each image; None gives every image ``config.seed``.
        contrast: (N,) integers in [0, K), a rival class per image; the score is then logit(target) - logit(rival).
        backgrounds: (N, 3, H, W) or (1, 3, H, W), the infill where ``config.infill`` is `background`.
        added: (N, K) floats, added to the logits of an image whatever its mask keeps: evidence that is not in the image.
        on_error: `raise` ends at the first image at fault, before any optimisation where the fault can be seen then;
            `record` writes it into ``Masks.failures`` and goes on with the others.

    Returns:
        Masks, on the device of `images`.

    Raises:
        ValueError: shapes or types are wrong, K is 1, or (with `raise`) a target is out of range or an image or its
            logits hold NaN or infinity; the line names the image. Or the model gives one image other logits each time.

    Example:
        >>> model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 8 * 8, 4))
        >>> masks = fit_masks(model, torch.rand(2, 3, 8, 8), torch.tensor([0, 3]), SCDConfig(steps=2, mask_size=4))
        >>> masks.joint.shape
        torch.Size([2, 8, 8])
    """
    check_request(images, targets, seeds, contrast, backgrounds, added)
    if config.infill == "background" and backgrounds is None:
        raise ValueError("backgrounds: expected images to fill in, as config.infill is background, got None")
    if seeds is None:
        seeds = torch.full((len(images),), config.seed)
    with borrowed(model):
        fitting = _Fitting(model, images, targets, config, seeds, contrast, backgrounds, added, on_error)
        fitting.run()
    return fitting.masks


class _Fitting:
    """One call of :func:`fit_masks`: the queue of images, the working set, and the result being filled."""

    def __init__(
        self,
        model: Model,
        images: torch.Tensor,
        targets: torch.Tensor,
        config: SCDConfig,
        seeds: torch.Tensor,
        contrast: torch.Tensor | None,
        backgrounds: torch.Tensor | None,
        added: torch.Tensor | None,
        on_error: Literal["raise", "record"],
    ) -> None:
        self.model, self.images, self.targets, self.seeds = model, images, targets, seeds
        self.contrast, self.backgrounds, self.config, self.on_error = contrast, backgrounds, config, on_error
        self.device = model_device(model, images.device)
        self.dtype = torch.float64 if model_dtype(model) == torch.float64 else torch.float32
        self.samples = _MAPS * config.samples
        self.unit = torch.ones(len(images), device=self.device, dtype=self.dtype)
        self.added = None if added is None else added.to(self.device, self.dtype)
        self.masks = Masks.empty(images, seeds)
        self.queue: Iterator[int] = iter(())

    def run(self) -> None:
        self._check_pixels()
        pending = self._pending()
        if not pending:
            return
        size = (self.images.shape[2], self.images.shape[3])
        evaluations = len(pending) * self.samples * self.config.steps
        self.forward = Forward(self.model, self.config, self.device, self.dtype, size, evaluations)
        self._check_logits(pending)
        self.queue = iter(self._pending())
        cells = cells_for(self.model, *size, self.config, self.device, self.dtype)
        self.grid = Grid(*size, cells, self.config, self.device, self.dtype)
        rows = self._enter(None)
        while rows is not None:
            for _ in range(self._steps_to_next_look(rows)):
                self._step(rows)
            rows = self._enter(self._leave(rows))

    @property
    def is_apart(self) -> bool:
        """Whether images never share a pass, as on a CPU.

        Rounding depends on the shape of a batch, and a dozen steps of AdamW can make a hundredth of it. On a CPU a pass
        of many images is hardly faster per image than one of an image's own samples, so a mask there is the same to the
        last bit whatever shares its call.
        """
        return self.device.type == "cpu"

    # --- checks -------------------------------------------------------------------------------------------------

    def _check_pixels(self) -> None:
        for index, reason in bad_images(self.images).items():
            self._fail(index, reason)
        if self.backgrounds is not None:
            for index, reason in bad_images(self.backgrounds, "backgrounds").items():
                for image in range(len(self.images)) if len(self.backgrounds) == 1 else [index]:
                    self._fail(image, reason)

    def _pending(self) -> list[int]:
        return [index for index in range(len(self.images)) if index not in self.masks.failures]

    def _check_logits(self, pending: list[int]) -> None:
        """Look at every image's own logits and classes before any work is done on one."""
        at_once = 1 if self.is_apart else self.forward.limit
        for start in range(0, len(pending), at_once):
            chosen = pending[start : start + at_once]
            logits = self.forward.logits(self._pixels(chosen))
            if start == 0:  # not counted, as the probe of the memory is not
                check_same_again(logits, self.forward.logits(self._pixels(chosen)))
            if self.added is not None:
                logits = logits + self.added[chosen]
            if self.config.score_unit == "logit_range":
                self.unit[torch.tensor(chosen, device=self.device)] = logit_range(logits)
            for index, row in zip(chosen, logits.cpu(), strict=True):
                classes = {"targets": int(self.targets[index])}
                if self.contrast is not None:
                    classes["contrast"] = int(self.contrast[index])
                if (problem := class_problem(index, row, classes)) is not None:
                    self._fail(index, problem)
                self.masks.evaluations[index] += 1

    def _fail(self, index: int, reason: str) -> None:
        if self.on_error == "raise":
            raise ValueError(reason)
        self.masks.failures.setdefault(index, reason)

    def _pixels(self, chosen: list[int]) -> torch.Tensor:
        picked = self.images[torch.tensor(chosen, device=self.images.device)]
        return picked.to(self.device, self.dtype, non_blocking=True)

    # --- the working set ----------------------------------------------------------------------------------------

    def _enter(self, rows: WorkingSet | None) -> WorkingSet | None:
        """Fill the working set from the queue."""
        width = 1 if self.is_apart else self.forward.limit // self.samples
        room = max(1, width) - (0 if rows is None else len(rows))
        chosen = list(islice(self.queue, max(0, room)))
        if not chosen:
            return rows
        pixels = self._pixels(chosen)
        picked = torch.tensor(chosen)
        seeds = self.seeds.cpu()[picked].to(self.device)
        backgrounds = self.backgrounds
        if backgrounds is not None:
            where = picked if len(backgrounds) > 1 else torch.zeros_like(picked)
            backgrounds = backgrounds[where.to(backgrounds.device)].to(pixels)
        infill = make_infill(pixels, self.config.infill, self.config.infill_sigma, seeds, backgrounds)
        logits = torch.zeros(len(chosen), _MAPS, *self.grid.cells, device=self.device, dtype=self.dtype)
        entered = WorkingSet(
            index=chosen,
            infill=infill,
            delta=pixels - infill,
            targets=self.targets.cpu()[picked].to(self.device),
            rivals=None if self.contrast is None else self.contrast.cpu()[picked].to(self.device),
            added=None if self.added is None else self.added[chosen],
            seeds=seeds,
            unit=self.unit[picked.to(self.device)],
            logits=logits,
            total=torch.zeros_like(logits),
            before=keep_probability(logits),
            optimiser=RowAdamW.for_rows(logits),
            step=torch.zeros(len(chosen), dtype=torch.int64, device=self.device),
            finite=torch.ones(len(chosen), dtype=torch.bool, device=self.device),
            felt=torch.zeros(len(chosen), dtype=torch.bool, device=self.device),
            taken=[0] * len(chosen),
        )
        return entered if rows is None else rows.joined(entered)

    def _steps_to_next_look(self, rows: WorkingSet) -> int:
        until_last = self.config.steps - max(rows.taken)
        return until_last if self.config.tolerance == 0 else min(self.config.check_every, until_last)

    def _leave(self, rows: WorkingSet) -> WorkingSet | None:
        """Write the images that are done, or have failed, into the result; keep the others."""
        now = keep_probability(rows.logits)
        moved = (now - rows.before).abs().mean((2, 3)).amax(1)
        rows.before = now
        finite, still = rows.finite.tolist(), (moved < self.config.tolerance).tolist()
        done = [
            row for row in range(len(rows)) if rows.taken[row] >= self.config.steps or still[row] or not finite[row]
        ]
        if not done:
            return rows
        self._write(rows.select(done), [still[row] for row in done])
        kept = [row for row in range(len(rows)) if row not in set(done)]
        return rows.select(kept) if kept else None

    # --- one step -----------------------------------------------------------------------------------------------

    def _step(self, rows: WorkingSet) -> None:
        """One optimisation step of all rows; nothing in here waits for the device."""
        logits = rows.logits.detach().requires_grad_()
        with torch.autocast(self.device.type, enabled=False):
            keep = self._sampled_keep(logits, rows)
            gradient_of_keep, finite = self._gradient_of_keep(keep.detach(), rows)
            cost = self._cost(logits, rows.step)
            gradient = torch.autograd.grad((keep * gradient_of_keep).sum() + cost.sum(), logits)[0]
        rows.finite &= finite
        # A gradient below the rounding of the cost's own moves nothing.
        least = (
            torch.finfo(self.dtype).eps * self.config.area_weight * self.grid.unit_pixels / math.prod(self.grid.pixels)
        )
        rows.felt |= gradient_of_keep.abs().amax((1, 2, 3)) > least
        rows.optimiser.update(rows.logits, gradient, rows.step, self.config, self.grid.pixels_per_cell)
        rows.step += 1
        rows.total += rows.step.view(-1, 1, 1, 1) * rows.logits
        rows.taken = [taken + 1 for taken in rows.taken]

    def _sampled_keep(self, logits: torch.Tensor, rows: WorkingSet) -> torch.Tensor:
        """(W, 2 * S, H, W): share of each pixel that is kept, S samples of the sufficient map, then S of the other."""
        config, grid = self.config, self.grid
        cells = grid.cells if config.sample_first else grid.pixels
        uniform = paired_uniform(rows.seeds, rows.step, config.samples, (_MAPS, *cells), config.antithetic)
        uniform = uniform.transpose(1, 2).to(self.dtype)
        relax = simplified_concrete if config.form == "simplified" else original_concrete
        if config.sample_first:
            evidence = grid.spread(relax(logits[:, :, None], uniform, config.temperature))
        else:
            evidence = relax(grid.spread(logits)[:, :, None], uniform, config.temperature)
        return torch.cat((evidence[:, 0], 1 - evidence[:, 1]), dim=1)

    def _gradient_of_keep(self, keep: torch.Tensor, rows: WorkingSet) -> tuple[torch.Tensor, torch.Tensor]:
        """Gradient of the scores by the kept share, and whether each row's scores and gradient were finite."""
        gradient = torch.empty_like(keep)
        finite = torch.ones_like(rows.finite)
        sign = torch.ones(self.samples, device=self.device, dtype=self.dtype)
        sign[: self.config.samples] = -1
        start = 0
        while start < self.samples:
            part = slice(start, start + max(1, min(self.samples, self.forward.limit // len(rows))))
            blended = torch.addcmul(rows.infill[:, None], keep[:, part, None], rows.delta[:, None])
            count = blended.shape[1]
            targets = rows.targets.repeat_interleave(count)
            rivals = None if rows.rivals is None else rows.rivals.repeat_interleave(count)
            added = None if rows.added is None else rows.added.repeat_interleave(count, dim=0)
            weight = (sign[part] / (self.config.samples * rows.unit[:, None])).flatten()
            by_pixel, scores = self.forward.gradient(blended.flatten(0, 1), targets, rivals, weight, added)
            gradient[:, part] = (by_pixel.view_as(blended) * rows.delta[:, None]).sum(2)
            finite &= scores.view(-1, count).isfinite().all(1) & gradient[:, part].isfinite().flatten(1).all(1)
            start = part.stop
        return gradient, finite

    def _cost(self, logits: torch.Tensor, step: torch.Tensor) -> torch.Tensor:
        """(W,) weighted area and variation of both maps, ramped in."""
        config = self.config
        evidence = keep_probability(logits)
        area = evidence.mean((2, 3)).sum(1) * self.grid.unit_pixels
        variation = total_variation(evidence).sum(1) * self.grid.pixels_per_cell
        ramp = ((step + 1) / config.ramp_steps).clamp(max=1) if config.ramp_steps else torch.ones_like(area)
        return ramp * (config.area_weight * area + config.variation_weight * variation)

    # --- the result ---------------------------------------------------------------------------------------------

    def _write(self, rows: WorkingSet, still: list[bool]) -> None:
        """Score the final maps and store everything about these rows."""
        logits = rows.logits
        if self.config.average:
            logits = rows.total / (rows.step * (rows.step + 1) / 2).view(-1, 1, 1, 1)
        evidence = self.grid.spread_map(logits, self.config.spread_temperature)
        keep = torch.stack((evidence[:, 0], 1 - evidence[:, 1]), dim=1)
        probability = torch.empty(len(rows), _MAPS, device=self.device, dtype=self.dtype)
        for start in range(0, len(rows), width := max(1, self.forward.limit // _MAPS)):
            part = slice(start, start + width)
            blended = torch.addcmul(rows.infill[part, None], keep[part, :, None], rows.delta[part, None])
            added = None if rows.added is None else rows.added[part].repeat_interleave(_MAPS, dim=0)
            logits = self.forward.logits(blended.flatten(0, 1), added)
            chosen = rows.targets[part].repeat_interleave(_MAPS)
            probability[part] = torch.sigmoid(target_score(logits, chosen)).view(-1, _MAPS)
        joint = evidence[:, 0].sqrt() * evidence[:, 1].sqrt()
        masks, finite, felt = self.masks, rows.finite.tolist(), rows.felt.tolist()
        for row, index in enumerate(rows.index):
            masks.iterations[index] = rows.taken[row]
            masks.evaluations[index] += rows.taken[row] * self.samples + _MAPS
            if not finite[row]:
                what = "finite logits and gradients under the mask, got NaN or infinite ones"
                self._fail(index, f"model: image {index}: expected {what}")
                continue
            if not felt[row]:
                self._fail(index, f"model: image {index}: {NO_GRADIENT}")
                continue
            masks.sufficient[index] = evidence[row, 0]
            masks.destroying[index] = evidence[row, 1]
            masks.joint[index] = joint[row]
            masks.ssr_probability[index] = probability[row, 0]
            masks.sdr_probability[index] = probability[row, 1]
            masks.area[index] = joint[row].mean()
            masks.converged[index] = still[row]
