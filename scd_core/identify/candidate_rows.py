"""Rows of `candidates`: ids that stay, and what each picture's row says."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence

from scd_core.names import CandidateChange
from scd_core.tables.rows import Candidate, CandidateRow, PredictionRow

__all__ = ["candidate_rows", "new_id", "pictures_words", "split_row"]

_LIKE = 3
"""Known individuals that a candidate is said to resemble."""


def new_id(name: str, used: set[str]) -> str:
    """A candidate's id from a name that its pictures give, such as a hash of the first one's content; it is added to `used`."""
    attempt = 0
    while (found := _candidate_id(name, attempt)) in used:
        attempt += 1
    used.add(found)
    return found


def candidate_rows(
    candidate_id: str, change: CandidateChange, reason: str, members: Sequence[PredictionRow], version: int
) -> list[CandidateRow]:
    """One row a picture; the candidate's resemblance is that of the pictures that are new."""
    resembles = _resembles(members)
    return [
        {
            "candidate_id": candidate_id,
            "version": version,
            "change": change,
            "change_reason": reason,
            "target_id": row["target_id"],
            "media_id": row["media_id"],
            "detection_id": row.get("detection_id"),
            "resembles": resembles,
            "embedding": row.get("embedding"),
        }
        for row in members
    ]


def split_row(row: CandidateRow, split_from: str, candidate_id: str, version: int, reason: str) -> CandidateRow:
    """The row of a picture that leaves a candidate for another one.

    Args:
        row: that put it where it is.
        split_from: the candidate that it leaves.
        candidate_id: the one that it goes to.
        version: of that one.
        reason: why, in words.
    """
    return {
        "candidate_id": candidate_id,
        "version": version,
        "change": CandidateChange.SPLIT,
        "change_reason": reason,
        "target_id": row["target_id"],
        "media_id": row["media_id"],
        "detection_id": row.get("detection_id"),
        "resembles": row.get("resembles"),
        "embedding": row.get("embedding"),
        "split_from": split_from,
        "n_moves": int(row.get("n_moves") or 0) + 1,
    }


def _resembles(members: Sequence[PredictionRow]) -> list[Candidate]:
    """Known individuals by their mean probability over the members, the most like first (as class relations are distilled)."""
    sums: dict[str, float] = defaultdict(float)
    for row in members:
        for one in row.get("topk") or ():
            sums[one["individual_id"]] += one["probability"] / len(members)
    best = sorted(sums, key=lambda name: (-sums[name], name))[:_LIKE]
    return [{"individual_id": name, "probability": sums[name]} for name in best]


def _candidate_id(name: str, attempt: int) -> str:
    text = name if not attempt else f"{name}\0{attempt}"
    return "candidate-" + hashlib.sha256(text.encode()).hexdigest()[:12]


def pictures_words(n: int) -> str:
    """A number of pictures, in words."""
    return f"{n} {'picture' if n == 1 else 'pictures'}"
