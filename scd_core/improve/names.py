"""The fixed words of `trapaudit improve`, as enums: views, heads, copies, and what is preferred."""

from __future__ import annotations

from enum import StrEnum

__all__ = [
    "CopyKind",
    "HeadKind",
    "Preference",
    "View",
]


class View(StrEnum):
    """What `trapaudit improve` shows a network of a labelled picture."""

    WHOLE = "whole"
    """The whole frame."""
    BOX_CROP = "box_crop"
    """The animal's box, filling the input."""
    WIDE_CROP = "wide_crop"
    """The animal's box with a little around it: .15 of its width and height on each side."""
    WIDER_CROP = "wider_crop"
    """The animal's box with as much around it: half of its width and height on each side."""
    POOLED = "pooled_in_box"
    """The whole frame, its features averaged inside the animal's box alone."""
    BLURRED = "background_blurred"
    """The whole frame, all but the animal's box blurred (early masking)."""
    AVERAGE = "average"
    """The mean of the log-probabilities of `box_crop` and `pooled_in_box`."""


class Preference(StrEnum):
    """Which of several better ways `trapaudit improve` recommends."""

    HOME = "home"
    """The one that keeps most of what the model knows at home, among those with .8 of the largest gain in new places."""
    NEW_PLACES = "new-places"
    """The one that is right most often in new places."""


class HeadKind(StrEnum):
    """How `trapaudit improve` fits a new last layer."""

    LOGISTIC = "logistic"
    """Logistic regression."""
    CLASS_MEANS = "class_means"
    """The nearest class mean, in features whitened by the spread within classes."""
    FINE_TUNED = "fine_tuned"
    """Trained by gradients, together with the last blocks of the network."""


class CopyKind(StrEnum):
    """What a copy of an animal's picture is that fine-tuning learns from."""

    PLAIN = "plain"
    """The crop to its box, as it is named later."""
    MOVED = "moved"
    """The edges of the box moved a little."""
    MASKED = "masked"
    """The middle alone; grey or blurred around it."""
    SWAPPED = "swapped"
    """The animal in the place of another camera, with some of that place around it."""
