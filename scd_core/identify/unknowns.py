"""Unknown individuals of a batch, grouped into candidates for new ones and put in order for review."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from scd_core.identify.content import draw_name
from scd_core.names import UNKNOWN
from scd_core.tables.rows import PredictionRow

__all__ = ["group_unknowns"]

_SMALLEST = 2
"""Pictures that make a group: an individual is seen rarely."""


def group_unknowns(rows: Sequence[PredictionRow]) -> list[PredictionRow]:
    """Give each unknown of a batch its `candidate_id` and `review_rank`.

    HDBSCAN (Campello, Moulavi, Sander 2013) on embeddings of unit length, where Euclidean distance orders as cosine
    similarity does. What it leaves as noise is a candidate of its own, so no unknown is without one. An id is a hash of the
    content of the group's first row, so it depends neither on the order of rows nor on numbers that the clustering gives.

    One label names a whole candidate, so candidates are ranked by the uncertainty that it ends: the sum over their events of
    the events' mean entropy, largest first. Frames of one event are one encounter and count once.

    Args:
        rows: prediction rows of a batch; those named ``unknown`` with an `embedding` are grouped.

    Returns:
        The rows in order, with both columns; None for known ones.
    """
    chosen = sorted((row for row in rows if row.get("predicted_id") == UNKNOWN), key=draw_name)
    groups: dict[str, list[PredictionRow]] = defaultdict(list)
    for row, label in zip(chosen, _labels(chosen), strict=True):
        groups[label].append(row)
    candidates = {_candidate_id(draw_name(group[0])): group for group in groups.values()}
    order = sorted(candidates, key=lambda candidate: (-_uncertainty(candidates[candidate]), candidate))
    found: dict[str, tuple[str | None, int | None]] = {
        row["target_id"]: (candidate, rank) for rank, candidate in enumerate(order, 1) for row in candidates[candidate]
    }
    ranked: list[PredictionRow] = []
    for row in rows:
        candidate, rank = found.get(row["target_id"], (None, None))
        ranked.append({**row, "candidate_id": candidate, "review_rank": rank})
    return ranked


def _labels(rows: Sequence[PredictionRow]) -> list[str]:
    """Group of each row; a row that is like no other has a group of its own."""
    labels = [f"alone {row['target_id']}" for row in rows]
    places = [place for place, row in enumerate(rows) if row.get("embedding") is not None]
    if len(places) < _SMALLEST:
        return labels
    from sklearn.cluster import HDBSCAN  # slow to import, and most batches need none

    embedded = np.array([rows[place]["embedding"] for place in places], dtype=np.float64)
    # One group of all is allowed: a batch may hold a single new individual.
    clustering = HDBSCAN(min_cluster_size=_SMALLEST, min_samples=1, allow_single_cluster=True, copy=True)
    for place, label in zip(places, clustering.fit(embedded).labels_, strict=True):
        if label >= 0:
            labels[place] = f"group {label}"
    return labels


def _candidate_id(name: str) -> str:
    return "candidate-" + hashlib.sha256(name.encode()).hexdigest()[:12]


def _uncertainty(group: Sequence[PredictionRow]) -> float:
    """Sum over a candidate's events of their mean entropy."""
    events: dict[str, list[float]] = defaultdict(list)
    for row in group:
        events[row.get("event_id") or row["target_id"]].append(float(row.get("entropy") or 0.0))
    return sum(float(np.mean(entropies)) for entropies in events.values())
