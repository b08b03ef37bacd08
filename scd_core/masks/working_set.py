"""The images being optimised together: one row each, in tensors that rows can leave and join."""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch

from scd_core.masks.adamw import RowAdamW

__all__ = ["WorkingSet"]


@dataclass
class WorkingSet:
    """State of W images under optimisation.

    Attributes:
        index: position of each image in the call.
        taken: steps taken by each, as the host knows them.
        infill: (W, 3, H, W).
        delta: (W, 3, H, W), image - infill.
        targets: (W,) int64.
        rivals: (W,) int64, or None.
        added: (W, K), added to the logits of every blend of the image, or None.
        seeds: (W,) int64.
        unit: (W,) log-odds that the score is counted in.
        logits: (W, 2, h, w), map logits k, sufficient and destroying.
        total: (W, 2, h, w), sum of the logits over the steps, each weighted by its number.
        before: (W, 2, h, w), sigmoid(k) at the last look.
        step: (W,) int64, steps taken, as the device knows them.
        finite: (W,) bool, every score and gradient so far was finite.
        felt: (W,) bool, some gradient so far was not zero.
        optimiser: moments of the logits.
    """

    index: list[int]
    taken: list[int]
    infill: torch.Tensor
    delta: torch.Tensor
    targets: torch.Tensor
    rivals: torch.Tensor | None
    added: torch.Tensor | None
    seeds: torch.Tensor
    unit: torch.Tensor
    logits: torch.Tensor
    total: torch.Tensor
    before: torch.Tensor
    step: torch.Tensor
    finite: torch.Tensor
    felt: torch.Tensor
    optimiser: RowAdamW

    def __len__(self) -> int:
        return len(self.index)

    def select(self, kept: list[int]) -> WorkingSet:
        """The rows `kept`."""
        rows = torch.tensor(kept, device=self.targets.device)
        tensors = {name: None if value is None else value[rows] for name, value in self._tensors().items()}
        return WorkingSet(
            index=[self.index[row] for row in kept],
            taken=[self.taken[row] for row in kept],
            optimiser=self.optimiser.select(rows),
            **tensors,  # type: ignore[arg-type]
        )

    def joined(self, other: WorkingSet) -> WorkingSet:
        """The rows of both."""
        mine, theirs = self._tensors(), other._tensors()
        tensors = {
            name: None if value is None else torch.cat((value, theirs[name]))  # type: ignore[arg-type]
            for name, value in mine.items()
        }
        return WorkingSet(
            index=self.index + other.index,
            taken=self.taken + other.taken,
            optimiser=self.optimiser.joined(other.optimiser),
            **tensors,  # type: ignore[arg-type]
        )

    def _tensors(self) -> dict[str, torch.Tensor | None]:
        names = [field.name for field in fields(self) if field.name not in ("index", "taken", "optimiser")]
        return {name: getattr(self, name) for name in names}
