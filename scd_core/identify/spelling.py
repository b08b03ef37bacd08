"""Names of individuals as people type them: in one form, and never two spellings of one name."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

from scd_core.errors import InputError
from scd_core.names import UNKNOWN

__all__ = ["check_spellings", "checked_name", "plain_spelling"]


def checked_name(name: str, known: Iterable[str]) -> str:
    """A name in composed Unicode, without spaces around it.

    Args:
        name: as it was given.
        known: names that a package has.

    Raises:
        InputError: it is no name, or one of these in another spelling.

    >>> checked_name(" Zita ", ["Ada"])
    'Zita'
    """
    name = unicodedata.normalize("NFC", name).strip()
    if not plain_spelling(name) or name.casefold() == UNKNOWN or not name.isprintable():
        raise InputError(f"name {name!r}: is no name of an individual")
    same = [label for label in known if label != name and plain_spelling(label) == plain_spelling(name)]
    if same:
        raise InputError(f"name {name!r}: the package has {same[0]!r}; write it the same way, or choose another name")
    return name


def check_spellings(names: Iterable[str]) -> None:
    """Refuse names of which two are spellings of one.

    Raises:
        InputError: they differ in case, blanks, underscores or hyphens alone.
    """
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(plain_spelling(name), name)
        if other != name:
            raise InputError(
                f"names {other!r} and {name!r} differ in case, blanks or hyphens alone; if they are one animal give both "
                "the same name, else give names that differ by more"
            )


def plain_spelling(name: str) -> str:
    """A name without what people spell in different ways: case, blanks, underscores, hyphens.

    >>> plain_spelling("Zita_2") == plain_spelling("zita  2")
    True
    """
    composed = unicodedata.normalize("NFC", name).casefold()
    return " ".join(composed.replace("_", " ").replace("-", " ").split())
