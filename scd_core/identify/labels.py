"""Labels of a new package, in class order: what may be a mistake in the file is refused, or said."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from scd_core.errors import InputError

__all__ = ["check_labels"]

_NUMBERED = re.compile(r"(\d{1,6})(?:\s*[,;:\t|.)]\s*|\s+)(\S.*)")


def check_labels(labels: Sequence[str], steps: list[str]) -> None:
    """Look at the labels of a new package.

    Args:
        labels: one per class, in class order.
        steps: gets a sentence where classes share a name.

    Raises:
        InputError: each label begins with its number, which would be part of the name; the first one is refused as a heading
            where the others do.
    """
    for skipped, some in ((0, labels), (1, labels[1:])):
        found = [_NUMBERED.fullmatch(one.strip()) for one in some]
        numbers = [int(one[1]) for one in found if one]
        if len(some) >= 2 and len(numbers) == len(some) and set(numbers) in (_upto(0, some), _upto(1, some)):
            example = next(one for one in found if one)
            order = "," if numbers == sorted(numbers) else ", sorted by number,"
            heading = " and no heading" if skipped else ""
            raise InputError(
                f"labels: each line begins with the number of its class ({example[0][:40]!r}), which would be part of the name; "
                f"write the names alone{order} one a line{heading} ({example[2][:40]!r})"
            )
    shared = {name: n for name, n in Counter(labels).items() if n > 1}
    if shared:
        shown = ", ".join(f"`{name}` ({n} classes)" for name, n in list(shared.items())[:5])
        more = f" and {len(shared) - 5} more" if len(shared) > 5 else ""
        steps.append(
            f"classes that share a name count as one individual: {shown}{more}; if they are different animals, give each its own "
            "label and pack again"
        )


def _upto(first: int, some: Sequence[str]) -> set[int]:
    return set(range(first, first + len(some)))
