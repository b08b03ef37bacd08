"""The fixed words of the tables, as enums: every status, reason, cause, strategy and kind of error, each written once.

Those of labels stand in :mod:`scd_core.label_names`, those of `trapaudit improve` in :mod:`scd_core.improve.names`.
"""

from __future__ import annotations

from enum import StrEnum

__all__ = [
    "UNKNOWN",
    "Category",
    "Cause",
    "ErrorType",
    "FailureStage",
    "FlagReason",
    "Flank",
    "GradientRegion",
    "LeftOutKind",
    "MaskMethod",
    "MaskStatus",
    "MediaStatus",
    "PredictionStatus",
    "Quality",
    "Relation",
    "Stage",
    "Strategy",
    "StrategyStatus",
    "Stratum",
    "SuspicionReason",
    "TimeSource",
    "Trend",
]

UNKNOWN = "unknown"
"""The name of an individual that is none of the known ones, in predictions and in labels."""


class MediaStatus(StrEnum):
    """Whether an object can be used as a picture."""

    OK = "ok"
    CORRUPT = "corrupt"
    EMPTY = "empty"
    UNSUPPORTED = "unsupported"
    DUPLICATE = "duplicate"
    MISSING = "missing"


class LeftOutKind(StrEnum):
    """Why a file below SOURCE is no medium, in the order in which a run names the counts."""

    RECYCLE_BIN = "recycle_bin"
    DELETED = "deleted"
    THUMBNAIL = "thumbnail"
    COPY = "copy"
    SYSTEM = "system"
    HIDDEN = "hidden"
    SIDECAR = "sidecar"
    LINK = "link"


class FailureStage(StrEnum):
    """Where an object turned out to be unusable."""

    LIST = "list"
    FETCH = "fetch"
    DECODE = "decode"


class TimeSource(StrEnum):
    """Where the capture time of a picture is from."""

    EXIF = "exif"
    """DateTimeOriginal."""
    EXIF_CREATED = "exif_created"
    """DateTimeDigitized (CreateDate), where there is no DateTimeOriginal."""
    MANIFEST = "manifest"
    FILENAME = "filename"


class Category(StrEnum):
    """What a detector says is in a box, as far as the audit treats it differently; other categories exist."""

    ANIMAL = "animal"
    PERSON = "person"
    VEHICLE = "vehicle"


class IndividualKind(StrEnum):
    """What an individual of the list `trapaudit individuals` is."""

    KNOWN = "known"
    """A person or the model gave its name."""
    CANDIDATE = "candidate"
    """Unknowns that look alike."""


class CandidateChange(StrEnum):
    """What a row of `candidates` does to its candidate."""

    NEW = "new"
    """The picture begins it."""
    GROWN = "grown"
    """The picture is added to it."""
    MERGED = "merged"
    """All its pictures go to another candidate; the row is of no picture."""
    SPLIT = "split"
    """The picture leaves another candidate (`split_from`) for this one."""


class PredictionStatus(StrEnum):
    """Whether a picture or box was given a name."""

    OK = "ok"
    NO_ANIMAL = "no_animal"
    NO_DETECTIONS = "no_detections"
    NOT_NAMED = "not_named"
    """Names of another tool were given, and none of this picture or box."""
    FAILED = "failed"


class FlagReason(StrEnum):
    """Why triage flags a prediction; the reasons before `control` in the order in which the budget is spent."""

    HUMAN_FLAG = "human_flag"
    IMPOSSIBLE_TRAVEL = "impossible_travel"
    EVIDENCE_OUTSIDE = "evidence_outside"
    KNOWN_CONFUSION = "known_confusion"
    EVENT_DISAGREEMENT = "event_disagreement"
    NOT_EXPECTED = "not_expected"
    UNKNOWN = "unknown"
    LOW_PROBABILITY = "low_probability"
    SMALL_MARGIN = "small_margin"
    CONTROL = "control"
    CUT_BY_BUDGET = "cut_by_budget"


class Stratum(StrEnum):
    """What a prediction is drawn from for a label, where it is none of triage's reasons."""

    UNFLAGGED = "unflagged"
    FLAGGED = "flagged"


class GradientRegion(StrEnum):
    """What a name's gradient is measured outside of, or why it is not."""

    BOX = "box"
    """The animal's box."""
    WINDOW = "window"
    """No box is known: the window of half the width and height that holds most of the gradient."""
    PICTURE_IS_BOX = "picture_is_box"
    """Nothing lies outside: the box alone was classified."""
    NO_LAYER = "no_layer"
    """The network has no layer whose features have a place in the picture."""
    NO_NETWORK = "no_network"
    """The names were given by another tool, and no network of theirs is here."""
    FLAT = "flat"
    """Nothing in the picture raises the name's score."""
    NO_GRADIENT = "no_gradient"
    """The network is run by onnxruntime, which gives no gradient."""


