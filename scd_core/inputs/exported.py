"""What an exported picture carries with it through other software, so that its labels come back as what they were."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scd_core.boxes import Box
from scd_core.errors import InputError
from scd_core.inputs.joining import path_as_joined
from scd_core.inputs.label import Label, name_and_state, parse_time
from scd_core.label_names import LabelFormat, LabelState
from scd_core.names import FlagReason, Flank, Stratum

__all__ = ["CARRIED", "CarriedPicture", "Slot", "read_carried", "same_box", "word_of"]

CARRIED = "trapaudit"
"""Column, or key of a task's data, that holds the text."""
_SAME = 1e-4
"""Most that a side of a box moves when software rounds it; share of the picture."""


@dataclass(frozen=True, slots=True)
class Slot:
    """A place for one animal's name: an animal that was classified, or a label that is of none of these."""

    detection_id: str | None
    bbox: Box | None
    label: Label | None = None
    """The label that it had when it was exported."""


@dataclass(frozen=True)
class CarriedPicture:
    """A picture with its animals and labels, as it was exported."""

    file: str
    """Path that means this picture alone."""
    targets: Sequence[tuple[str | None, Box | None]]
    """detection_id and box of what was classified, from left to right; None for a whole frame."""
    labels: Sequence[Label] = ()
    queue: tuple[str | None, str, float] | None = None
    """detection_id, stratum and probability of what was drawn here for the list of what to label next."""

    def slots(self) -> list[Slot]:
        """Places for names, in an order that the picture alone decides: animals from left to right, then other labels."""
        found: list[Slot] = []
        rest = list(self.labels)
        for detection, box in self.targets:
            own = [one for one in rest if one.detection_id == detection and one.state is not LabelState.BLANK]
            rest = [one for one in rest if one not in own]
            found += [Slot(detection, box, one) for one in own] or [Slot(detection, box)]
        return [*found, *(Slot(one.detection_id, one.bbox, one) for one in rest)]

    def new_label(self, word: str, detection: str | None, box: Box | None, **said: Any) -> Label:
        """A person's answer about an animal of the picture.

        Args:
            word: the name, or a word of :func:`scd_core.inputs.label.name_and_state`, or ``unclear``.
            detection: the animal's detection_id; None for the whole picture, or a box that the person drew.
            box: the animal's box; None for the whole picture.
            said: further values of the label: who, when, flank, source.
        """
        name, state = (None, LabelState.UNCLEAR) if word == LabelState.UNCLEAR else name_and_state(word)
        drawn = self.queue
        if state is LabelState.BLANK:  # it is of the picture, and answers for what was drawn from it
            detection, box = None, None
        elif drawn is not None and drawn[0] != detection:
            drawn = None
        queue, probability = (drawn[1], drawn[2]) if drawn else (None, None)
        values = {"flank": None, "labelled_by": None, "labelled_at": None} | said
        return Label(
            self.file, detection, name, state=state, bbox=box, queue=queue, queue_probability=probability, **values
        )

    def detection_of(self, box: Box) -> str | None:
        """The classified animal whose box this is; None for a box that somebody drew or moved."""
        return next((detection for detection, own in self.targets if own is not None and same_box(own, box)), None)

    def as_text(self) -> str:
        """The picture as one line of JSON."""
        content = {
            "file": self.file,
            "targets": [[detection, _rounded(box)] for detection, box in self.targets],
            "labels": [_label_as_json(one) for one in self.labels],
            "queue": self.queue,
        }
        return json.dumps(content, ensure_ascii=False, separators=(",", ":"))


def word_of(label: Label) -> str:
    """What a person reads of a label: the name, or the state where there is none."""
    return label.individual_id or str(label.state)


def same_box(one: Box, other: Box) -> bool:
    """Whether two boxes are one, but for rounding."""
    return all(abs(first - second) <= _SAME for first, second in zip(one, other, strict=True))


def read_carried(text: str, where: str) -> CarriedPicture:
    """A picture from its text.

    Raises:
        InputError: the text is none of :meth:`CarriedPicture.as_text`, or was changed.
    """
    try:
        content = json.loads(text)
        queue = content["queue"]
        if queue is not None:
            detection, stratum, share = queue
            if stratum not in {*FlagReason, *Stratum} or not 0 < float(share) <= 1:
                raise ValueError(f"queue {queue}")
            queue = None if detection is None else str(detection), str(stratum), float(share)
        return CarriedPicture(
            path_as_joined(str(content["file"])),
            [(None if one is None else str(one), _box(box)) for one, box in content["targets"]],
            list(_labels(str(content["file"]), content["labels"], where)),
            queue,
        )
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise InputError(
            f"{where}: {CARRIED} is not as trapaudit exported it ({type(error).__name__}: {error}); export again"
        ) from error


def _labels(file: str, entries: Sequence[Mapping[str, Any]], where: str) -> Iterator[Label]:
    for entry in entries:
        yield Label(
            file=path_as_joined(file),
            detection_id=entry["detection_id"],
            individual_id=entry["individual_id"],
            flank=Flank(entry["flank"]) if entry["flank"] else None,
            labelled_by=entry["labelled_by"],
            labelled_at=parse_time(entry["labelled_at"], where, "labelled_at"),
            state=LabelState(entry["state"]),
            bbox=_box(entry["bbox"]),
            label_id=str(entry["label_id"]),
            source=LabelFormat(entry["source"]) if entry["source"] else None,
            queue=entry["queue"],
            queue_probability=entry["queue_probability"],
        )


def _label_as_json(label: Label) -> dict[str, Any]:
    return {
        "label_id": label.label_id,
        "detection_id": label.detection_id,
        "individual_id": label.individual_id,
        "state": label.state,
        "flank": label.flank,
        "labelled_by": label.labelled_by,
        "labelled_at": label.labelled_at.isoformat() if label.labelled_at else "",
        "source": label.source,
        "bbox": _rounded(label.bbox),
        "queue": label.queue,
        "queue_probability": label.queue_probability,
    }


def _rounded(box: Box | None) -> list[float] | None:
    return None if box is None else [round(float(value), 9) for value in box]


def _box(values: Sequence[float] | None) -> Box | None:
    if values is None:
        return None
    x, y, width, height = (float(value) for value in values)
    return x, y, width, height
