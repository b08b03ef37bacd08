"""The error of one object that cannot be used."""

from __future__ import annotations

from scd_core.names import FailureStage, MediaStatus

__all__ = ["MediaError"]


class MediaError(Exception):
    """One object cannot be used.

    Args:
        status: as in the table ``media``.
        stage: where it turned out to be unusable.
        reason: why, in words.
    """

    def __init__(self, status: MediaStatus, stage: FailureStage, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.stage = stage
        self.reason = reason
