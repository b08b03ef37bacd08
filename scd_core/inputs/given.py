"""A name that another tool gave to a picture or to a box in it, and the names of one file together."""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from scd_core.boxes import Box
from scd_core.inputs.categories import category_of
from scd_core.inputs.counts import MAX_EXAMPLES, PREDICTIONS, FileCounts
from scd_core.inputs.detection import HIDDEN
from scd_core.inputs.detections import Detections
from scd_core.inputs.joining import Join, PathIndex
from scd_core.names import UNKNOWN

__all__ = ["Given", "GivenEntry", "Predictions", "Tool", "one_of", "ordered", "probability_of"]


@dataclass(frozen=True, slots=True)
class Given:
    """The name that a tool gave to a picture, or to a box in it."""

    candidates: tuple[tuple[str, float | None], ...]
    """Names with their probability, 0-1, most probable first; None where the tool gives none. Empty: the box has no name."""
    detection_id: str | None = None
    """Place of the box among those of its picture; None for the whole picture."""
    bbox: Box | None = None
    """As written, not yet clipped; None for the whole picture."""
    confidence: float | None = None
    """The detector's, 0-1."""
    problem: str | None = None
    """Why the name cannot be used, in words."""
    nameless: str | None = None
    """Why there is no name, in words, where the file has a reason."""

    @property
    def hidden(self) -> str | None:
        """Person or vehicle, where the name means one; None for an animal's."""
        category = category_of(self.candidates[0][0]) if self.candidates else ""
        return category if category in HIDDEN else None


GivenEntry = tuple[Given, ...] | str
"""What a file holds about a picture: its names, none where it holds no animal; or why the tool gave none."""


@dataclass(frozen=True)
class Tool:
    """What gave the names of a file."""

    name: str
    version: str = ""

    def __str__(self) -> str:
        return f"{self.name} {self.version}".strip()


