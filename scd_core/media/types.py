"""The error of one object that cannot be used."""

from __future__ import annotations

__all__ = ["MediaError"]


class MediaError(Exception):
    """One object cannot be used.

    Args:
        status: ``corrupt``, ``empty``, ``unsupported`` or ``missing``, as in the table ``media``.
        stage: ``list``, ``fetch`` or ``decode``.
        reason: why, in words.
    """

    def __init__(self, status: str, stage: str, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.stage = stage
        self.reason = reason
