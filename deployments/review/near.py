"""Individuals that a new one may be: by how the name is spelled, by how near labelled pictures are, and by the model."""

from __future__ import annotations

from difflib import SequenceMatcher

from deployments.review.screens import Json, one_picture, references
from scd_core.audit import wording
from scd_core.audit.review.frames import Row
from scd_core.audit.review.session import ReviewSession
from scd_core.names import UNKNOWN

__all__ = ["near_ones"]

_SPELLED = 0.75
"""Likeness of two names (twice the common letters over all letters) from which on one may be meant by the other."""
_LOOKS = 0.2
"""Probability from which on the model takes the picture for a known individual."""
_MOST = 3


def near_ones(session: ReviewSession, row: Row, name: str) -> list[Json]:
    """Known and possible new individuals that may be meant where somebody names a new one.

    Args:
        session: the review.
        row: the target, a row of ``sql/frames.sql``.
        name: what was typed so far; may be empty.

    Returns:
        At most three: ``individual_id``, ``words`` that say why, and ``picture``, a labelled one, or None. Behind them a
        possible new individual that the picture is near to, with ``candidate_id`` in place of ``individual_id``.
    """
    likeness = {known: _likeness(name, known) for known in session.names() if known != UNKNOWN}
    spelled = sorted((known for known in likeness if likeness[known] >= _SPELLED), key=lambda known: -likeness[known])
    words = {known: "It is spelled nearly so." for known in spelled if known != name}
    for one in row["topk"] or ():
        if one["individual_id"] != UNKNOWN and one["probability"] >= _LOOKS and one["individual_id"] != name:
            words.setdefault(
                one["individual_id"],
                f"The model gives this picture that name with {wording.percent(one['probability'])}.",
            )
    near = session.likeness.near(row)
    for known in near.individuals:
        if known != name:
            words.setdefault(
                known, "A labelled picture of it is as near to this one as pictures of one individual usually are."
            )
    pictures = {
        known: references(session, {**row, "predicted_id": known, "topk": []}, None) for known in list(words)[:_MOST]
    }
    known_ones: list[Json] = [
        {
            "individual_id": known,
            "words": words[known],
            "picture": next((one for part in found for one in part["pictures"]), None),
        }
        for known, found in pictures.items()
    ]
    return known_ones + ([_candidate(session, near.candidate)] if near.candidate is not None else [])


def _candidate(session: ReviewSession, shown: Row) -> Json:
    """A possible new individual, by the picture of it that is nearest."""
    rows = session.frames.event(shown["batch_key"], shown["media_id"])
    row = next((one for one in rows if one["media_id"] == shown["media_id"]), None)
    return {
        "candidate_id": shown["candidate_id"],
        "words": "A picture of it is as near to this one as pictures of one individual usually are. Its pictures wait "
        "together under New individuals.",
        "picture": row and one_picture(row, shown["candidate_id"]),
    }


def _likeness(one: str, other: str) -> float:
    return SequenceMatcher(None, one.casefold(), other.casefold()).ratio() if one else 0.0
