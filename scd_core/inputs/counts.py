"""What became of the rows of a file that was handed in: counts, examples and one line for the user."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace

__all__ = [
    "COLUMNS",
    "LABELS",
    "LEFT_OUT",
    "MANIFEST",
    "MAX_EXAMPLES",
    "PREDICTIONS",
    "FileCounts",
    "counts_as_json",
    "counts_from_json",
    "some_of",
]

LABELS = "labels"
"""Kind of a file of labels."""
LEFT_OUT = "left out"
"""Kind of the files below SOURCE that are no media; each is a row that is not used."""
MANIFEST = "manifest"
"""Kind of a manifest: each of its tables has counts, and one without rows has the notes on the whole of it."""
PREDICTIONS = "predictions"
"""Kind of a file of names that another tool gave."""
COLUMNS = ("rows", "joined", "waiting", "not understood", "not usable")
"""What is counted, in words."""
MAX_EXAMPLES = 5
"""Examples that are kept and shown of what is not clear."""
_UNITS = {LEFT_OUT: ("file", "files"), "detections": ("entry", "entries"), PREDICTIONS: ("entry", "entries")}
"""What is counted, where it is not the rows of a table: detections and predictions have an entry for each picture, of any number
of boxes."""


@dataclass(frozen=True)
class FileCounts:
    """Rows of one file, and what became of them; a row counts in one of the counts besides `rows`."""

    kind: str
    """What the file is to the user: ``detections``, ``predictions``, ``labels``, ``flags``, ``expected``, ``manifest``, or
    :data:`LEFT_OUT`."""
    name: str
    """Its own name, for messages."""
    rows: int
    joined: int = 0
    """Rows of media that are known."""
    waiting: int = 0
    """Rows that fit no medium of SOURCE; they wait for one."""
    not_understood: int = 0
    """Rows with a value that has no meaning here; they are used without it."""
    unusable: int = 0
    """Rows that are not used."""
    examples: tuple[str, ...] = ()
    """Up to five of the rows that are not joined, each with the reason."""
    notes: tuple[str, ...] = ()
    """What else a user should know, a sentence each: ``6 of 8 pictures have no entry in the detections``."""

    @property
    def what(self) -> str:
        """The kind, as it stands before the name."""
        return f"{self.kind} of" if self.kind == LEFT_OUT else self.kind

    def line(self) -> str:
        """All of it in one line.

        >>> FileCounts("flags", "f.csv", 3, 2, waiting=1, examples=("b.jpg fits no picture",)).line()
        'flags f.csv: 3 rows, 2 joined, 1 waiting (b.jpg fits no picture)'
        """
        shown = f" ({some_of(self.examples)})" if self.examples else ""
        one, many = _UNITS.get(self.kind, ("row", "rows"))
        rows, *others = self.numbers()
        counts = [f"{n} {word}" for n, word in zip(others, COLUMNS[1:], strict=True) if n is not None]
        if self.kind == LEFT_OUT:
            return f"{self.what} {self.name}: {rows} {one if rows == 1 else many}{shown}"
        if rows is None:
            return f"{self.kind} {self.name}: {'; '.join(self.notes)}"
        counts = [f"{rows} {one if rows == 1 else many}", *counts]
        return "; ".join((f"{self.kind} {self.name}: {', '.join(counts)}{shown}", *self.notes))

    def without(self, is_hidden: Callable[[str], bool]) -> FileCounts:
        """The same without examples and notes that are to be shown to nobody."""
        shown = (tuple(line for line in lines if not is_hidden(line)) for lines in (self.examples, self.notes))
        examples, notes = shown
        return replace(self, examples=examples, notes=notes)

    def numbers(self) -> tuple[int | None, ...]:
        """The counts in the order of :data:`COLUMNS`, each None where there is nothing to say of it.

        >>> FileCounts(LEFT_OUT, "cards", 3, unusable=3).numbers()
        (3, None, None, None, None)
        """
        if self.kind == LEFT_OUT:
            return (self.rows, None, None, None, None)
        if self.kind == MANIFEST and not self.rows and self.notes:
            return (None,) * len(COLUMNS)  # the tables of a manifest, where it has any, have counts of their own
        rest = (self.waiting, self.not_understood, self.unusable)
        return (self.rows, self.joined, *(n or None for n in rest))


def some_of(items: Iterable[str], n: int | None = None) -> str:
    """Up to five items in words, and how many more there are.

    Args:
        items: at least those that are shown.
        n: number of all; None is the number of items.

    >>> some_of("abcdefg")
    'a; b; c; d; e; 2 more'
    """
    listed = list(items)
    more = (len(listed) if n is None else n) - len(listed[:MAX_EXAMPLES])
    return "; ".join([*listed[:MAX_EXAMPLES], *([f"{more} more"] if more > 0 else [])])


def counts_as_json(counts: Iterable[FileCounts]) -> str:
    """Counts of files as the column `inputs` of ``runs`` holds them."""
    return json.dumps([asdict(one) for one in counts])


def counts_from_json(text: str | None) -> list[FileCounts]:
    """Counts of files from the column `inputs`; none where it is null, as in an older OUT."""
    rows = json.loads(text) if text else []
    return [FileCounts(**row | {"examples": tuple(row["examples"]), "notes": tuple(row["notes"])}) for row in rows]
