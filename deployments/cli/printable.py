"""Text from anywhere (names of files and of individuals, messages about them), made safe for a terminal."""

from __future__ import annotations

import unicodedata

__all__ = ["printable"]

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
