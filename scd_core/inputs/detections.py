"""Detection boxes of a detector, and how its results find their image in SOURCE."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import PurePosixPath
from typing import TypeVar

from scd_core.boxes import Box
from scd_core.errors import InputError

__all__ = ["ANIMAL", "NOTHING", "Detection", "Detections"]

T = TypeVar("T")

ANIMAL = "animal"
NOTHING = frozenset({"empty", "blank", "none", "nothing"})
"""Categories of a box that holds nothing."""


@dataclass(frozen=True)
class Detection:
    """One box of a detector."""

    detection_id: str
    """Place of the box in its image's list, counted from 0."""
    category: str
    """Lower-case name: animal, person, vehicle, ..."""
    confidence: float
    """0-1; NaN where the file holds no number."""
    bbox: Box
    """As given, not yet clipped."""

    @property
    def is_hidden(self) -> bool:
        """Of a person, a vehicle or anything else but an animal: neither classified nor shown."""
        return self.category != ANIMAL and self.category not in NOTHING

    def problem(self) -> str | None:
        """Why the box cannot be used, in words; None where it can."""
        if place := self.place_problem():
            return place
        return None if math.isfinite(self.confidence) else "confidence is not a number"

    def place_problem(self) -> str | None:
        """Why the box is nowhere in the image, in words; None where it is somewhere."""
        if not all(math.isfinite(value) for value in self.bbox):
            return f"box {self.bbox} is not finite"
        _, _, width, height = self.clipped()
        if width <= 0 or height <= 0:
            return f"box {self.bbox} has no area inside the image"
        return None

    def clipped(self) -> Box:
        """The box cut to the image."""
        x, y, width, height = self.bbox
        left, top = max(0.0, x), max(0.0, y)
        return left, top, min(1.0, x + width) - left, min(1.0, y + height) - top


@dataclass(frozen=True)
class Detections:
    """A detector's results for many files."""

    name: str
    """Name of the file they come from, for messages."""
    boxes: Mapping[str, tuple[Detection, ...]]
    """File as written in the results -> its boxes, possibly none."""
    failures: Mapping[str, str] = field(default_factory=dict)
    """File -> why the detector gave no result."""

    def match(self, files: Iterable[str], strict: bool = True, source: str = "") -> dict[str, tuple[Detection, ...]]:
        """Boxes by media file.

        A file is matched by its path; else by the results' path that agrees with it in most folders, counted from the
        end, where the shorter of the two agrees whole (results made one folder higher or lower, absolute paths). A bare
        file name never decides between two folders.

        Args:
            files: paths relative to SOURCE.
            strict: refuse results that match none of the files, or that fit several of them equally well.
            source: SOURCE, whose own folders count as well.

        Raises:
            InputError: `strict`, and the results cannot be told to belong to the files; both names are said.
        """
        files = list(files)
        found = self._places(files, source)
        if strict:
            self._check(files, found)
        return self._of(found, self.boxes)

    def failed(self, files: Iterable[str], source: str = "") -> dict[str, str]:
        """Why the detector gave no result, by media file, for those it failed on; matched as in :meth:`match`."""
        return self._of(self._places(list(files), source), self.failures)

    @cached_property
    def _by_name(self) -> dict[str, list[tuple[str, tuple[str, ...]]]]:
        """Last part of a path -> the results' paths that end so, in parts."""
        found: dict[str, list[tuple[str, tuple[str, ...]]]] = defaultdict(list)
        for known in dict.fromkeys((*self.boxes, *self.failures)):
            found[PurePosixPath(known).name].append((known, _parts(known)))
        return dict(found)

    def _places(self, files: Sequence[str], source: str) -> dict[str, list[str]]:
        """Media file -> the results' paths that fit it best; one, where it is clear."""
        above = _parts(source.replace("\\", "/"))
        known_files = self.boxes.keys() | self.failures.keys()
        found: dict[str, list[str]] = {}
        for file in files:
            if file in known_files:
                found[file] = [file]
                continue
            own = _parts(file)
            agreeing: dict[int, list[str]] = defaultdict(list)
            for known, parts in self._by_name.get(PurePosixPath(file).name, ()):
                n = _agreement((*above, *own), parts)
                if n >= min(len(own), len(parts)):
                    agreeing[n].append(known)
            if agreeing:
                found[file] = agreeing[max(agreeing)]
        return found

    @staticmethod
    def _of(found: Mapping[str, Sequence[str]], values: Mapping[str, T]) -> dict[str, T]:
        return {file: values[known[0]] for file, known in found.items() if len(known) == 1 and known[0] in values}

    def _check(self, files: Sequence[str], found: Mapping[str, Sequence[str]]) -> None:
        if files and not found:
            first = next(iter((*self.boxes, *self.failures)), "nothing")
            raise InputError(
                f"detections {self.name}: match no image of SOURCE (the file names {first!r}, SOURCE holds {files[0]!r}); "
                "paths must be relative to SOURCE"
            )
        for file, known in found.items():
            if len(known) > 1:
                raise InputError(
                    f"detections {self.name}: {known[0]!r} and {known[1]!r} both fit {file!r} of SOURCE; "
                    "paths must be relative to SOURCE"
                )
        taken = Counter(known[0] for known in found.values())
        doubtful = next((known for known, n in taken.items() if n > 1), None)
        if doubtful is not None:
            rivals = [file for file, known in found.items() if known[0] == doubtful][:2]
            raise InputError(
                f"detections {self.name}: {doubtful!r} fits both {rivals[0]!r} and {rivals[1]!r} of SOURCE; "
                "paths must be relative to SOURCE"
            )


def _parts(path: str) -> tuple[str, ...]:
    return tuple(part for part in path.split("/") if part not in ("", "."))


def _agreement(first: Sequence[str], second: Sequence[str]) -> int:
    """How many parts agree, counted from the end."""
    n = 0
    for one, other in zip(reversed(first), reversed(second)):
        if one != other:
            break
        n += 1
    return n
