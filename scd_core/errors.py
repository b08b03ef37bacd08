"""The two errors a user meets: the request was wrong (exit 2), or the work failed (exit 1); and what others' errors say."""

from __future__ import annotations

__all__ = ["DamagedError", "InputError", "RunError", "TrapauditError", "first_line"]


class TrapauditError(Exception):
    """An error whose message is one line for the user: what is wrong, where, and what to do about it."""

    exit_code = 1

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))


class InputError(TrapauditError):
    """A path, file, option or configuration that cannot be used as given; the command line exits with 2."""

    exit_code = 2


class RunError(TrapauditError):
    """Work that was asked for rightly and failed; the command line exits with 1."""

    exit_code = 1


class DamagedError(RunError):
    """A file of OUT whose content is not as it was written."""


def first_line(error: BaseException) -> str:
    """What an error of another library says, in one line; its type where it says nothing.

    >>> first_line(ValueError("no such file\\nTraceback ...")), first_line(TimeoutError())
    ('no such file', 'TimeoutError')
    """
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
