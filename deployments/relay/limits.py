"""A rate limit: so many at once, so many a second."""

from __future__ import annotations

__all__ = ["TokenBucket"]


class TokenBucket:
    """Allows bursts up to a size, and a steady rate after.

    Args:
        rate: tokens that come back a second.
        burst: tokens there are at most, and at first.
    """

    def __init__(self, rate: float, burst: int) -> None:
        self._rate = rate
        self._burst = float(burst)
        self._tokens = float(burst)
        self._at: float | None = None

    def take(self, now: float) -> bool:
        """Take a token at a moment (s, of a clock that never goes back); False where none is left."""
        if self._at is not None:
            self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
        self._at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
