"""A function of a stage and how it is run: its name, its retries, and whether it computes with the model."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

__all__ = ["Work"]


@dataclass(frozen=True)
class Work:
    """A function of one stage, with how it is run; the same on a thread, as a Prefect task and on a Ray machine."""

    function: Callable[..., Any]
    name: str
    retries: int = 0
    retry_delays: tuple[float, ...] = (0.0,)
    """Seconds before each retry; the last one serves for all later ones."""
    retry_jitter: float = 0.0
    """A delay grows by a random share of itself, at most this one, so that retries of many shards spread out."""
    tags: tuple[str, ...] = ("trapaudit",)
    uses_model: bool = False

    def delay(self, retry: int) -> float:
        """Seconds to wait before a retry, counted from 0."""
        delay = self.retry_delays[min(retry, len(self.retry_delays) - 1)]
        return delay * (1 + self.retry_jitter * random.random())
