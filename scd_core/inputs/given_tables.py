"""Names that a classifier gave, in tables: a plain CSV, Timelapse's, and the machine observations of a Camtrap DP."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from scd_core.errors import InputError
from scd_core.inputs.camtrap_dp import ObservationTables, media_paths
from scd_core.inputs.camtrap_events import Events
from scd_core.inputs.categories import NOTHING, category_of
from scd_core.inputs.csv import Line, column_names, has_column, read_csv
from scd_core.inputs.detection import HIDDEN
from scd_core.inputs.given import Given, GivenEntry, Tool, one_of, ordered, probability_of
from scd_core.inputs.joining import path_as_joined
from scd_core.inputs.label import name_and_state, probability_column
from scd_core.inputs.megadetector import box_of, number_of
from scd_core.label_names import BlankWord, LabelState
from scd_core.names import UNKNOWN, Category

__all__ = ["TableNames", "camtrap_names", "table_names"]

_BOX = ("x_min", "y_min", "width", "height")
_CAMTRAP_BOX = ("bboxX", "bboxY", "bboxWidth", "bboxHeight")
_TOP = re.compile(r"top(\d+)", re.IGNORECASE)


@dataclass
class TableNames:
    """What a table holds about each picture."""

    tool: Tool
    entries: dict[str, GivenEntry]
    n_rows: int = 0
    unusable: list[str] = field(default_factory=list)
    """Rows that are not used, each with its place and the reason."""
    notes: list[str] = field(default_factory=list)
    has_boxes: bool = False
    """The table has columns of boxes."""


def table_names(text: str, where: str, column: str | None = None) -> TableNames:
    """Names in a CSV: `file, individual_id[, probability][, top2, p2 ...][, x_min, y_min, width, height[, confidence]]`, or in
    a Timelapse table (`File, RelativePath`, the names in `column`).

    Args:
        text: the whole file.
        where: its name in messages.
        column: holds the names; None is ``individual_id``.

    Raises:
        InputError: a column is missing, or a line cannot be read.
    """
    is_timelapse = has_column(text, "RelativePath") and has_column(text, "File")
    if is_timelapse and column is None and not has_column(text, "individual_id"):
        raise InputError(f"{where}: is a Timelapse table; name the column of names: --predictions-column NAME")
    names = column or "individual_id"
    columns = column_names(text)
    has_box = all(has_column(text, side) for side in _BOX)
    certain = "probability" if has_column(text, "probability") else probability_column(columns)
    if has_box and certain is not None and certain.lower() in ("confidence", "conf"):
        certain = None  # beside a box it is the detector's
    further = sorted(int(match[1]) for name in columns if (match := _TOP.fullmatch(name)))
    found = TableNames(Tool("Timelapse table" if is_timelapse else "table of names"), {})
    if certain is not None and certain.lower() != "probability":
        found.notes.append(f"probabilities are those of column `{certain}`")
    if certain is None:
        found.notes.append("no column of probabilities: no name is called unsure")
    given: dict[str, list[Given]] = defaultdict(list)
    for line in read_csv(text, where, ("file", names)):
        found.n_rows += 1
        file = _file(line)
        if not line["file"]:
            found.unusable.append(f"line {line.number}: file is empty")
        elif is_timelapse and line["DeleteFlag"].lower() == "true":
            found.unusable.append(f"line {line.number}: is marked for deletion")
        else:
            pairs = [(names, certain or ""), *((f"top{n}", f"p{n}") for n in further)]
            of_file = given[file]
            place = line["detection_id"] or str(sum(one.bbox is not None for one in of_file))
            of_file.append(_given(line, pairs, place if has_box else None))
    found.entries = {file: one_of(some) for file, some in given.items()}
    return found


def _given(line: Line, columns: Sequence[tuple[str, str]], place: str | None) -> Given:
    sides = [line[side].replace(",", ".") for side in _BOX] if place is not None else []
    bbox = box_of(sides) if any(sides) else None
    confidence = number_of(line["confidence"].replace(",", ".")) if bbox and line["confidence"] else None
    pairs: list[tuple[str, float | None]] = []
    problem = None
    try:
        for name, certain in columns:
            if line[name]:
                pairs.append((_name(line[name]), probability_of(line[certain])))
    except ValueError as error:
        problem = str(error)
    # The name of the table stays first, whatever the others' probabilities: it is what the tool gave.
    candidates = () if problem or not pairs else (pairs[0], *(p for p in ordered(pairs) if p[0] != pairs[0][0]))
    if problem is None and candidates and not line[columns[0][0]]:
        candidates = ()
    return Given(candidates, place if bbox else None, bbox, confidence, problem)


def camtrap_names(tables: ObservationTables, where: str) -> TableNames:
    """Names that machine observations of a Camtrap DP give: `individualID`, else `scientificName`.

    One of an event holds for every picture of the event that has no name of its own.

    Args:
        tables: of the package.
        where: name of the file in messages.

    Raises:
        InputError: a table cannot be read, or no row is of a machine.
    """
    media = list(tables.media.lines(("mediaID", "filePath")))
    paths_of = media_paths(media)
    found = TableNames(Tool("Camtrap DP"), {})
    own: dict[str, list[Given]] = defaultdict(list)
    of_events: dict[str, list[Given]] = defaultdict(list)
    empty: dict[str, None] = {}
    events: Events | None = None
    by: dict[str, None] = {}
    n_human = 0
    for line in tables.observations.lines(("mediaID", "observationType", "classificationMethod")):
        found.has_boxes = found.has_boxes or _CAMTRAP_BOX[0].lower() in line.values
        if line["classificationMethod"].lower() != "machine":
            n_human += 1
            continue
        found.n_rows += 1
        by[line["classifiedBy"]] = None
        files, target = paths_of.get(line["mediaID"], []), own
        if not line["mediaID"]:
            events = events or Events(media, tables.deployments.lines())
            files, target = _of_event(line, events, found.unusable), of_events
        elif len(files) != 1:
            why = "is of several files in media.csv" if files else "is not in media.csv"
            found.unusable.append(f"line {line.number}: mediaID {line['mediaID']} {why}")
            continue
        for file in files:
            if category_of(line["observationType"]) in NOTHING:
                empty[file] = None
                continue
            sides = [line[side] for side in _CAMTRAP_BOX] if target is own else []
            bbox = box_of(sides) if any(sides) else None
            place = str(sum(one.bbox is not None for one in target[file])) if bbox else None
            target[file].append(_of_observation(line, bbox, place))
    if not found.n_rows:
        raise InputError(
            f"{where}: no observation of a machine ({n_human} of people); people's names are labels: give it with --labels"
        )
    if n_human:
        found.notes.append(
            f"{n_human} {'observation' if n_human == 1 else 'observations'} of people not read as predictions"
        )
    if events is not None:
        found.notes += events.notes()
    found.tool = Tool(", ".join(name for name in by if name) or "Camtrap DP")
    entries: dict[str, GivenEntry] = dict.fromkeys(empty, ())
    entries |= {file: one_of(some) for file, some in of_events.items()}
    found.entries = entries | {file: one_of(some) for file, some in own.items()}
    return found


def _of_event(line: Line, events: Events, unusable: list[str]) -> list[str]:
    try:
        files = list(dict.fromkeys(map(path_as_joined, events.files(line))))
    except InputError as error:
        unusable.append(str(error).removeprefix(f"{line.file}: "))
        return []
    if not files:
        unusable.append(f"line {line.number}: the event fits no picture")
    return files


def _of_observation(line: Line, bbox: tuple[float, float, float, float] | None, place: str | None) -> Given:
    category = category_of(line["observationType"])
    name = line.first("individualID", "scientificName")
    if category in HIDDEN:
        name = str(category)
    elif name is None and category == Category.ANIMAL and line["classifiedBy"].startswith("trapaudit "):
        name = UNKNOWN  # an audit's export leaves the name of an unknown individual empty
    try:
        certain, problem = probability_of(line["classificationProbability"]), None
    except ValueError as error:
        certain, problem = None, str(error)
    candidates = () if problem or name is None else ((_name(name), certain),)
    return Given(candidates, place, bbox, None, problem, _nameless(line, category) if name is None else None)


def _nameless(line: Line, category: str) -> str:
    if category == Category.ANIMAL:
        return "the observation of an animal has neither individualID nor scientificName"
    return f"the observation is of type {line['observationType']!r}, which names nothing"


def _name(text: str) -> str:
    """A name as rows hold it; the words that mean no animal, and none of the known ones, in one spelling each."""
    name, state = name_and_state(text)
    return str(BlankWord.BLANK) if state is LabelState.BLANK else str(name)


def _file(line: Line) -> str:
    folder = path_as_joined(line["RelativePath"]).strip("/")
    return path_as_joined(f"{folder}/{line['file']}" if folder else line["file"])
