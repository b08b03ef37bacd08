"""The queues of a review: those that the report kept, and those of slices, which are looked for when they are opened."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Iterable, Sequence
from dataclasses import replace

from scd_core.audit.review.frames import Frames, Row
from scd_core.audit.review.kept import KeptQueues, Waiting
from scd_core.audit.slices.data import PAIR
from scd_core.audit.sql import load_sql
from scd_core.errors import InputError
from scd_core.identify.content import draw_name
from scd_core.label_names import ReviewQueue
from scd_core.names import FlagReason

__all__ = ["SLICE", "Queues", "SliceFinder", "lot"]

SLICE = "slice:"
"""Begins the name of a slice's queue; its id follows."""
_ANY_SLICE = re.compile(f"{SLICE}[0-9a-f]{{1,64}}")
_TITLES = {
    ReviewQueue.NEXT: "What to label next",
    ReviewQueue.SUSPECTED: "Labels that may be wrong",
    ReviewQueue.CANDIDATES: "New individuals",
    ReviewQueue.DISAGREEMENTS: "Two people disagree",
    ReviewQueue.PAIRS: "Same or different?",
    ReviewQueue.SECOND: "Second reader",
}
_PAIRED = {FlagReason.KNOWN_CONFUSION, FlagReason.SMALL_MARGIN, FlagReason.LOW_PROBABILITY}
"""Strata of `next` whose pictures are shown beside one of the same individual."""
_SLICES = 50
"""Systematic slices with a queue of their own."""
_LIMIT = 1000
"""Most pictures of a slice's queue."""
_KEYS = {
    "camera_id": "camera", "deployment_id": "deployment", "predicted_id": "name", "true_id": "true", "model_digest": "model",
    "hour": "hour", "week": "week", "light": "light",
}  # fmt: skip
"""Keys of slices that are known before a label -> parameter of ``sql/slice.sql``."""
_MOST_UNKNOWN = 10_000


class Queues:
    """Which targets wait where, and where every target that was met is found. Not for several threads at once.

    Args:
        kept: what the report kept.
        frames: the pictures.
    """

    def __init__(self, kept: KeptQueues, frames: Frames) -> None:
        self._frames = frames
        self._waiting: dict[str, list[Waiting]] = {str(queue): [] for queue in ReviewQueue}
        for one in kept.waiting:
            self._waiting[one.queue].append(one)
        self._waiting[ReviewQueue.PAIRS] = _paired(self._waiting[ReviewQueue.NEXT])
        self._places: dict[str, Waiting] = {}
        self._by_media: dict[tuple[str, str | None], Waiting] = {}
        self._batches: dict[str, str] = {}
        self._unknown: set[str] = set()
        for waiting in self._waiting.values():
            self._learn(waiting)
        slices = [row for row in frames.slices() if row["is_systematic"] and row["folded_into"] is None]
        self.slices: dict[str, Row] = {f"{SLICE}{row['slice_id']}": row for row in slices[:_SLICES]}
        self.names: set[str] = set(frames.names())

    def titles(self) -> list[tuple[str, str]]:
        """Each queue with its title, in the order of a page."""
        found = [(str(queue), title) for queue, title in _TITLES.items()]
        return found + [(queue, row["sentence"] or queue) for queue, row in self.slices.items()]

    def check(self, queue: str) -> None:
        """Refuse a queue that there is not.

        Raises:
            InputError: there is none of this name.
        """
        if queue not in self._waiting and queue not in self.slices:
            names = ", ".join([*ReviewQueue, f"{SLICE}ID"])
            raise InputError(f"queue {queue[:60]!r}: there is none; give one of {names}")

    def check_origin(self, queue: str) -> None:
        """Refuse a queue that no answer is from; slices of another report are taken, since an answer may be sent after a new one.

        Raises:
            InputError: there is none of this name.
        """
        if not _ANY_SLICE.fullmatch(queue):
            self.check(queue)

    def waiting(self, queue: str) -> list[Waiting] | None:
        """The places of a queue in their order; None where they are still to be looked for (:meth:`find_slice`).

        Raises:
            InputError: there is no such queue.
        """
        self.check(queue)
        return self._waiting.get(queue)

    def find_slice(self, queue: str) -> list[Waiting]:
        """The places of a slice's queue, looked for in all of OUT; may be called while others use the queues."""
        row = self.slices[queue]
        values = dict.fromkeys(_KEYS.values()) | {"limit": _LIMIT, "confused": row["confused_with"]}
        for key, value in row["slice"].items():
            if key == "pair":
                values["true"], values["name"] = value.split(PAIR, 1)
            elif key in _KEYS:
                values[_KEYS[key]] = value
        found = self._frames.select(load_sql(__package__, "slice"), values, ("media", "predictions", "runs"))
        return [_waiting(queue, one["place"], one, row["sentence"] or "") for one in found]

    def take_next(self, drawn: Iterable[Waiting]) -> None:
        """Take what was drawn anew for a label, behind what was drawn before."""
        known = {one.target_id for one in self._waiting[ReviewQueue.NEXT]}
        new = [one for one in drawn if one.target_id not in known]
        self._waiting[ReviewQueue.NEXT] += new
        self._waiting[ReviewQueue.PAIRS] += _paired(new)
        self._learn(new)

    def add(self, queue: str, waiting: list[Waiting]) -> None:
        """Take the places that :meth:`find_slice` found."""
        self._waiting[queue] = waiting
        self._learn(waiting)

    def place_of(self, target_id: str) -> Waiting | None:
        """A target's place; one that no queue holds is looked for in all of OUT, once; None where there is none."""
        if target_id not in self._places and target_id not in self._unknown:
            row = self._frames.find(target_id)
            if row is None:
                if len(self._unknown) < _MOST_UNKNOWN:
                    self._unknown.add(target_id)
                return None
            self._learn([_waiting("", 0, row, "")])
        return self._places.get(target_id)

    def place_at(self, media_id: str, detection_id: str | None) -> Waiting | None:
        """The place of a target that was met; None where it was not."""
        return self._by_media.get((media_id, detection_id))

    def batch_of(self, media_id: str) -> str | None:
        """Batch of a picture that the review has met; None where it has not."""
        return self._batches.get(media_id)

    def learn(self, rows: Iterable[Row]) -> None:
        """Know pictures that are shown beside others."""
        for row in rows:
            self._batches.setdefault(row["media_id"], row["batch_key"])

    def _learn(self, waiting: Iterable[Waiting]) -> None:
        for one in waiting:
            known = self._places.get(one.target_id)
            # What is drawn for a label stays known as that, so that its probability goes with the answer wherever it is given.
            if known is None or known.queue_probability is None:
                self._places[one.target_id] = one
                self._by_media[one.media_id, one.detection_id] = one
            self._batches[one.media_id] = one.batch_key


