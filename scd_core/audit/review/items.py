"""A target and an event as the review's interface gives them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from scd_core.audit.review.frames import Row
from scd_core.audit.review.given import Given
from scd_core.audit.review.kept import Waiting
from scd_core.audit.review.queues import SLICE
from scd_core.boxes import box_from_row
from scd_core.label_names import ReviewQueue

__all__ = ["addresses", "event_content", "item"]

_CANDIDATES = 5
"""Names that an item gives: the first and the next four."""


def item(place: Waiting, target: Row, answers: Sequence[Given]) -> dict[str, Any]:
    """A target that waits in a queue.

    Args:
        place: its place.
        target: its row of ``sql/frames.sql``.
        answers: what was said of it since the report; a second reader is not given it.
    """
    is_blind = place.queue == ReviewQueue.SECOND
    return {
        "target_id": target["target_id"],
        "media_id": target["media_id"],
        "event_id": target["event_id"],
        "predicted_id": target["predicted_id"],
        "probability": target["probability"],
        "candidates": _candidates(target),
        "reason": place.reason,
        "inclusion_probability": place.queue_probability,
        **addresses(target["media_id"], target["target_id"] if target["has_mask"] else None),
        "queue": place.queue,
        "group": place.group_id if place.queue == ReviewQueue.CANDIDATES else None,
        "said": [] if is_blind else list(place.said),
        "answers": [] if is_blind else [one.as_json() for one in answers],
        "camera_id": target["camera_id"],
        "captured_at": _time(target),
        "slice_id": place.queue.removeprefix(SLICE) if place.queue.startswith(SLICE) else None,
    }


def event_content(rows: Sequence[Row], answers: Sequence[Sequence[Given]]) -> dict[str, Any]:
    """An event with its frames in the order of time, each with its targets.

    Args:
        rows: rows of ``sql/frames.sql`` of one event.
        answers: what was said of each since the report.
    """
    frames: dict[str, dict[str, Any]] = {}
    for row, given in zip(rows, answers, strict=True):
        if row["media_id"] not in frames:
            names = ("media_id", "file", "width", "height", "is_infrared")
            frame = {name: row[name] for name in names} | {"captured_at": _time(row), "targets": []}
            frames[row["media_id"]] = frame | {"picture": addresses(row["media_id"], None)["picture"]}
        frames[row["media_id"]]["targets"].append(_target(row, given))
    return {"event_id": rows[0]["event_id"] if rows else None, "frames": list(frames.values())}


def addresses(media_id: str, target_id: str | None) -> dict[str, str | None]:
    """Where the review's server has a picture, and the evidence on it where it has some.

    >>> addresses("a/b", None)
    {'picture': '/picture/a%2Fb', 'evidence': None}
    """
    evidence = None if target_id is None else f"/evidence/{quote(target_id, safe='')}"
    return {"picture": f"/picture/{quote(media_id, safe='')}", "evidence": evidence}


def _target(row: Row, answers: Sequence[Given]) -> dict[str, Any]:
    names = ("target_id", "detection_id", "predicted_id", "probability", "suggested_id")
    return {name: row[name] for name in names} | {
        "box": box_from_row(row),
        "candidates": _candidates(row),
        "evidence": addresses(row["media_id"], row["target_id"] if row["has_mask"] else None)["evidence"],
        "answers": [one.as_json() for one in answers],
    }


def _candidates(row: Row) -> list[dict[str, Any]]:
    """The most probable names, best first."""
    return [dict(one) for one in (row["topk"] or [])[:_CANDIDATES]]


def _time(row: Row) -> str | None:
    return row["captured_at"].isoformat() if row["captured_at"] else None
