"""Answers that came since the report, by whoever: read from the files of `labels` that are new, each once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from scd_core.audit.review.answers import Answer
from scd_core.label_names import ReviewQueue
from scd_core.tables.folder import file_key
from scd_core.tables.store import AuditStore

__all__ = ["ConflictError", "Given", "GivenAnswers", "repeated"]


@dataclass(frozen=True, slots=True)
class Given:
    """An answer in OUT."""

    import_id: str
    media_id: str | None
    detection_id: str | None
    who: str | None
    individual_id: str | None
    name: str
    """The individual, or the state where there is none."""
    flank: str | None
    at: datetime
    review_queue: str | None
    number: int
    """Of the answer among those that this process has read, from 1."""

    def as_json(self) -> dict[str, Any]:
        """What the interface gives of it."""
        return {
            "import_id": self.import_id, "who": self.who, "name": self.name, "flank": self.flank, "at": self.at.isoformat(),
        }  # fmt: skip


class ConflictError(Exception):
    """Somebody else answered since the picture was handed out.

    Args:
        target_id: the target.
        other: the newest answer of the other person.
    """

    def __init__(self, target_id: str, other: Given) -> None:
        super().__init__(f"{other.who} called it {other.name} meanwhile")
        self.target_id = target_id
        self.other = other


class GivenAnswers:
    """Who said what since the report; not for several threads at once.

    Args:
        store: OUT.
        known_files: files of `labels` that the report counts, which are not read.
    """

    def __init__(self, store: AuditStore, known_files: Iterable[str]) -> None:
        self._store = store
        self._seen = set(known_files)
        self._old = frozenset(self._seen)
        self._by_target: dict[tuple[str, str | None], list[Given]] = {}
        self._imports: dict[str, list[Given]] = {}
        self._undone: set[str] = set()
        self.n_read = 0
        """Answers that were read so far."""

    def poll(self) -> int:
        """Read the files of `labels` that are new, and give their number.

        Raises:
            RunError: OUT cannot be read.
        """
        new = [file for file in self._store.committed_files("labels") if file not in self._seen]
        if new:
            for row in self._store.read_files("labels", new).to_pylist():
                self._add(row)
            self._seen.update(new)
        return len(new)

    def add(self, file: str, rows: Iterable[Mapping[str, Any]]) -> None:
        """Take rows that this process wrote to a file, which is then not read."""
        if file not in self._seen:
            self._seen.add(file)
            for row in rows:
                self._add(row)

    def of(self, media_id: str, detection_id: str | None) -> list[Given]:
        """Answers that count for a target, oldest first: of its box, or of the whole picture; one of each person, the newest."""
        found = [*self._by_target.get((media_id, None), ())]
        if detection_id is not None:
            found += self._by_target.get((media_id, detection_id), ())
        newest = {one.who: one for one in sorted(found, key=lambda one: one.at) if one.import_id not in self._undone}
        return sorted(newest.values(), key=lambda one: one.at)

    def of_import(self, import_id: str) -> list[Given] | None:
        """Answers of an import that came since the report; None where it is not known."""
        return self._imports.get(import_id)

    def is_undone(self, import_id: str) -> bool:
        """Whether an import was undone since the report."""
        return import_id in self._undone

    def was_reported(self, import_id: str) -> bool:
        """Whether the report counts a file of this name."""
        return any(file_key(file) == import_id for file in self._old)

    def counts(self) -> Counter[str]:
        """Pictures that were answered since the report, by queue of the review."""
        found = {
            (one.review_queue, target)
            for target, answers in self._by_target.items()
            for one in answers
            if one.review_queue is not None and one.import_id not in self._undone
        }
        return Counter(queue for queue, _ in found if queue is not None)

    def targets(self) -> list[tuple[str, str | None]]:
        """Medium and box of every target with an answer since the report, in the order in which they were first answered."""
        return list(self._by_target)

    def files(self) -> list[str]:
        """All files of `labels` that were read or were known, sorted."""
        return sorted(self._seen)

    def media(self) -> set[str]:
        """Pictures with an answer since the report, undone or not."""
        return {one.media_id for found in self._imports.values() for one in found if one.media_id is not None}

    def counting(self) -> list[Given]:
        """All answers that are not undone, in the order in which they were read."""
        return [one for answers in self._imports.values() for one in answers if one.import_id not in self._undone]

    def _add(self, row: Mapping[str, Any]) -> None:
        if row["undoes_import_id"] is not None:
            self._undone.add(row["undoes_import_id"])
            return
        name = row["individual_id"] or row["state"] or ""
        at = row["labelled_at"] or row["imported_at"]
        given = Given(
            row["import_id"], row["media_id"], row["detection_id"], row["labelled_by"], row["individual_id"], name,
            row["flank"], at, row.get("review_queue"), self.n_read + 1,
        )  # fmt: skip
        self.n_read += 1
        self._imports.setdefault(given.import_id, []).append(given)
        if given.media_id is not None:
            self._by_target.setdefault((given.media_id, given.detection_id), []).append(given)


def repeated(answer: Answer, given: Sequence[Given], who: str) -> Given | None:
    """A person's newest answer where another one only repeats it, as a browser does that sends it twice; else None.

    The same name is no repetition where it decides between two people, or is given in knowledge of a newer answer.

    Args:
        answer: the answer.
        given: what counts for its target, oldest first, one of each person.
        who: the person.
    """
    own = next((one for one in given if one.who == who), None)
    if own is None or answer.box is not None or (own.name, own.flank) != (answer.name, answer.flank):
        return None
    is_decided = answer.queue != ReviewQueue.DISAGREEMENTS or own.review_queue == ReviewQueue.DISAGREEMENTS
    is_newest = answer.replaces is None or own is given[-1]
    return own if is_decided and is_newest else None
