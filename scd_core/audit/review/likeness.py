"""Known individuals that a picture is as near to, by embeddings, as pictures of one individual are to each other."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from scd_core.audit.review.frames import Frames, Row
from scd_core.audit.sql import load_sql
from scd_core.identify.embeddings import feature_matrix, unit_rows
from scd_core.names import UNKNOWN

__all__ = ["Likeness", "Near", "usual_likeness"]

_BATCHES = 4
"""Batches whose labelled pictures are compared with, those with the most."""
_PICTURES = 3000
"""Labelled pictures that are compared with, at most."""
_LEAST = 10
"""Labelled pictures with another one of their individual, below which nothing is said."""


@dataclass(frozen=True)
class _Labelled:
    """Labelled pictures of one embedding space."""

    names: NDArray[np.str_]
    features: NDArray[np.float32]
    """(N, D), each row of length 1."""
    limit: float | None
    """What :func:`usual_likeness` gives."""


@dataclass(frozen=True)
class Near:
    """What a picture is as near to as pictures of one individual usually are."""

    individuals: tuple[str, ...] = ()
    """Labelled individuals, the nearest first."""
    candidate: Row | None = None
    """``candidate_id``, ``batch_key`` and ``media_id`` of the nearest picture of a possible new individual."""


class Likeness:
    """Compares pictures with labelled ones and with those of candidates; for several threads at once.

    Args:
        frames: the audit.
    """

    def __init__(self, frames: Frames) -> None:
        self._frames = frames
        self._lock = threading.Lock()
        self._spaces: dict[str, _Labelled] | None = None
        self._candidates: dict[str, tuple[list[Row], NDArray[np.float32]]] = {}  # space -> pictures and their unit rows
        self._last: tuple[str, Near] = ("", Near())  # of the target that was looked at last

    def near(self, row: Row) -> Near:
        """What is near; nothing where OUT has no embedding of the picture, or too few labelled pictures.

        Args:
            row: the target, a row of ``sql/frames.sql``.
        """
        target_id, found = self._last
        if target_id != row["target_id"]:
            found = self._near(row)
            self._last = row["target_id"], found
        return found

    def _near(self, row: Row) -> Near:
        own = self._frames.features([row["batch_key"]], [row["target_id"]])
        if not len(own):
            return Near()
        with self._lock:
            self._spaces = self._spaces if self._spaces is not None else self._read()
        space = own["embedding_space"][0].as_py()
        labelled = self._spaces.get(space)
        if labelled is None or labelled.limit is None:
            return Near()
        unit = unit_rows(feature_matrix(own["features"]))[0]
        likeness = labelled.features @ unit
        best = {name: float(likeness[labelled.names == name].max()) for name in np.unique(labelled.names)}
        near = [str(name) for name in best if best[name] >= labelled.limit]
        near.sort(key=lambda name: -best[name])
        return Near(tuple(near), self._candidate(row["target_id"], space, unit, labelled.limit))

    def _candidate(self, target_id: str, space: str, unit: NDArray[np.float32], limit: float) -> Row | None:
        with self._lock:
            if space not in self._candidates:
                values = {"space": space, "limit": _PICTURES}
                rows = self._frames.select(load_sql(__package__, "candidate_pictures"), values, ("candidates",))
                rows = [one for one in rows if len(one["embedding"]) == len(unit)]
                features = np.array([one["embedding"] for one in rows]).reshape(len(rows), len(unit))
                self._candidates[space] = rows, unit_rows(features)
            found, others = self._candidates[space]
        for place in np.argsort(-(others @ unit), kind="stable"):  # the nearest one may be the picture itself
            if found[place]["target_id"] != target_id:
                return found[place] if others[place] @ unit >= limit else None
        return None

    def _read(self) -> dict[str, _Labelled]:
        rows = self._frames.reported_errors().select(["target_id", "batch_key", "event_id", "true_id"])
        rows = rows.filter(pc.fill_null(pc.not_equal(rows["true_id"], UNKNOWN), False))
        counts = Counter(rows["batch_key"].to_pylist())
        batches = [key for key, _ in counts.most_common(_BATCHES)]
        rows = rows.filter(pc.is_in(rows["batch_key"], pa.array(batches, pa.string()))).slice(0, _PICTURES)
        if not len(rows):
            return {}
        features = self._frames.features(batches, rows["target_id"].to_pylist())
        known = {one["target_id"]: (one["true_id"], one["event_id"]) for one in rows.to_pylist()}
        spaces: dict[str, _Labelled] = {}
        for space in pc.unique(features["embedding_space"]).to_pylist():
            here = features.filter(pc.equal(features["embedding_space"], space))
            truths = [known[target] for target in here["target_id"].to_pylist()]
            names = np.array([name for name, _ in truths])
            unit = unit_rows(feature_matrix(here["features"]))
            spaces[space] = _Labelled(names, unit, usual_likeness(unit, names, [str(event) for _, event in truths]))
        return spaces


def usual_likeness(unit: NDArray[np.float32], names: NDArray[np.str_], events: list[str]) -> float | None:
    """The median cosine of a picture to the nearest one of the same individual in another event.

    Args:
        unit: (N, D), each row of length 1.
        names: (N,) individual of each.
        events: event of each.

    Returns:
        From -1 to 1; None where fewer than 10 pictures have such another one.
    """
    likeness = unit @ unit.T
    other = np.array(events)[:, None] != np.array(events)[None, :]
    likeness[~((names[:, None] == names[None, :]) & other)] = -np.inf
    nearest = likeness.max(axis=1)
    nearest = nearest[np.isfinite(nearest)]
    return float(np.median(nearest)) if len(nearest) >= _LEAST else None
