"""Answers of people in Label Studio: its JSON, JSON_MIN, CSV and TSV, of tasks that an audit exported or of any other project."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from scd_core.boxes import Box
from scd_core.errors import InputError
from scd_core.inputs.exported import CARRIED, CarriedPicture, read_carried, same_box, word_of
from scd_core.inputs.label import Account, Label, flank_of, name_and_state
from scd_core.inputs.label_studio_answers import (
    Answer,
    Part,
    picture_path,
    read_answers,
)
from scd_core.names import Flank

__all__ = ["BOX", "FLANK", "IMAGE", "PICTURE", "WHOLE_NAME", "label_studio_labels"]

IMAGE = "image"
"""Key of a task's data with the picture's address, in tasks that an audit exported."""
BOX, WHOLE_NAME, PICTURE, FLANK = "animal", "individual", "picture", "flank"
"""Controls of the labelling interface of such tasks: rectangles with names, the name of a whole frame, `blank` or `unclear`,
and the flank of a rectangle's animal."""


def label_studio_labels(text: str, where: str, account: Account, column: str | None = None) -> Iterator[Label]:
    """Labels of an export of Label Studio; what a model predicted there is none.

    Args:
        text: the whole file.
        where: its name in messages.
        account: gets the answers that become no label.
        column: control whose answers are the names, of a project that is not an audit's; None takes the one that gives
            names to regions, or the only one with choices where no region has a name.

    Raises:
        InputError: the file is none, or several controls could give the names; the message gives the place.
    """
    answers = list(read_answers(text, where, account, column))
    control = ""
    if any(CARRIED not in answer.data for answer in answers):
        control = (column or _control(answers, where) or "").lower()
    for answer in answers:
        if CARRIED in answer.data:
            found = list(_own(answer, read_carried(str(answer.data[CARRIED]), answer.where), column))
        else:
            found = list(_foreign(answer, control))
        account.n_rows += max(1, len(found))
        if not found:
            account.leave_out(
                "answers without a name (--column names a control of choices)", answer.where.removeprefix(f"{where}: ")
            )
        yield from found


def _control(answers: Sequence[Answer], where: str) -> str | None:
    """The control that gives the names; None where nothing does."""
    parts = [part for answer in answers if CARRIED not in answer.data for part in answer.parts if part.words]
    regions = {part.control for part in parts if part.kind.endswith("labels")}
    found = sorted(regions or {part.control for part in parts if part.kind in ("choices", "taxonomy")})
    if len(found) > 1:
        raise InputError(
            f"{where}: the controls {', '.join(found)} could each hold the names; name the one that does: --column NAME"
        )
    return found[0] if found else None


def _foreign(answer: Answer, control: str) -> Iterator[Label]:
    boxes = {part.key: part.box for part in answer.parts if part.key is not None and part.box is not None}
    for part in answer.parts:
        if part.control.lower() != control:
            continue
        for word in part.words:
            name, state = name_and_state(word)
            box = part.box or (boxes.get(part.key) if part.key is not None else None)
            yield Label(
                picture_path(answer), None, name, None, answer.by, answer.at, state, box if state != "blank" else None
            )


def _own(answer: Answer, picture: CarriedPicture, column: str | None) -> Iterator[Label]:
    names = [part for part in answer.parts if part.words and part.control in {BOX, WHOLE_NAME, PICTURE, column}]
    flanks = [part for part in answer.parts if part.control == FLANK and part.words]
    by_key = {part.key: part for part in flanks if part.key is not None}
    for part in names:
        said = by_key.get(part.key) if part.key is not None else None
        if part.key is None and len(flanks) == len(names) == 1:  # JSON_MIN and CSV do not say whose flank it is
            said = flanks[0]
        flank = _flank(said, answer)
        was = _before(part, picture, flank)
        if was is not None:
            yield was
            continue
        detection = picture.detection_of(part.box) if part.box is not None else None
        yield picture.new_label(
            part.words[0], detection, part.box, flank=flank, labelled_by=answer.by, labelled_at=answer.at
        )


def _before(part: Part, picture: CarriedPicture, flank: Flank | None) -> Label | None:
    """The label of the audit that a part of an answer is, unchanged; None where it is an answer of its own."""
    boxes = dict(picture.targets)
    for label in picture.labels:
        if part.key is not None and part.key != label.label_id:
            continue
        box = label.bbox or boxes.get(label.detection_id)
        is_same = part.words[0] == word_of(label).strip() and _equal(box, part.box)
        # Without keys, a flank may be lost on the way.
        if is_same and (flank == label.flank or (part.key is None and flank is None)):
            return label
    return None


def _equal(one: Box | None, other: Box | None) -> bool:
    return one is other if one is None or other is None else same_box(one, other)


def _flank(part: Part | None, answer: Answer) -> Flank | None:
    return None if part is None else flank_of(part.words[0], answer.where)
