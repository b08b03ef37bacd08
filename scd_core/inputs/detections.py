"""Boxes of a detector: JSON of MegaDetector or SpeciesNet, a CSV file or a Camtrap DP package, by image of SOURCE."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import PurePosixPath

from scd_core.errors import InputError
from scd_core.inputs.camtrap_dp import DATAPACKAGE, media_paths, observation_tables
from scd_core.inputs.camtrap_events import Events
from scd_core.inputs.categories import NOTHING, category_of
from scd_core.inputs.counts import MAX_EXAMPLES, FileCounts, some_of
from scd_core.inputs.csv import Line, has_column, read_csv
from scd_core.inputs.detection import HIDDEN, Detection
from scd_core.inputs.joining import Join, PathIndex, path_as_joined
from scd_core.inputs.megadetector import box_of, number_of
from scd_core.inputs.results_boxes import NUMBERS, read_results
from scd_core.inputs.text import decode_text, read_file
from scd_core.names import Category
from scd_core.storage import clean_url

__all__ = ["Detection", "Detections", "Entry", "detections_from_camtrap", "read_detections"]

_COLUMNS = ("file", "category", "confidence", "x_min", "y_min", "width", "height")
_CAMTRAP_BOX = ("bboxX", "bboxY", "bboxWidth", "bboxHeight")

Entry = tuple[Detection, ...] | str | None
"""What results hold about a medium: its boxes; why there are none that can be relied on; None for an animal somewhere."""


@dataclass(frozen=True)
class Detections:
    """A detector's results for many files."""

    name: str
    """Name of the file they come from, for messages."""
    boxes: Mapping[str, tuple[Detection, ...]]
    """File as written in the results -> its boxes, possibly none; of files of `unplaced` there is no entry here."""
    failures: Mapping[str, str] = field(default_factory=dict)
    """File -> why the detector gave no result."""
    unplaced: frozenset[str] = frozenset()
    """Files with an animal somewhere and no box: named whole."""
    unusable: Sequence[str] = ()
    """Rows that are not used, each with its place and the reason."""
    unfound: Sequence[str] = ()
    """Categories of rows of persons and vehicles that fit no picture; the rows are in `unusable` too."""
    notes: Sequence[str] = ()
    """What else a user should know, a sentence each."""

    @cached_property
    def _index(self) -> PathIndex:
        return PathIndex((*self.boxes, *self.failures, *self.unplaced))

    def join(self, files: Sequence[str], source: str = "", strict: bool = True) -> Join:
        """Join the results to media, as :meth:`scd_core.inputs.joining.PathIndex.join` does.

        Args:
            files: paths relative to SOURCE, all of them.
            source: SOURCE, whose own folders count as well.
            strict: refuse results that match none of the files, or that fit several of them equally well as written.

        Raises:
            InputError: `strict`, and the results and the files do not fit one to one; the message names both.
        """
        return self._index.join(files, source, f"detections {self.name}" if strict else None)

    def entries(self, join: Join) -> dict[str, Entry]:
        """What the results hold about each medium that has an entry."""
        found: dict[str, Entry] = {file: self._entry(path) for file, path in join.path_of.items()}
        for file, paths in join.doubtful.items():
            rival = f"or {paths[1]!r}" if len(paths) > 1 else "which fits other images as well"
            found[file] = f"they name it only as {paths[0]!r}, {rival}"
        for file, paths in join.spellings.items():
            if (boxes := found[file]) is None or isinstance(boxes, tuple):
                found[file] = self._with_spellings(boxes, join.path_of[file], paths)
        return found

    def _with_spellings(self, boxes: tuple[Detection, ...] | None, own: str, paths: Sequence[str]) -> Entry:
        """Boxes of an entry and those of other spellings of its name: all where the Unicode form alone differs.

        A name in other case may be of another picture that is not here, so only its persons are taken: somebody who is in
        the file is never shown.
        """
        more = [
            box
            for path in paths
            for box in self.boxes.get(path, ())
            if box.is_redacted or unicodedata.normalize("NFC", path) == unicodedata.normalize("NFC", own)
        ]
        if not more:
            return boxes
        held = boxes or ()
        return (*held, *(replace(box, detection_id=str(n)) for n, box in enumerate(more, start=len(held))))

    def _entry(self, path: str) -> Entry:
        if path in self.boxes:
            return self.boxes[path]
        return None if path in self.unplaced else self.failures[path]

    def counts(self, join: Join, n_pictures: int) -> FileCounts:
        """What became of the results in a run.

        Args:
            join: of the results and all media of SOURCE.
            n_pictures: media of SOURCE.
        """
        doubtful = {path: file for file, paths in join.doubtful.items() for path in paths}
        failed = [path for path in join.path_of.values() if path in self.failures]
        spellings = {path: file for file, paths in join.spellings.items() for path in paths}
        examples = [
            *(f"{path!r} fits {file!r} of SOURCE no better than another" for path, file in doubtful.items()),
            *(f"{path!r}: {self.failures[path]}" for path in failed),
            *self.unusable,
            *(f"{path!r} fits no picture" for path in join.unused),
        ]
        notes = [
            *self.notes,
            *(
                f"{n} {_boxes(n)} of `{name}` taken as {'an animal' if n == 1 else 'animals'}"
                for name, n in self._species().items()
            ),
        ]
        notes += [
            f"{n} {_boxes(n)} of category {name!r}, which has no name, hidden" for name, n in self._nameless().items()
        ]
        notes += [
            f"{n} row of a {name} fits no picture" if n == 1 else f"{n} rows of {name}s fit no picture"
            for name, n in _tally(self.unfound).items()
        ]
        if n := sum(box.is_redacted and box.place_problem() is not None for box in self._every()):
            notes.append(f"{n} {_boxes(n)} of persons or vehicles without a place: the whole picture is hidden")
        if broken := [problem for box in self._every() if not box.is_redacted and (problem := box.problem())]:
            notes.append(f"{len(broken)} {_boxes(len(broken))} not usable: {some_of(broken)}")
        if spellings:
            shown = some_of(
                (f"{path!r} beside {join.path_of[file]!r}" for path, file in spellings.items()), len(spellings)
            )
            notes.append(f"more than one entry of a picture in other case or Unicode form: {shown}")
        if without := n_pictures - len(join.path_of) - len(join.doubtful):
            pictures = "picture" if n_pictures == 1 else "pictures"
            has = "has" if without == 1 else "have"
            notes.append(f"{without} of {n_pictures} {pictures} {has} no entry in the detections")
        return FileCounts(
            "detections",
            self.name,
            rows=len(self._index.paths) + len(self.unusable),
            joined=len(join.path_of) - len(failed) + len(spellings),
            waiting=len(join.unused),
            not_understood=0,
            unusable=len(self.unusable) + len(failed) + len(doubtful),
            examples=tuple(examples[:MAX_EXAMPLES]),
            notes=tuple(notes),
        )

    def _species(self) -> dict[str, int]:
        """Categories that are animals by no word for animal -> number of boxes, most first."""
        return _tally(box.category for box in self._every() if box.is_animal and box.category != Category.ANIMAL)

    def _nameless(self) -> dict[str, int]:
        return _tally(box.category for box in self._every() if not box.is_named)

    def _every(self) -> Iterator[Detection]:
        return (box for boxes in self.boxes.values() for box in boxes)

    def match(self, files: Iterable[str], strict: bool = True, source: str = "") -> dict[str, tuple[Detection, ...]]:
        """Boxes by media file; arguments and errors as for :meth:`join`."""
        entries = self.entries(self.join(list(files), source, strict))
        return {file: found for file, found in entries.items() if isinstance(found, tuple)}

    def failed(self, files: Iterable[str], source: str = "") -> dict[str, str]:
        """Why there are no boxes that can be relied on, by media file; matched as in :meth:`match`."""
        entries = self.entries(self.join(list(files), source, strict=False))
        return {file: found for file, found in entries.items() if isinstance(found, str)}


