"""Human names in a Camtrap DP package: observations of one medium, and of all media of an event."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from scd_core.boxes import Box
from scd_core.errors import InputError
from scd_core.inputs.camtrap_dp import media_paths
from scd_core.inputs.camtrap_events import Events
from scd_core.inputs.csv import Line
from scd_core.inputs.joining import path_as_joined
from scd_core.inputs.label import MACHINE_RESULTS, Account, Label, name_and_state, parse_time
from scd_core.inputs.megadetector import box_of
from scd_core.label_names import LabelFormat, LabelState
from scd_core.names import UNKNOWN, Flank

__all__ = ["camtrap_labels"]

_OURS = re.compile(r"human-(?:[0-9a-f]{16}-)?([0-9a-f]{16})")
"""observationID of a label that an audit exported; earlier versions wrote the import as well."""


def camtrap_labels(
    observations: Iterable[Line],
    media: Sequence[Line],
    events: Events,
    where: str,
    account: Account,
    column: str = "individualID",
) -> Iterator[Label]:
    """Human observations with a name, and human ``blank`` ones; one that names an event holds for the event's media.

    Args:
        observations: rows of the table.
        media: rows of the table of media.
        events: of the package.
        where: name of the file in messages.
        account: gets the rows that become no label.
        column: holds the name.

    Raises:
        InputError: no row is of a person, or one of them cannot be used; the message gives the line.
    """
    paths_of = media_paths(media)
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
        ours = _OURS.fullmatch(line["observationID"])
        tags = _tags(line["observationTags"])
        name, state = _name(line, column, tags)
        if name is None and state is not LabelState.BLANK and tags.get("labelState") != state:
            account.leave_out(f"rows of a person without {column}", f"line {line.number}")
            continue
        if line["mediaID"] and len(paths_of.get(line["mediaID"], ())) != 1:
            why = "of several files" if line["mediaID"] in paths_of else "not"
            account.leave_out(
                f"rows of a mediaID that is {why} in media.csv", f"line {line.number} (mediaID {line['mediaID']})"
            )
            continue
        try:
            files = paths_of[line["mediaID"]] if line["mediaID"] else events.files(line)
        except InputError as error:
            account.leave_out("event labels that fit no picture", str(error).removeprefix(f"{line.file}: "))
            continue
        if not files:
            event = line.first("eventID", "sequenceID") or f"{line['eventStart']} to {line['eventEnd']}"
            account.leave_out(
                "event labels that fit no picture", f"line {line.number}: {event} of {line['deploymentID']}"
            )
        for file in files:
            yield Label(
                file=path_as_joined(file),
                detection_id=None,
                individual_id=name,
                flank=Flank(side) if (side := tags.get("flank")) in set(Flank) else None,
                labelled_by=line["classifiedBy"] or None,
                labelled_at=parse_time(line["classificationTimestamp"], line.where, "classificationTimestamp"),
                state=state,
                bbox=_box(line),
                label_id=ours[1] if ours else None,
                source=LabelFormat(was) if (was := tags.get("labelSource")) in set(LabelFormat) else None,
            )
    if not n_human:
        raise InputError(f"{where}: no observation has classificationMethod human: {MACHINE_RESULTS}")


def _tags(text: str) -> dict[str, str]:
    """Tags of an observation that an audit exported."""
    pairs = (tag.partition(":") for tag in text.split("|"))
    return {name.strip(): value.strip() for name, _, value in pairs}


def _name(line: Line, column: str, tags: Mapping[str, str]) -> tuple[str | None, LabelState]:
    if line[column]:
        return name_and_state(line[column])
    if line["observationType"].lower() == "blank":
        return None, LabelState.BLANK
    if tags.get("labelState") == LabelState.UNKNOWN:
        return UNKNOWN, LabelState.UNKNOWN
    return None, LabelState.UNCLEAR


def _box(line: Line) -> Box | None:
    box = box_of([line[f"bbox{side}"] for side in ("X", "Y", "Width", "Height")])
    return box if all(value == value for value in box) and box[2] > 0 and box[3] > 0 else None
