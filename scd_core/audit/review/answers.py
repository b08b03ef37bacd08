"""An answer of a person: read from JSON with every value checked, and made a row of the table `labels`."""

from __future__ import annotations

import math
import secrets
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from scd_core.boxes import Box, box_from_row
from scd_core.errors import InputError
from scd_core.inputs.label import name_and_state
from scd_core.label_names import LabelFormat, LabelState
from scd_core.names import UNKNOWN, Flank
from scd_core.tables.rows import LabelRow

__all__ = ["DRAWN", "MOST_ANSWERS", "Answer", "answer_row", "new_import_id", "read_answers"]

MOST_ANSWERS = 1000
"""Answers that one request may hold."""
DRAWN = "drawn-"
"""Begins the detection_id of a box that a person drew, which no detector found."""
_FIELDS = {
    "target_id", "individual_id", "state", "seconds", "flank", "box", "queue", "shown", "replaces",
}  # fmt: skip
_MOST_TEXT = 200
_MOST_SHOWN = 20
_MOST_SECONDS = 86_400.0
_CONTROL = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


@dataclass(frozen=True, slots=True)
class Answer:
    """What a person said of a target."""

    target_id: str
    individual_id: str | None
    """None where the state is `blank` or `unclear`."""
    state: LabelState
    seconds: float | None = None
    """From the picture on the screen to the answer."""
    flank: Flank | None = None
    box: Box | None = None
    """Drawn by the person, where the detector's is wrong or missing."""
    queue: str | None = None
    shown: tuple[str, ...] | None = None
    """Names that were on the screen, most probable first."""
    replaces: str | None = None
    """import_id of the answer by another person that this one is given in full knowledge of."""

    @property
    def name(self) -> str:
        """The name, or the state where there is none."""
        return self.individual_id or str(self.state)


def read_answers(content: object) -> list[Answer]:
    """Answers from a request's JSON.

    Args:
        content: a list of 1 to 1000 objects with ``target_id``, and ``individual_id`` or ``state`` (``unknown``, ``blank``,
            ``unclear``), and where known ``seconds``, ``flank`` (``left``, ``right``), ``box`` (four shares of the picture),
            ``queue``, ``shown`` (names) and ``replaces`` (an import_id).

    Raises:
        InputError: anything else; the message says which answer and which field.
    """
    if not isinstance(content, list) or not content:
        raise InputError("answers: expected a list of at least one answer")
    if len(content) > MOST_ANSWERS:
        raise InputError(f"answers: {len(content)} at once; send at most {MOST_ANSWERS}")
    answers = [_answer(one, f"answer {number}") for number, one in enumerate(content, 1)]
    whole = [one.target_id for one in answers if one.box is None]
    if twice := next((name for name in whole if whole.count(name) > 1), None):
        raise InputError(f"answers: target {twice!r} is answered twice; send one answer for each target")
    return answers


def answer_row(
    answer: Answer, target: Mapping[str, Any], who: str, now: datetime, import_id: str, place: int
) -> LabelRow:
    """The row of ``labels`` for an answer.

    A box that overlaps the target's own by less than half (intersection over union), or is drawn where the target has none, is
    another animal: its ``detection_id`` begins with ``drawn-``, and no prediction is scored by it.

    Args:
        answer: what was said.
        target: row of ``sql/frames.sql``, with ``queue`` and ``queue_probability`` where it was drawn for a label.
        who: the person.
        now: time of the answer, UTC.
        import_id: of the file that the row goes into.
        place: of the row in that file, from 0.
    """
    label_id = f"{import_id[:12]}{place:04x}"
    detection_id, own = target["detection_id"], box_from_row(target)
    if answer.box is not None and (own is None or _overlap(answer.box, own) < 0.5):
        detection_id = f"{DRAWN}{label_id}"
    box = answer.box or own
    if answer.state is LabelState.BLANK:  # of the whole picture
        detection_id, box = None, None
    is_drawn_list = answer.queue in (None, "next", "pairs")
    return {
        "import_id": import_id,
        "label_id": label_id,
        "file": target["file"] or target["uri"],
        "media_id": target["media_id"],
        "detection_id": detection_id,
        "individual_id": answer.individual_id,
        "flank": answer.flank,
        "label_source": LabelFormat.REVIEW,
        "labelled_by": who,
        "labelled_at": now,
        "imported_at": now,
        "state": answer.state,
        "bbox_x_min": box and box[0],
        "bbox_y_min": box and box[1],
        "bbox_width": box and box[2],
        "bbox_height": box and box[3],
        "queue": target.get("queue") if is_drawn_list else None,
        "queue_probability": target.get("queue_probability") if is_drawn_list else None,
        "review_queue": answer.queue,
        "shown": list(answer.shown) if answer.shown is not None else None,
        "answer_seconds": answer.seconds,
    }


