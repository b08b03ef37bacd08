"""AdamW with a step count per image, so that images enter and leave a batch without touching the others."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from scd_core.masks.settings import SCDConfig

__all__ = ["RowAdamW"]


@dataclass
class RowAdamW:
    """Decoupled-weight-decay Adam (Loshchilov, Hutter 2019) over rows that have taken different numbers of steps.

    Attributes:
        first: (W, ...) first moment.
        second: (W, ...) second moment.
    """

    first: torch.Tensor
    second: torch.Tensor

    @classmethod
    def for_rows(cls, rows: torch.Tensor) -> RowAdamW:
        """State of rows that have taken no step; `rows` is (W, ...)."""
        return cls(torch.zeros_like(rows), torch.zeros_like(rows))

    def update(
        self,
        rows: torch.Tensor,
        gradient: torch.Tensor,
        step: torch.Tensor,
        config: SCDConfig,
        pixels_per_cell: float = 1.0,
    ) -> None:
        """Take one step in place.

        Args:
            rows: (W, ...) parameters, changed in place.
            gradient: (W, ...).
            step: (W,) int64, steps each row has taken before this one.
            config: step size, its decay, moments, epsilon and weight decay.
            pixels_per_cell: pixels under one parameter. A cell's gradient is the sum of its pixels', so epsilon grows
                with the cell, and a map takes the same course at any resolution.
        """
        count = (step + 1).to(rows.dtype).view(-1, *[1] * (rows.ndim - 1))
        rate = config.learning_rate * config.learning_rate_decay ** (count - 1)
        beta_first, beta_second = config.betas
        self.first.lerp_(gradient, 1 - beta_first)
        self.second.mul_(beta_second).addcmul_(gradient, gradient, value=1 - beta_second)
        scale = (self.second / (1 - beta_second**count)).sqrt_().add_(config.eps * pixels_per_cell)
        rows.mul_(1 - rate * config.weight_decay)
        rows.sub_(rate / (1 - beta_first**count) * self.first / scale)

    def select(self, kept: torch.Tensor) -> RowAdamW:
        """State of the rows `kept` (int64 indices)."""
        return RowAdamW(self.first[kept], self.second[kept])

    def joined(self, other: RowAdamW) -> RowAdamW:
        """State of the rows of both."""
        return RowAdamW(torch.cat((self.first, other.first)), torch.cat((self.second, other.second)))
