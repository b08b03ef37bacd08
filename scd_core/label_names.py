"""The fixed words of labels and of the review, as enums: formats, states, queues, and whether a label counts."""

from __future__ import annotations

from enum import StrEnum

__all__ = [
    "BlankWord",
    "LabelFormat",
    "LabelList",
    "LabelState",
    "LabelStatus",
    "ReviewQueue",
]


class LabelFormat(StrEnum):
    """The format of a file of human labels."""

    CSV = "csv"
    CAMTRAP_DP = "camtrap-dp"
    TIMELAPSE = "timelapse"
    LABEL_STUDIO = "label-studio"
    REVIEW = "review"
    """No file: a person answered in `trapaudit review`."""


class ReviewQueue(StrEnum):
    """Queues of the review; beside them each slice has one, `slice:` and its id."""

    NEXT = "next"
    """What to label next, drawn at random within strata."""
    SUSPECTED = "suspected"
    """Labels that may be wrong."""
    CANDIDATES = "candidates"
    """Groups of unknowns that look like one new individual."""
    DISAGREEMENTS = "disagreements"
    """Pictures that two people name differently."""
    PAIRS = "pairs"
    """Doubtful names beside a labelled picture of the same individual: same or different."""
    SECOND = "second"
    """Pictures that somebody else has answered, whose answers are not shown."""


class LabelList(StrEnum):
    """Lists of pictures to label that no review shows, in the column `review_queue`."""

    COMPARE = "compare"
    """Pictures that two models name differently, of `trapaudit compare`."""
    IMPROVE = "improve"
    """Pictures whose labels would move a new head most, of `trapaudit improve --label-next`."""


class LabelState(StrEnum):
    """What a person said of a picture or an animal."""

    NAMED = "named"
    UNKNOWN = "unknown"
    """An animal that is none of the known ones."""
    BLANK = "blank"
    """No animal in the picture."""
    UNCLEAR = "unclear"
    """An animal, but nobody can say which."""


class BlankWord(StrEnum):
    """Words that mean a picture without an animal, in labels and as classes of a model."""

    BLANK = "blank"
    EMPTY = "empty"
    NOTHING = "nothing"
    NONE = "none"


class LabelStatus(StrEnum):
    """Whether a label counts."""

    NEWEST = "newest"
    SUPERSEDED = "superseded"
    WAITING = "waiting"
    AMBIGUOUS = "ambiguous"
    CONFLICTING = "conflicting"
    SEVERAL = "several"
    """It names one of several animals, and not which of the picture's boxes is it."""
    UNDONE = "undone"
