"""One label, the words that mean no individual, and the account of a file's rows that became none."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from scd_core.boxes import Box
from scd_core.errors import InputError
from scd_core.label_names import BlankWord, LabelFormat, LabelState
from scd_core.names import UNKNOWN, Flank

__all__ = [
    "BY_PERSON",
    "MACHINE_RESULTS",
    "Account",
    "Label",
    "flank_of",
    "name_and_state",
    "parse_time",
    "probability_column",
    "wall_clock",
    "with_number",
]

MACHINE_RESULTS = "these are a classifier's results; they are predictions, see docs/models.md"
"""The one refusal of a machine's results where a person's names are expected."""
BY_PERSON = "where a person has checked every name, pass --by-person"
"""The way out of that refusal."""
_PROBABILITIES = frozenset(
    {"probability", "prob", "confidence", "conf", "score", "certainty", "likelihood", "softmax", "logit", "logits"}
)
"""Words in names of columns that a classifier writes: ``score``, ``Prediction Score``, ``classificationProbability``."""
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_SINGULAR = {
    "boxes ": "box ", "rows ": "row ", "names ": "name ", "event labels that fit ": "event label that fits ",
    "answers ": "answer ", "tasks ": "task ", "animals ": "animal ",
}  # fmt: skip
_N_EXAMPLES = 5


@dataclass(frozen=True, slots=True)
class Label:
    """What a person said of a picture, or of an animal in it."""

    file: str
    """As written, in the form of :func:`scd_core.inputs.joining.path_as_joined`."""
    detection_id: str | None
    individual_id: str | None
    """None where there is no animal, or nobody can say which."""
    flank: Flank | None
    labelled_by: str | None
    labelled_at: datetime | None
    """UTC; None where the file has no time."""
    state: LabelState = LabelState.NAMED
    bbox: Box | None = None
    """Box of the animal in the file, as shares of the picture."""
    label_id: str | None = None
    """Of the label in the audit that the file is an export of."""
    source: LabelFormat | None = None
    """Format that the label had in that audit."""
    queue: str | None = None
    """Stratum of the list of what to label next that the picture was drawn from; None where it was not on the list."""
    queue_probability: float | None = None
    """Chance that a visit of the stratum stands on the list down to this place, 0-1."""
    review_queue: str | None = None
    """The list that led to the picture, where it is not the one of what to label next."""


@dataclass
class Account:
    """Rows of a file that became no label, by reason, with up to five examples each."""

    n_rows: int = 0
    notes: list[str] = field(default_factory=list)
    """What else a user should know, a sentence each."""
    reasons: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    counts: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def leave_out(self, reason: str, example: str) -> None:
        """Count a row that becomes no label."""
        self.counts[reason] += 1
        if len(self.reasons[reason]) < _N_EXAMPLES:
            self.reasons[reason].append(example)


def flank_of(text: str, where: str) -> Flank | None:
    """The flank that a word names, in any case of its letters; None for no word.

    Args:
        text: the word.
        where: file and place of it, for the message.

    Raises:
        InputError: it names none.
    """
    word = text.lower()
    if word and word not in set(Flank):
        raise InputError(f"{where}: flank {text!r}; expected left, right or nothing")
    return Flank(word) if word else None


def with_number(n: int, reason: str) -> str:
    """A number and a reason of :class:`Account`, which begins with a plural.

    >>> with_number(1, "rows without individualID")
    '1 row without individualID'
    """
    if n == 1:
        reason = next((one + reason[len(many) :] for many, one in _SINGULAR.items() if reason.startswith(many)), reason)
    return f"{n} {reason}"


def name_and_state(name: str) -> tuple[str | None, LabelState]:
    """An individual and the state of its label from the text in a file.

    ``blank``, ``empty`` and ``nothing`` in any case, and ``none`` in small letters, mean a picture without an animal;
    ``unknown`` in any case means none of the known individuals. Every other text is a name, ``None``, ``NA`` and ``null``
    too. A name is taken in Unicode's composed form (NFC), so that one that was typed on another system is no other name.

    >>> name_and_state("Empty"), name_and_state("NA")[0]
    ((None, <LabelState.BLANK: 'blank'>), 'NA')
    """
    is_none = name.lower() == BlankWord.NONE
    if name == BlankWord.NONE if is_none else name.lower() in set(BlankWord):
        return None, LabelState.BLANK
    if name.lower() == UNKNOWN:
        return UNKNOWN, LabelState.UNKNOWN
    return unicodedata.normalize("NFC", name), LabelState.NAMED


def wall_clock(text: str, where: str, column: str) -> datetime | None:
    """A time as written: with its offset where it has one, naive otherwise; None for an empty text.

    Raises:
        InputError: the text is no ISO 8601 time.
    """
    if not text:
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise InputError(f"{where}: {column} {text!r} is no ISO 8601 time such as 2026-03-01T06:30:00Z") from error


def parse_time(text: str, where: str, column: str) -> datetime | None:
    """A time in UTC, one without an offset taken as UTC; arguments and errors as for :func:`wall_clock`."""
    time = wall_clock(text, where, column)
    return time and (time if time.tzinfo else time.replace(tzinfo=UTC)).astimezone(UTC)


def probability_column(columns: Iterable[str]) -> str | None:
    """The first of a table's columns whose name says that it holds a classifier's certainty; None where none does.

    >>> probability_column(["file", "Prediction Score"]), probability_column(["file", "scored_by"])
    ('Prediction Score', None)
    """
    return next((name for name in columns if not _PROBABILITIES.isdisjoint(map(str.lower, _WORD.findall(name)))), None)