class MaskMethod(StrEnum):
    """How a mask of the table `masks` was made."""

    SCD = "scd"


class MaskStatus(StrEnum):
    """Whether a mask could be made."""

    OK = "ok"
    NOT_AVAILABLE = "not_available"
    """No network here gives the name as one that gradients pass through: another tool gave it, or an ONNX model that PyTorch
    does not repeat."""
    FAILED = "failed"


class Strategy(StrEnum):
    """What a masked prediction was classified on again; `fused` is the decision over the others."""

    EARLY_BLUR = "early_blur"
    EARLY_MEAN = "early_mean"
    EARLY_INSIDE = "early_inside"
    EARLY_REMOVED = "early_removed"
    MASK_CROP = "mask_crop"
    BOX_CROP = "box_crop"
    WIDE_CROP = "wide_crop"
    AWAY_CROP = "away_crop"
    CENTER_CROP = "center_crop"
    LATE = "late"
    LATE_BOX = "late_box"
    TIGHT_CROP = "tight_crop"
    FUSED = "fused"


class StrategyStatus(StrEnum):
    """Whether a strategy gave a name."""

    OK = "ok"
    NOT_APPLICABLE = "not_applicable"
    NOT_AVAILABLE = "not_available"
    """The names were given by another tool, and no network of theirs is here."""
    FAILED = "failed"


class Flank(StrEnum):
    """The side of the animal in the picture."""

    LEFT = "left"
    RIGHT = "right"


class ErrorType(StrEnum):
    """The kinds of misidentification (Johansson et al. 2020), and `correct`."""

    SHIFT = "shift"
    SPLIT = "split"
    COMBINATION = "combination"
    EXCLUSION = "exclusion"
    CORRECT = "correct"


class SuspicionReason(StrEnum):
    """Why a name that nobody has checked is in doubt."""

    EVENT_DISAGREEMENT = "event_disagreement"
    IMPOSSIBLE_TRAVEL = "impossible_travel"
    FLIP_UNDER_MASK = "flip_under_mask"
    BACKGROUND_RELIANCE = "background_reliance"
    OVERLAY_RELIANCE = "overlay_reliance"
    HUMAN_FLAG = "human_flag"
    LABEL_CONFLICT = "label_conflict"


class Cause(StrEnum):
    """What explains a wrong name, in the order in which the rules are tried."""

    OVERLAY = "overlay"
    BACKGROUND = "background"
    LABEL_SUSPECT = "label_suspect"
    IMAGE_QUALITY = "image_quality"
    FLANK = "flank"
    PLACE = "place"
    CONFUSABLE_PAIR = "confusable_pair"
    UNEXPLAINED = "unexplained"


class Quality(StrEnum):
    """A picture against others of the same camera and light."""

    GOOD = "good"
    BLURRED = "blurred"
    DARK = "dark"


class Trend(StrEnum):
    """How a systematic slice changed since the report before."""

    NEW = "new"
    GROWING = "growing"
    STEADY = "steady"
    SHRINKING = "shrinking"
    GONE = "gone"


class Stage(StrEnum):
    """The stages of an audit, in their order."""

    INGEST = "ingest"
    CLASSIFY = "classify"
    TRIAGE = "triage"
    MASK = "mask"
    RECLASSIFY = "reclassify"


class ForgetBy(StrEnum):
    """What pictures to forget are chosen by."""

    MEDIA = "media"
    FILE = "file"
    CAMERA = "camera"
    BATCH = "batch"
    BEFORE = "before"


class Relation(StrEnum):
    """How a name that was given is related to the true one, where a taxonomy holds both."""

    SAME = "same"
    """The same species or group in other words."""
    LESS_EXACT = "less_exact"
    """A group that the true one is of."""
    MORE_EXACT = "more_exact"
    """The label is a group, and the name one of it."""
    SPECIES = "species"
    """Two of one species or group."""
    GENUS = "genus"
    """Two species of one genus."""
    FAMILY = "family"
    """Two of one family, and not of one genus."""
    ORDER = "order"
    CLASS = "class"
    APART = "apart"
    """They share no rank that both have."""


class NameSuspicion(StrEnum):
    """What is suspected of the names of individuals."""

    ONE_ANIMAL = "one_animal"
    """Two names are one animal."""
    TWO_ANIMALS = "two_animals"
    """One name is two animals."""
