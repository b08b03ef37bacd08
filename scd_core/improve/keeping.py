"""Heads that keep something of the model's own: where it knows a place, its name counts beside the animal's."""

from __future__ import annotations

from typing import Any

import numpy as np

from scd_core.identify.architectures import last_linear
from scd_core.identify.class_means import NEVER, Head
from scd_core.identify.classifier import Classifier
from scd_core.improve.heads import Floats

__all__ = ["KEEPS", "blend_heads", "own_head", "spread"]

KEEPS = (0.3, 0.6, 1.2)
"""Weights of the model's own head beside a new one that are tried, both at the same spread of scores."""


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
    weight, bias = weight - weight.mean(0), bias - bias.mean()
    own = Head(np.zeros((len(names), weight.shape[1]), np.float32), np.zeros(len(names), np.float32))
    for place, name in enumerate(names):
        if name in labels:
            own.weight[place], own.bias[place] = weight[labels.index(name)], bias[labels.index(name)]
    return own


def spread(scores: Floats) -> float:
    """Standard deviation of (N, K) scores about each row's mean; names that were never learnt do not count."""
    known = np.where(scores > NEVER / 2, scores, np.nan)
    found = float(np.nanstd(known - np.nanmean(known, axis=1, keepdims=True)))
    return found if np.isfinite(found) and found > 0 else 1.0


def blend_heads(new: Head, own: Head, weight: float) -> Head:
    """A head whose scores are those of `new` and `weight` times those of `own`."""
    return Head(
        (new.weight + weight * own.weight).astype(np.float32), (new.bias + weight * own.bias).astype(np.float32)
    )
