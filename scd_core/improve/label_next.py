"""The unlabelled pictures whose labels would move a new head most, each unlike those before it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from scd_core.errors import InputError
from scd_core.identify.class_means import Head
from scd_core.improve.heads import FITTED, Floats
from scd_core.improve.labelled import read_unlabelled
from scd_core.improve.names import HeadKind, View
from scd_core.improve.show import show_views
from scd_core.improve.trial import Trial
from scd_core.improve.ways import Way

__all__ = ["choose_next", "list_next"]


def list_next(out: str, trial: Trial, n: int) -> Sequence[Mapping[str, Any]]:
    """Rows of the query `unlabelled` to label next, the most telling first, each with the head's name of it as `new_id`.

    The head is that of the recommended way, or a logistic one on crops (whole frames where there are no boxes).

    Args:
        out: OUT.
        trial: what was tried on its labels.
        n: most rows, at least 1.

    Raises:
        InputError: MODEL can get no new head, no picture without a label has the head's view, or none can be read.
        RunError: the storage did not answer.
    """
    if trial.shown.no_head:
        raise InputError(f"--label-next: MODEL can get no new head to choose by: {trial.shown.no_head}")
    best = trial.best
    view = View.BOX_CROP if View.BOX_CROP in trial.shown.features else View.WHOLE
    way = Way(view, HeadKind.LOGISTIC)
    if best is not None and best.way.head in FITTED:
        way = Way(best.way.view, best.way.head)  # what the model knows of a place is no reason not to label
    pictures = read_unlabelled(out)
    if not pictures.rows:
        raise InputError(f"--label-next: OUT {out} has no picture without a label in an event without one; audit more")
    shown = show_views(pictures, trial.classifier, views=[way.view])
    places = np.flatnonzero(shown.has_view[way.view])
    if not len(places):
        raise InputError(
            f"--label-next: no picture without a label has the view {way.view}; give `--detections` to the run"
        )
    features, head = shown.features[way.view][places], trial.heads(way).shown
    assert head is not None
    known = trial.shown.features[way.view][trial.shown.has_view[way.view]]
    names = head.scores(features).argmax(1)
    return [
        {**pictures.rows[places[place]], "new_id": trial.labelled.names[names[place]]}
        for place in choose_next(features, known, head, n)
    ]


def choose_next(features: Floats, known: Floats, head: Head, n: int) -> NDArray[np.int64]:
    """Pictures by how far their label is expected to move the head, times how unlike they are to what is known or chosen.

    The expected gradient length (Settles, Craven and Ray, NIPS 2007) of a linear head under the softmax: the sum over names y
    of ``p_y |p - e_y| |x|``, for standardised features x. Unlike is one less the largest cosine to labelled and chosen pictures;
    without it copies of one doubtful picture are chosen.

    Args:
        features: (M, D) of the pictures to choose from.
        known: (N, D) of the labelled ones.
        head: over the same features.
        n: how many.

    Returns:
        (min(n, M),) places, the first to label first.
    """
    both = np.concatenate((features, known)).astype(np.float64)
    scaled = (both - both.mean(0)) / (both.std(0) + 1e-6)
    length = np.linalg.norm(scaled, axis=1)
    unit = scaled / np.maximum(length, 1e-12)[:, None]
    p = softmax(head.scores(features).astype(np.float64), axis=1)
    steps = np.sqrt(np.maximum((p**2).sum(1, keepdims=True) - 2 * p + 1, 0.0))  # |p - e_y|
    gain = (p * steps).sum(1) * length[: len(features)]
    mine, theirs = unit[: len(features)], unit[len(features) :]
    nearest = (mine @ theirs.T).max(1) if len(theirs) else np.full(len(mine), -1.0)
    chosen: list[int] = []
    while len(chosen) < min(n, len(features)):
        worth = gain * np.maximum(1 - nearest, 0.0)
        worth[chosen] = -1.0
        chosen.append(int(worth.argmax()))
        nearest = np.maximum(nearest, mine @ mine[chosen[-1]])
    return np.array(chosen, dtype=np.int64)