def _tally(categories: Iterable[str]) -> dict[str, int]:
    return dict(Counter(categories).most_common())


def _boxes(n: int) -> str:
    return "box" if n == 1 else "boxes"


def read_detections(url: str) -> Detections:
    """Read MegaDetector JSON (1.x), SpeciesNet's predictions, CSV (`file, category, confidence, x_min, y_min, width, height`,
    relative), or the boxes of a Camtrap DP (its ``datapackage.json``, or ``observations.csv`` with ``media.csv`` beside it).

    Raises:
        InputError: the file cannot be read, or is none of them.
    """
    name, where = PurePosixPath(url).name, f"detections {clean_url(url)}"
    content = read_file(url, "detections")
    text = decode_text(content, where)
    if name != DATAPACKAGE and text.lstrip().startswith("{"):
        results = read_results(text, where)
        return Detections(name, results.boxes, results.failures, notes=results.notes())
    if name == DATAPACKAGE or has_column(text, "bboxX"):
        return detections_from_camtrap(url, content, name)
    boxes, unusable = _from_csv(text, where)
    return Detections(name, boxes, unusable=unusable)


_Boxes = dict[str, tuple[Detection, ...]]


def _from_csv(text: str, where: str) -> tuple[_Boxes, list[str]]:
    boxes: _Boxes = {}
    unusable: list[str] = []
    for line in read_csv(text, where, _COLUMNS):
        # All numbers are shares, so a comma in one is a decimal comma.
        confidence, *coordinates = (line[column].replace(",", ".") for column in _COLUMNS[2:])
        file, category = path_as_joined(line["file"]), category_of(line["category"])
        if not file:
            unusable.append(f"line {line.number}: file is empty")
        elif not any(coordinates) and (not category or category in NOTHING):
            # A line without a box means that nothing was found.
            boxes.setdefault(file, ())
        else:
            # Tables that were saved by other programs hold 1.0 for 1.
            category = str(NUMBERS.get(category.removesuffix(".0"), category))
            _add(boxes, file, category, number_of(confidence), coordinates)
    return boxes, unusable


