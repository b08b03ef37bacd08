"""How far a list of expected individuals moves names: a prior with a stated weight, and never a filter."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

import torch
from torch import Tensor

from scd_core.identify.available import Searched
from scd_core.identify.classifier import Classifier
from scd_core.identify.spec import PackageSpec
from scd_core.inputs.expected import Expected
from scd_core.names import UNKNOWN
from scd_core.tables.rows import MediaRow, PredictionRow

__all__ = ["frames_of", "is_unknown", "shift_again", "shift_of", "shifts_of", "weighed"]


def shift_of(expected: Collection[str] | None, classifier: Classifier, weight: float) -> Tensor | None:
    """What is added to a picture's logits, so that expected individuals count as more probable before it is seen.

    Args:
        expected: individuals; None where nobody is expected.
        classifier: the model package in use.
        weight: logarithm of the ratio of the prior probabilities of an expected individual and of another one, from 0 on.

    Returns:
        (K,) float32: `weight` times the temperature for classes of expected individuals, 0 for others. None where it would move
        nothing.
    """
    chosen = set(expected or ()) & set(classifier.names)
    if not weight or not chosen or len(chosen) == len(classifier.names):
        return None
    is_chosen = torch.tensor([label in chosen for label in classifier.spec.labels])
    return weight * classifier.spec.temperature * is_chosen.float()


def shifts_of(classifier: Classifier, expected: Expected | None, weight: float) -> Callable[[MediaRow], Tensor | None]:
    """Media row -> its :func:`shift_of`, for a list of expected individuals."""
    if expected is None:
        return lambda _frame: None
    searched = Searched(classifier.names, expected)
    found: dict[Collection[str] | None, Tensor | None] = {}

    def shift_at(frame: MediaRow) -> Tensor | None:
        names = searched.expected_at(frame)
        if names not in found:
            found[names] = shift_of(names, classifier, weight)
        return found[names]

    return shift_at


def shift_again(row: PredictionRow, shift: Tensor | None) -> Tensor | None:
    """What is added to the logits of a named picture when it is named again: by who is expected, and by its whole frame.

    Args:
        row: its prediction.
        shift: (K,) of expected individuals; a picture that was called unknown is not moved by them.

    Returns:
        (K,) float32; None where nothing is added.
    """
    shift = None if row["predicted_id"] == UNKNOWN else shift
    own = row.get("frame_logits")
    if own is None:
        return shift
    frame = torch.tensor(own)
    return frame if shift is None else frame + shift


def frames_of(rows: Sequence[PredictionRow], logits: Tensor) -> Tensor | None:
    """What the whole frame of each named picture adds to its (B, K) logits: (B, K); None where it counts for none of them."""
    if all(row.get("frame_logits") is None for row in rows):
        return None
    added = torch.zeros_like(logits)
    for place, row in enumerate(rows):
        if (own := row.get("frame_logits")) is not None:
            added[place] = torch.tensor(own)
    return added


def weighed(classifier: Classifier, logits: Tensor, shifts: Sequence[Tensor | None] | None) -> Tensor:
    """Logits with the shifts of expected individuals added.

    A picture that is called unknown by itself stays as it is: the list makes no stranger known.

    Args:
        classifier: the model package in use.
        logits: (B, K), on the CPU.
        shifts: for each picture as :func:`shift_of` gives it; None for none.

    Returns:
        (B, K); `logits` itself where nothing moves.
    """
    if shifts is None or all(one is None for one in shifts):
        return logits
    best = classifier.probabilities(logits).max(dim=1).values.tolist()
    moved = logits.clone()
    for place, (shift, probability) in enumerate(zip(shifts, best, strict=True)):
        if shift is not None and not is_unknown(classifier.spec, probability, float(logits[place].max())):
            moved[place] += shift
    return moved


def is_unknown(spec: PackageSpec, probability: float, logit: float) -> bool:
    """Whether the best name is not given: too improbable, or with a gallery too little like any picture of it.

    Args:
        spec: of the package.
        probability: of the best name, 0-1.
        logit: the largest one.
    """
    if spec.unknown_threshold is not None and probability < spec.unknown_threshold:
        return True
    has_limit = spec.gallery is not None and spec.unknown_similarity is not None
    return has_limit and logit < spec.similarity_scale * (spec.unknown_similarity or 0.0)