class SliceFinder:
    """Looks for the pictures of slices in the background, while others use the queues.

    Args:
        queues: the queues.
        lock: held wherever they are used.
    """

    def __init__(self, queues: Queues, lock: threading.RLock) -> None:
        self._queues = queues
        self._lock = lock
        self._thread: threading.Thread | None = None
        self._is_closed = False

    def start(self) -> None:
        """Begin with all slices, once."""
        with self._lock:
            if self._thread is not None:
                return
            wanted = [queue for queue in self._queues.slices if self._queues.waiting(queue) is None]
            self._thread = threading.Thread(target=self._find_all, args=(wanted,), name="slices")
        self._thread.start()

    def find(self, queue: str) -> None:
        """Look for the pictures of one slice now."""
        found = self._queues.find_slice(queue)
        with self._lock:
            self._queues.add(queue, found)

    def close(self) -> None:
        """End after the slice that is looked for."""
        self._is_closed = True

    def _find_all(self, queues: Sequence[str]) -> None:
        for queue in queues:
            if self._is_closed:
                return
            self.find(queue)


def lot(content_number: int | None, target_id: str) -> float:
    """A number between 0 and 1 that a target always draws, wherever its picture lies; ``sql/lot_of.sql`` gives the same.

    >>> round(lot(None, "a"), 3), lot(7, "a") == lot(7, "b")
    (0.791, True)
    """
    name = draw_name({"content_number": content_number, "target_id": target_id})
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8]) / 2**64


def _paired(drawn: Iterable[Waiting]) -> list[Waiting]:
    return [replace(one, queue="pairs") for one in drawn if one.group_id in _PAIRED]


def _waiting(queue: str, place: int, row: Row, reason: str) -> Waiting:
    """A place of a queue that nothing was drawn for."""
    return Waiting(
        queue, place, row["batch_key"], row["target_id"], row["media_id"], row["detection_id"], row["content_number"],
        None, reason, None,
    )  # fmt: skip