def new_import_id() -> str:
    """A name for a file of answers that no other has: 16 hex digits."""
    return secrets.token_hex(8)


def _answer(content: object, where: str) -> Answer:
    if not isinstance(content, dict):
        raise InputError(f"{where}: expected an object with target_id, and individual_id or state")
    if foreign := sorted(str(name) for name in content.keys() - _FIELDS):
        raise InputError(f"{where}: no field {foreign[0]!r:.60}; the fields are {', '.join(sorted(_FIELDS))}")
    individual_id, state = _named(content, where)
    box = _box(content.get("box"), where)
    if box is not None and state is LabelState.BLANK:
        raise InputError(f"{where}: a box with the state blank; a box is around an animal")
    return Answer(
        target_id=_text(content.get("target_id"), f"{where}: target_id"),
        individual_id=individual_id,
        state=state,
        seconds=_seconds(content.get("seconds"), where),
        flank=_flank(content.get("flank"), where),
        box=box,
        queue=_optional(content.get("queue"), f"{where}: queue"),
        shown=_shown(content.get("shown"), where),
        replaces=_optional(content.get("replaces"), f"{where}: replaces"),
    )


def _named(content: Mapping[str, Any], where: str) -> tuple[str | None, LabelState]:
    name, state = content.get("individual_id"), content.get("state")
    if (name is None) == (state is None):
        raise InputError(f"{where}: give either individual_id or state")
    if name is not None:
        return name_and_state(_text(name, f"{where}: individual_id"))
    allowed = [LabelState.UNKNOWN, LabelState.BLANK, LabelState.UNCLEAR]
    if not isinstance(state, str) or state not in allowed:
        raise InputError(f"{where}: state {str(state)[:60]!r}; expected {', '.join(allowed)}")
    return (UNKNOWN if state == LabelState.UNKNOWN else None), LabelState(state)


def _text(value: object, where: str) -> str:
    """A text of one line without characters that hide or reorder others."""
    if not isinstance(value, str) or not value.strip():
        raise InputError(f"{where} is missing or empty")
    text = value.strip()
    if len(text) > _MOST_TEXT * 2:
        raise InputError(f"{where} has {len(text)} characters; at most {_MOST_TEXT * 2} are taken")
    if any(unicodedata.category(char) in _CONTROL for char in text):
        raise InputError(f"{where} {text[:60]!a}: has characters that cannot be shown")
    return text


def _optional(value: object, where: str) -> str | None:
    return None if value is None else _text(value, where)


def _number(value: object) -> float:
    """A finite number, or NaN; true and false are none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return math.nan


def _seconds(value: object, where: str) -> float | None:
    if value is None:
        return None
    seconds = _number(value)
    if not 0 <= seconds < math.inf:
        raise InputError(f"{where}: seconds {str(value)[:40]!r}; expected a number of at least 0")
    return min(seconds, _MOST_SECONDS)


def _flank(value: object, where: str) -> Flank | None:
    if value is None:
        return None
    if not isinstance(value, str) or value not in set(Flank):
        raise InputError(f"{where}: flank {str(value)[:40]!r}; expected left or right")
    return Flank(value)


def _box(value: object, where: str) -> Box | None:
    if value is None:
        return None
    numbers = [_number(one) for one in value] if isinstance(value, list) and len(value) == 4 else [math.nan]
    x, y, width, height = numbers if len(numbers) == 4 else [math.nan] * 4
    if not (0 <= x < 1 and 0 <= y < 1 and 0 < width <= 1 - x + 1e-6 and 0 < height <= 1 - y + 1e-6):
        raise InputError(f"{where}: box; expected x_min, y_min, width, height as shares of the picture, 0 to 1")
    return x, y, min(width, 1 - x), min(height, 1 - y)


def _shown(value: object, where: str) -> tuple[str, ...] | None:
    if value is None:
        return None
    if not isinstance(value, list) or len(value) > _MOST_SHOWN:
        raise InputError(f"{where}: shown; expected a list of at most {_MOST_SHOWN} names")
    return tuple(_text(one, f"{where}: shown") for one in value)


def _overlap(one: Box, other: Box) -> float:
    """Intersection over union, 0-1."""
    wide = min(one[0] + one[2], other[0] + other[2]) - max(one[0], other[0])
    high = min(one[1] + one[3], other[1] + other[3]) - max(one[1], other[1])
    common = max(0.0, wide) * max(0.0, high)
    both = one[2] * one[3] + other[2] * other[3] - common
    return common / both if both > 0 else 0.0
