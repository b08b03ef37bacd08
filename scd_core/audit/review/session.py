"""A review of an audit: queues, pictures and answers for several people at once, held in memory and written as they come."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from scd_core.audit.labels.importing import undo_row
from scd_core.audit.review.answers import Answer, answer_row, new_import_id
from scd_core.audit.review.frames import Frames, Row
from scd_core.audit.review.given import ConflictError, Given, GivenAnswers, repeated
from scd_core.audit.review.items import addresses, event_content, item
from scd_core.audit.review.kept import Waiting, draw_next, load_queues
from scd_core.audit.review.queues import Queues, SliceFinder
from scd_core.audit.review.since import SinceOpened
from scd_core.audit.review.waiting import waiting_for
from scd_core.errors import InputError
from scd_core.label_names import ReviewQueue
from scd_core.tables.rows import LabelRow
from scd_core.tables.schema import table_from_rows
from scd_core.tables.store import AuditStore
from scd_core.tables.tombstones import read_tombstones

if TYPE_CHECKING:
    from scd_core.audit.review.likeness import Likeness

__all__ = ["ReviewSession"]


class ReviewSession:
    """What the review's pages and its interface are made from. All methods may be called by several threads.

    Args:
        out: OUT.
        source: SOURCE, where the pictures lie elsewhere than when they were audited; None takes that of each run.
        now: the time, UTC.

    Raises:
        InputError: OUT holds no audit.
        RunError: OUT cannot be read or written.
    """

    def __init__(self, out: str, source: str | None = None, now: Callable[[], datetime] | None = None) -> None:
        self.out = out
        self.source = source
        self.store = AuditStore(out)
        self.frames = Frames(self.store)
        self._now = now or (lambda: datetime.now(UTC))
        kept = load_queues(out)
        self._given = GivenAnswers(self.store, kept.label_files)
        self._lock = threading.RLock()
        self._queues = Queues(kept, self.frames)
        self._handed_out: dict[tuple[str, str], int] = {}  # person, target -> answers that were known by then
        self._finder = SliceFinder(self._queues, self._lock)
        self.refresh()
        self._n_at_start = self._given.n_read
        self._drawing, self._drawn_after = threading.Lock(), sorted(kept.label_files)
        self.since = SinceOpened(self.frames, self._queues, self._given, self._lock, kept.label_files)

    def close(self) -> None:
        """End what goes on in the background; nothing is left to write."""
        self._finder.close()

    # what waits

    def refresh(self) -> None:
        """Take in what others answered since.

        Raises:
            RunError: OUT cannot be read.
        """
        with self._lock:
            self._given.poll()

    def queues(self, who: str) -> list[dict[str, Any]]:
        """Every queue with something in it: ``queue``, ``title``, ``n_open``, ``n_done`` (answered since the report).

        The pictures of slices are looked for in the background; until then ``is_counted`` is false, and ``n_open`` is how many
        labels the slice needs.
        """
        self._finder.start()
        with self._lock:
            done = self._given.counts()
            found = []
            for queue, title in self._queues.titles():
                waiting = waiting_for(self._queues, self._given, queue, who)
                n_open = len(waiting) if waiting is not None else self._queues.slices[queue]["labels_needed"] or 0
                if n_open or done[queue]:
                    numbers = {"n_open": n_open, "n_done": done[queue], "is_counted": waiting is not None}
                    found.append({"queue": queue, "title": title, **numbers})
            return found

    def next_items(self, queue: str, n: int, who: str) -> list[dict[str, Any]]:
        """The next targets of a queue that wait for this person, as the interface gives them.

        Args:
            queue: the queue.
            n: most items.
            who: the person.

        Raises:
            InputError: there is no such queue.
        """
        with self._lock:
            waiting = waiting_for(self._queues, self._given, queue, who)
        if waiting is None:
            self._finder.find(queue)
        elif queue in (ReviewQueue.NEXT, ReviewQueue.PAIRS) and len(waiting) < n:
            self._draw_more()
        with self._lock:
            waiting = (waiting_for(self._queues, self._given, queue, who) or [])[:n]
            n_known = self._given.n_read
        for batch_key in {one.batch_key for one in waiting}:
            self.frames.load_events(batch_key, [one.media_id for one in waiting if one.batch_key == batch_key])
        items = []
        for one in waiting:
            target = self.target(one.target_id, one)
            if target is not None:
                items.append(item(one, target, self.answers_of(target)))
                self._handed_out[who, one.target_id] = n_known
        return items

    def _draw_more(self) -> None:
        """Draw what to label next anew where the report's list comes to its end; once after the same answers."""
        with self._drawing:
            with self._lock:
                files = self._given.files()
            if files == self._drawn_after:
                return
            drawn = draw_next(self.out)
            with self._lock:
                self._queues.take_next(drawn)
            self._drawn_after = files

    # pictures

    def place_of(self, target_id: str) -> Waiting | None:
        """A target's place in a queue; one that no queue holds is looked for in all of OUT; None where there is none."""
        with self._lock:
            return self._queues.place_of(target_id)

    def target(self, target_id: str, place: Waiting | None = None) -> Row | None:
        """The row of a target (``sql/frames.sql``), with ``queue`` and ``queue_probability``; None where there is none."""
        place = place or self.place_of(target_id)
        if place is None:
            return None
        for row in self.frames.event(place.batch_key, place.media_id):
            if row["target_id"] == target_id:
                is_drawn = place.queue_probability is not None
                drawn = {"queue": place.group_id if is_drawn else None, "queue_probability": place.queue_probability}
                return {**row, **drawn}
        return None

    def event(self, target_id: str, who: str) -> dict[str, Any]:
        """The event that a target belongs to, as the interface gives it.

        Args:
            target_id: the target.
            who: the person; of pictures that wait for a second reader no answers of others are given.

        Returns:
            ``event_id`` and ``frames`` in the order of time: ``media_id``, ``file``, ``captured_at``, ``width``, ``height``
            (pixels), ``is_infrared``, ``picture``, and ``targets``: ``target_id``, ``detection_id``, ``box`` (four shares,
            or null), ``predicted_id``, ``probability``, ``candidates``, ``suggested_id``, ``evidence`` and
            ``answers``.

        Raises:
            InputError: OUT holds no such target.
        """
        place = self.place_of(target_id)
        if place is None:
            raise InputError(f"target {target_id[:60]!r}: OUT holds none of this name")
        rows = self.frames.event(place.batch_key, place.media_id)
        with self._lock:
            self._queues.learn(rows)
            answers = [self._given.of(row["media_id"], row["detection_id"]) for row in rows]
            second = waiting_for(self._queues, self._given, ReviewQueue.SECOND, who) or []
        is_blind = place.queue == ReviewQueue.SECOND or any(one.target_id == target_id for one in second)
        return event_content(rows, [[]] * len(rows) if is_blind else answers)

    def picture(self, media_id: str) -> Row | None:
        """A row of ``sql/frames.sql`` of a picture that the review has shown or waits to; None where it knows none."""
        with self._lock:
            batch_key = self._queues.batch_of(media_id)
        rows = self.frames.event(batch_key, media_id) if batch_key is not None else []
        return next((row for row in rows if row["media_id"] == media_id), None)

    def source_of(self, batch_key: str) -> str | None:
        """SOURCE of a batch's pictures; nothing outside it may be served."""
        return self.source or self.frames.run(batch_key).get("source")

    def names(self) -> list[str]:
        """Names that models and labels of the audit know, and those given in this review, sorted."""
        with self._lock:
            given = {one.individual_id for one in self._given.counting() if one.individual_id}
            return sorted({*self._queues.names, *given})

    def references(self, individual_id: str, flank: str | None, n: int) -> list[dict[str, Any]]:
        """Labelled pictures of an individual: ``target_id``, ``media_id``, ``flank``, ``picture``; those of a flank first."""
        rows = self.frames.references(individual_id, flank, n)
        with self._lock:
            self._queues.learn(rows)
        return [
            {name: row[name] for name in ("target_id", "media_id", "flank")} | addresses(row["media_id"], None)
            for row in rows
        ]

    def groups(self, who: str) -> dict[str, list[Waiting]]:
        """Candidate -> its members that wait for this person, in the order of their queue."""
        with self._lock:
            waiting = waiting_for(self._queues, self._given, ReviewQueue.CANDIDATES, who) or []
        found: dict[str, list[Waiting]] = {}
        for one in waiting:
            found.setdefault(one.group_id or "", []).append(one)
        return found

    @cached_property
    def likeness(self) -> Likeness:
        """Which labelled individuals a picture is near to."""
        from scd_core.audit.review.likeness import Likeness  # read when somebody names a new individual

        return Likeness(self.frames)

    # answers

    def answers_of(self, target: Row) -> list[Given]:
        """Answers about a target that came since the report and count, one of each person, oldest first."""
        with self._lock:
            return self._given.of(target["media_id"], target["detection_id"])

    def write(self, answers: Sequence[Answer], who: str) -> dict[str, Any]:
        """Write answers, all or none; when this returns they are in OUT.

        An answer that only repeats this person's newest one (:func:`repeated`) is not written again.

        Args:
            answers: what was said.
            who: by whom.

        Returns:
            ``import_id``, and ``written``, the number of rows; where there was nothing new, the id of the answer before.

        Raises:
            InputError: there is no such target or queue.
            ConflictError: somebody else answered since it was handed out, and the answer does not name that one in ``replaces``.
            RunError: OUT cannot be read or written; nothing was written.
        """
        targets = [self.target(one.target_id) for one in answers]
        for one, target in zip(answers, targets, strict=True):
            if target is None:
                raise InputError(f"target {one.target_id!r}: OUT holds none of this name")
        stones = read_tombstones(self.store)
        if gone := [row["target_id"] for row in targets if row is not None and stones.has_medium(row["media_id"])]:
            raise InputError(f"target {gone[0]!r}: was forgotten since this review was opened")
        with self._lock:
            self._given.poll()
            now, import_id = self._now(), new_import_id()
            rows: list[LabelRow] = []
            before = None
            for one, target in zip(answers, targets, strict=True):
                assert target is not None
                if one.queue is not None:
                    self._queues.check_origin(one.queue)
                given = self._given.of(target["media_id"], target["detection_id"])
                if (own := repeated(one, given, who)) is not None:
                    before = own.import_id
                    continue
                self._check_conflict(one, given, who)
                rows.append(answer_row(one, target, who, now, import_id, len(rows)))
            if not rows:
                return {"import_id": before, "written": 0}
            table = table_from_rows("labels", rows)
            file = self.store.write_table("labels", table, now.date(), import_id)
            self._given.add(file, table.to_pylist())
        return {"import_id": import_id, "written": len(rows)}

    def undo(self, import_id: str, who: str) -> dict[str, Any]:
        """Take answers back, by a new row.

        Args:
            import_id: of the answers.
            who: by whom, who must have given them.

        Returns:
            ``import_id`` and ``undone``, the number of answers that no longer count.

        Raises:
            InputError: there are no such answers since the report, they are somebody else's, or are undone already.
            RunError: OUT cannot be read or written.
        """
        with self._lock:
            self._given.poll()
            found = self._given.of_import(import_id)
            if found is None:
                why = "is in the report already" if self._given.was_reported(import_id) else "there is none"
                raise InputError(f"undo {import_id!r}: {why}; see `trapaudit labels list {self.out}`")
            if self._given.is_undone(import_id):
                raise InputError(f"undo {import_id!r}: is undone already")
            if others := {str(one.who) for one in found} - {who}:
                raise InputError(f"undo {import_id!r}: is an answer of {', '.join(sorted(others))}")
            row = undo_row(import_id, self._now())
            table = table_from_rows("labels", [row])
            file = self.store.write_table("labels", table, row["imported_at"].date(), row["import_id"])
            self._given.add(file, table.to_pylist())
        return {"import_id": import_id, "undone": len(found)}

    def last_of(self, who: str) -> dict[str, Any] | None:
        """``import_id`` and ``target_id`` of a person's newest answer since the report that counts; None where there is none."""
        with self._lock:
            self._given.poll()
            own = [one for one in self._given.counting() if one.who == who and one.review_queue is not None]
            for import_id in [one.import_id for one in sorted(own, key=lambda one: one.at, reverse=True)]:
                given = self._given.of_import(import_id) or []
                found = [self._queues.place_at(one.media_id, one.detection_id) for one in given if one.media_id]
                places = sorted((one for one in found if one), key=lambda one: one.queue_probability is None)
                if places:  # of an event's frames the one that was drawn
                    return {"import_id": import_id, "target_id": places[0].target_id}
        return None

    def _check_conflict(self, answer: Answer, answers: Sequence[Given], who: str) -> None:
        """Refuse an answer where somebody else's came since the target was handed out."""
        since = self._handed_out.get((who, answer.target_id), self._n_at_start)
        for given in answers:
            is_known = given.number <= since or answer.replaces == given.import_id or answer.queue == ReviewQueue.SECOND
            if given.who != who and not is_known:
                raise ConflictError(answer.target_id, given)
