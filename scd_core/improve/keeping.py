"""Heads that keep something of the model as it is run: where it knows a place, its name counts beside the animal's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from scd_core.identify.architectures import last_linear
from scd_core.identify.class_means import NEVER, Head
from scd_core.identify.classifier import Classifier
from scd_core.improve.heads import Floats
from scd_core.improve.names import View
from scd_core.improve.show import Shown

__all__ = ["KEEPS", "Heads", "kept_heads", "own_head", "spread"]

KEEPS = (0.3, 0.45, 0.6)
"""Weights of the model as it is run beside a new head that are tried, both at the same spread of scores."""


@dataclass(frozen=True)
class Heads:
    """Last layers that name a target together: their scores are added."""

    shown: Head | None
    """Over the features of the view that is named by."""
    frame: Head | None
    """Over those of the whole frame; None where the view alone counts."""

    def scores(self, view: View, shown: Shown) -> Floats:
        """(N, K) scores of all targets."""
        parts = []
        if self.shown is not None:
            parts.append(self.shown.scores(shown.features[view]))
        if self.frame is not None:
            parts.append(self.frame.scores(shown.features[View.WHOLE]))
        return np.sum(parts, axis=0, dtype=np.float32)

    def beside(self, new: Head, weight: float) -> Heads:
        """A new head over the view, and `weight` times these."""
        both = new
        if self.shown is not None:
            both = Head(new.weight + weight * self.shown.weight, new.bias + weight * self.shown.bias)
        frame = None if self.frame is None else Head(weight * self.frame.weight, weight * self.frame.bias)
        return Heads(both, frame)


def kept_heads(classifier: Classifier, names: tuple[str, ...], as_run: View, view: View) -> Heads | None:
    """What the model as it is run gives beside a new head over a view.

    A model of whole frames is shown the whole frame beside the box: that is where it knows its places. One of boxes is kept where
    the new head sees the same crop, with its layer for the whole frame where it has one.

    Args:
        classifier: the model.
        names: K names of the new head.
        as_run: what the audit showed it.
        view: what the new head sees.

    Returns:
        The heads, over `names`; None where it cannot be run beside the new head.
    """
    own = own_head(classifier, names)
    if own is None:
        return None
    if view == as_run:
        frame = classifier.frame_head if view != View.WHOLE else None
        return Heads(own, None if frame is None else _over(names, classifier.spec.labels, frame))
    return Heads(None, own) if as_run == View.WHOLE else None


def own_head(classifier: Classifier, names: tuple[str, ...]) -> Head | None:
    """The model's own last layer, over other names; a name that the model lacks has its mean score, which says nothing.

    Args:
        classifier: the model.
        names: K names.

    Returns:
        The head; None where several classes share a name, no name is the model's, or the network has no linear layer.
    """
    labels = classifier.spec.labels
    layer = last_linear(classifier.model)
    if layer is None or len(set(labels)) < len(labels) or not set(names) & set(labels):
        return None
    own_layer: Any = classifier.model.get_submodule(layer)
    weight, bias = (one.detach().float().cpu().numpy() for one in (own_layer.weight, own_layer.bias))
    return _over(names, labels, Head(weight, bias))


def _over(names: tuple[str, ...], labels: tuple[str, ...], head: Head) -> Head:
    """A layer over other names than its `labels`; a name that it lacks has the mean score."""
    weight, bias = head.weight - head.weight.mean(0), head.bias - head.bias.mean()
    own = Head(np.zeros((len(names), weight.shape[1]), np.float32), np.zeros(len(names), np.float32))
    for place, name in enumerate(names):
        if name in labels:
            own.weight[place], own.bias[place] = weight[labels.index(name)], bias[labels.index(name)]
    return own


def spread(scores: Floats) -> float:
    """Standard deviation of (N, K) scores about each row's mean; names that were never learnt do not count."""
    known = np.where(scores > NEVER / 2, scores, np.nan)
    known = known[np.isfinite(known).any(1)]
    if not len(known):
        return 1.0
    found = float(np.nanstd(known - np.nanmean(known, axis=1, keepdims=True)))
    return found if np.isfinite(found) and found > 0 else 1.0
