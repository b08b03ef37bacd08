"""Human names in a Camtrap DP package: observations of one medium, and of all media of an event."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from scd_core.boxes import Box
from scd_core.errors import InputError
from scd_core.inputs.camtrap_events import Events
from scd_core.inputs.csv import Line
from scd_core.inputs.joining import path_as_joined
from scd_core.inputs.label import MACHINE_RESULTS, Account, Label, name_and_state, parse_time
from scd_core.inputs.megadetector import box_of
from scd_core.names import UNKNOWN, LabelState

__all__ = ["camtrap_labels"]

_OURS = re.compile(r"human-[0-9a-f]{16}-([0-9a-f]{16})")
_UNKNOWN_TAG = f"labelState:{LabelState.UNKNOWN}"


def camtrap_labels(
    observations: Iterable[Line], media: Sequence[Line], where: str, account: Account, column: str = "individualID"
) -> Iterator[Label]:
    """Human observations with a name, and human ``blank`` ones; one that names an event holds for the event's media.

    Args:
        observations: rows of the table.
        media: rows of the table of media.
        where: name of the file in messages.
        account: gets the rows that become no label.
        column: holds the name.

    Raises:
        InputError: no row is of a person, or one of them cannot be used; the message gives the line.
    """
    events = Events(media)
    path_of = {line["mediaID"]: line["filePath"] for line in media}
    n_human = 0
    for line in observations:
        account.n_rows += 1
        method = line["classificationMethod"].lower()
        if method != "human":
            account.leave_out(
                "rows of a machine" if method else "rows without a classificationMethod", f"line {line.number}"
            )
            continue
        n_human += 1
        name, state = _name(line, column)
        if name is None and state is not LabelState.BLANK:
            account.leave_out(f"rows of a person without {column}", f"line {line.number}")
            continue
        if line["mediaID"] and line["mediaID"] not in path_of:
            account.leave_out(
                "rows of a mediaID that is not in media.csv", f"line {line.number} (mediaID {line['mediaID']})"
            )
            continue
        try:
            files = [path_of[line["mediaID"]]] if line["mediaID"] else events.files(line)
        except InputError as error:
            account.leave_out("event labels that fit no picture", str(error).removeprefix(f"{line.file}: "))
            continue
        if not files:
            event = line.first("eventID", "sequenceID") or f"{line['eventStart']} to {line['eventEnd']}"
            account.leave_out(
                "event labels that fit no picture", f"line {line.number}: {event} of {line['deploymentID']}"
            )
        for file in files:
            yield _label(line, file, name, state)
    if not n_human:
        raise InputError(f"{where}: no observation has classificationMethod human: {MACHINE_RESULTS}")


def _name(line: Line, column: str) -> tuple[str | None, LabelState]:
    if line[column]:
        return name_and_state(line[column])
    if line["observationType"].lower() == "blank":
        return None, LabelState.BLANK
    if _UNKNOWN_TAG in line["observationTags"]:
        return UNKNOWN, LabelState.UNKNOWN
    return None, LabelState.UNCLEAR


def _label(line: Line, file: str, name: str | None, state: LabelState) -> Label:
    ours = _OURS.fullmatch(line["observationID"])
    return Label(
        file=path_as_joined(file),
        detection_id=None,
        individual_id=name,
        flank=None,
        labelled_by=line["classifiedBy"] or None,
        labelled_at=parse_time(line["classificationTimestamp"], line.where, "classificationTimestamp"),
        state=state,
        bbox=_box(line),
        label_id=ours[1] if ours else None,
    )


def _box(line: Line) -> Box | None:
    box = box_of([line[f"bbox{side}"] for side in ("X", "Y", "Width", "Height")])
    return box if all(value == value for value in box) and box[2] > 0 and box[3] > 0 else None