@dataclass(frozen=True)
class Predictions:
    """Names that a tool gave to many pictures."""

    name: str
    """Name of the file they come from, for messages."""
    tool: Tool
    content_sha256: str
    """Over everything that was read."""
    entries: Mapping[str, GivenEntry]
    """File as written -> what the file holds about it."""
    n_rows: int
    """Rows of a table, or pictures of a JSON file."""
    vocabulary: Sequence[str] | None = None
    """Every name that the tool can give; None where the file does not list them."""
    detections: Detections | None = None
    """Boxes of the same file, persons and vehicles among them; None where it holds no boxes."""
    unusable: Sequence[str] = ()
    """Rows that are not used, each with its place and the reason."""
    notes: Sequence[str] = ()
    """What else a user should know, a sentence each."""
    lineages: Mapping[str, str] = field(default_factory=dict)
    """Name -> lineage (:mod:`scd_core.inputs.taxonomy`), of names that the file places in a taxonomy."""

    @property
    def digest(self) -> str:
        """Hash over the tool's name and version and the file: what stands for the digest of a model package."""
        content = json.dumps([self.tool.name, self.tool.version, self.content_sha256])
        return hashlib.sha256(content.encode()).hexdigest()

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names that can be given, as far as the file shows them: sorted, without ``unknown`` and those of persons."""
        found = set(self.vocabulary or ())
        for entry in self.entries.values():
            for one in entry if isinstance(entry, tuple) else ():
                found.update(name for name, _ in one.candidates)
        return tuple(sorted(name for name in found if name != UNKNOWN and category_of(name) not in HIDDEN))

    def join(self, files: Sequence[str], source: str = "") -> Join:
        """Join the names to media, as :meth:`scd_core.inputs.joining.PathIndex.join` does.

        Raises:
            InputError: they match none of the files, or fit several equally well as written.
        """
        return PathIndex(self.entries).join(files, source, f"predictions {self.name}")

    def by_file(self, join: Join) -> dict[str, GivenEntry]:
        """What the file holds about each medium that has an entry."""
        found = {file: self.entries[path] for file, path in join.path_of.items()}
        for file, paths in join.doubtful.items():
            rival = f"or {paths[1]!r}" if len(paths) > 1 else "which fits other pictures as well"
            found[file] = f"they name it only as {paths[0]!r}, {rival}"
        return found

    def counts(self, join: Join, n_pictures: int) -> FileCounts:
        """What became of the pictures of the file in a run.

        Args:
            join: of the names and all media of SOURCE.
            n_pictures: media of SOURCE.
        """
        failed = [path for path in join.path_of.values() if isinstance(self.entries[path], str)]
        doubtful = {path for paths in join.doubtful.values() for path in paths}
        problems = [
            f"{path!r}: {one.problem}" for path, entry in self.entries.items() for one in _names(entry) if one.problem
        ]
        examples = [
            *(f"{path!r} fits a picture of SOURCE no better than another" for path in doubtful),
            *(f"{path!r}: {self.entries[path]}" for path in failed),
            *self.unusable,
            *problems,
            *(f"{path!r} fits no picture" for path in join.unused),
        ]
        notes = list(self.notes)
        hidden = Counter(str(one.hidden) for entry in self.entries.values() for one in _names(entry) if one.hidden)
        notes += [f"{n} {'name' if n == 1 else 'names'} of a {kind}, hidden" for kind, n in hidden.most_common()]
        if problems:
            notes.append(f"{len(problems)} {'name is' if len(problems) == 1 else 'names are'} not usable")
        if without := n_pictures - len(join.path_of) - len(join.doubtful):
            pictures, has = "picture" if n_pictures == 1 else "pictures", "has" if without == 1 else "have"
            notes.append(f"{without} of {n_pictures} {pictures} {has} no entry in the predictions")
        return FileCounts(
            PREDICTIONS,
            self.name,
            rows=len(self.entries) + len(self.unusable),
            joined=len(join.path_of) - len(failed) + sum(map(len, join.spellings.values())),
            waiting=len(join.unused),
            unusable=len(self.unusable) + len(failed) + len(doubtful),
            examples=tuple(examples[:MAX_EXAMPLES]),
            notes=tuple(notes),
        )


def ordered(pairs: Iterable[tuple[str, float | None]]) -> tuple[tuple[str, float | None], ...]:
    """Candidates, most probable first; of one name the most probable, and names without a probability in their order, last.

    >>> ordered([("fox", 0.2), ("elk", 0.7), ("fox", 0.1), ("wolf", None)])
    (('elk', 0.7), ('fox', 0.2), ('wolf', None))
    """
    best: dict[str, float | None] = {}
    for name, probability in pairs:
        held = best.get(name)
        if name not in best or (probability is not None and (held is None or probability > held)):
            best[name] = probability
    return tuple(sorted(best.items(), key=lambda pair: -1.0 if pair[1] is None else -pair[1] - 1.0))


def probability_of(value: object) -> float | None:
    """A probability as written: a number of 0-1, with a decimal comma or a percent sign; None for an empty text.

    Raises:
        ValueError: it is none.

    >>> [probability_of(text) for text in ("0,93", "93 %", "")]
    [0.93, 0.93, None]
    """
    text = "" if value is None else str(value).strip()
    if not text:
        return None
    try:
        number = float(text.rstrip("% ").replace(",", ".")) / (100 if text.endswith("%") else 1)
    except ValueError:
        number = math.nan
    if not math.isfinite(number) or not 0 <= number <= 1:
        raise ValueError(f"probability {text[:40]!r} is no number of 0-1")
    return number


def one_of(found: Sequence[Given]) -> GivenEntry:
    """What several rows hold about one picture: boxes each on its own, one name of the whole picture; else why not.

    >>> lynx, fox = Given((("lynx", 0.9),)), Given((("fox", 0.8),))
    >>> len(one_of([lynx, lynx])), one_of([lynx, fox])
    (1, 'names 2 animals (lynx; fox) and no boxes, so nobody knows which is which')
    """
    boxed = tuple(one for one in found if one.bbox is not None)
    whole = list(dict.fromkeys(one for one in found if one.bbox is None))
    if len(whole) == 1 and not boxed:
        return tuple(whole)
    if not whole:
        return boxed
    names = "; ".join(one.candidates[0][0] if one.candidates else "no name" for one in (*whole, *boxed)[:5])
    lacking = "no box of each" if boxed else "no boxes"
    return f"names {len(whole) + len(boxed)} animals ({names}) and {lacking}, so nobody knows which is which"


def _names(entry: GivenEntry) -> Iterable[Given]:
    return entry if isinstance(entry, tuple) else ()