def detections_from_camtrap(url: str, content: bytes, name: str) -> Detections:
    """Boxes of observations of single media (Camtrap DP 1.0), and the pictures of events with a person or vehicle.

    A person without a box may be anywhere in the picture, one in an event in each of its pictures. The package has no
    confidence of a box (its `classificationProbability` is that of the name), so each box counts.

    Args:
        url: of the ``datapackage.json`` or of the observations.
        content: of that file.
        name: its name in messages.

    Raises:
        InputError: a table cannot be read, or has no columns of boxes.
    """
    tables = observation_tables(url, content, "detections")
    media = list(tables.media.lines(("mediaID", "filePath")))
    paths_of = media_paths(media)
    boxes: _Boxes = {}
    unplaced: set[str] = set()
    unusable: list[str] = []
    in_events: list[tuple[Line, str]] = []
    unfound: list[tuple[Line, str, str]] = []
    for line in tables.observations.lines(("mediaID", "observationType", *_CAMTRAP_BOX)):
        category, named = category_of(line["observationType"]), category_of(line["scientificName"])
        if named in HIDDEN:
            category = named
        if not line["mediaID"]:
            if category in HIDDEN:
                in_events.append((line, category))
            else:
                unusable.append(f"line {line.number}: is of an event, not of one medium")
            continue
        files = paths_of.get(line["mediaID"], [])
        if not files:
            why = f"mediaID {line['mediaID']} is not in media.csv"
            if category in HIDDEN:
                unfound.append((line, category, why))
            else:
                unusable.append(f"line {line.number}: {why}")
            continue
        if len(files) > 1:
            unusable.append(f"line {line.number}: mediaID {line['mediaID']} is of several files in media.csv")
            for file in files if category in HIDDEN else ():
                _add(boxes, file, category, 1.0, ("",) * 4)
            continue
        file, coordinates = files[0], [line[column] for column in _CAMTRAP_BOX]
        if category in NOTHING:
            boxes.setdefault(file, ())
        elif any(coordinates) or category in HIDDEN:
            _add(boxes, file, category, 1.0, coordinates)
        elif category == Category.ANIMAL:
            unplaced.add(file)
        else:
            unusable.append(f"line {line.number}: {line['observationType'] or 'no observationType'}, and no box")
    events = Events(media, tables.deployments.lines()) if in_events else None
    if events is not None:
        unfound += _add_events(boxes, in_events, events)
    unusable += (f"line {line.number}: {category}: {why}" for line, category, why in unfound)
    return Detections(
        name,
        boxes,
        unplaced=frozenset(unplaced - boxes.keys()),
        unusable=unusable,
        unfound=[category for _, category, _ in unfound],
        notes=events.notes() if events is not None else (),
    )


def _add_events(boxes: _Boxes, in_events: Sequence[tuple[Line, str]], events: Events) -> list[tuple[Line, str, str]]:
    """Hide the pictures of events with a person or vehicle; the rows whose event has none are given back with the reason."""
    unfound: list[tuple[Line, str, str]] = []
    for line, category in in_events:
        why = "the event fits no picture"
        try:
            files = dict.fromkeys(map(path_as_joined, events.files(line)))
        except InputError as error:
            files, why = {}, f"the event fits no picture ({str(error).removeprefix(f'{line.where}: ')})"
        for file in files:
            _add(boxes, file, category, 1.0, ("",) * 4)
        if not files:
            unfound.append((line, category, why))
    return unfound


def _add(boxes: _Boxes, file: str, category: str, confidence: float, coordinates: Sequence[str]) -> None:
    """One more box of a file, known by its place among them."""
    before = boxes.get(file, ())
    boxes[file] = (*before, Detection(str(len(before)), category, confidence, box_of(coordinates)))
