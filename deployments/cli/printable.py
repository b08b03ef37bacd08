"""Text from anywhere (names of files and of individuals, messages about them), made safe for a terminal."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["printable", "say"]

_UNPRINTED = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def printable(text: str, keep: str = "") -> str:
    """A text from anywhere for a terminal: characters that steer it, or hide or reorder others, become escapes.

    Args:
        text: the text.
        keep: characters that are left as they are.

    >>> print(printable("a\\x1b[2Jb\\u202ec é"))
    a\\x1b[2Jb\\u202ec é
    """
    if text.isprintable():
        return text
    return "".join(
        char.encode("unicode_escape").decode()
        if unicodedata.category(char) in _UNPRINTED and char not in keep
        else char
        for char in text
    )


def say(console: Console, text: str) -> None:
    """Print a line with text from anywhere as it is, folded where the terminal folds it.

    Args:
        console: where.
        text: the line; what would steer a terminal is escaped (:func:`printable`).
    """
    console.print(printable(text), markup=False, highlight=False, soft_wrap=True)
