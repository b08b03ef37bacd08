"""What a taxonomy shows of right and wrong names, in sentences for the page."""

from __future__ import annotations

from collections.abc import Sequence

from scd_core.audit.report.queries import Row
from scd_core.audit.wording import RELATION_WORDS, count, plural
from scd_core.names import Relation

__all__ = ["relation_sentences"]


def relation_sentences(rows: Sequence[Row]) -> list[str]:
    """How names that differ from the label are related to it; empty where no taxonomy holds both of any pair.

    Args:
        rows: of the query `relations`: `is_right`, `relation` (None: not known), `n`.

    >>> rows = [(True, "less_exact", 3), (False, "genus", 1), (False, None, 2)]
    >>> relation_sentences([dict(zip(("is_right", "relation", "n"), row)) for row in rows])
    ['Of the right names 3 are less exact than the label.', 'Of the wrong names 1 is of one genus with the true one; of 2 the \
taxonomy does not hold both.']
    """
    found = []
    if right := _parts(rows, True):
        found.append(f"Of the right names {', '.join(right)}.")
    if wrong := _parts(rows, False):
        without = sum(row["n"] for row in rows if not row["is_right"] and row["relation"] is None)
        rest = f"; of {count(without)} the taxonomy does not hold both" if without else ""
        found.append(f"Of the wrong names {', '.join(wrong)} with the true one{rest}.")
    return found


def _parts(rows: Sequence[Row], is_right: bool) -> list[str]:
    known = {row["relation"]: row["n"] for row in rows if row["is_right"] is is_right and row["relation"]}
    return [
        f"{count(known[one])} {plural(known[one], 'is', 'are')} {RELATION_WORDS[one]}"
        for one in Relation
        if one in known
    ]
