"""Re-classification of pictures under their masks, batch by batch, with the decision at the end."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scd_core.boxes import Box
from scd_core.config import ReclassifyConfig
from scd_core.identify.classifier import Classifier
from scd_core.masks.feature_layer import FeatureLayer
from scd_core.names import Strategy
from scd_core.reclassify.decision import CLEAR, MOST, NEAR, Decision, decide, views_together
from scd_core.reclassify.late import late_logits, pooled_layer
from scd_core.reclassify.strategies import CONTROLS, STRATEGIES, MaskedPicture, NotApplicable, View

__all__ = ["Again", "Outcome", "reclassify"]

Again = Callable[[Sequence[int], int], Mapping[int, NDArray[np.floating]]]
"""Places of pictures, and the number of a noise from 1 on -> another (h, w) joint map of each, fitted with that noise; one that
is left out could not be fitted."""

_MOST_MASKS = 4
"""Masks of one picture whose name is near its limits."""

_AGREEING = 2
"""Masks that must give another name by themselves as well."""


@dataclass(frozen=True)
class Outcome:
    """What one strategy made of one picture."""

    strategy: Strategy
    index: int | None
    """Place of the name given among the classifier's names; None where the strategy does not apply."""
    probability: float | None
    """Calibrated probability of the name, 0-1; None where the strategy does not apply."""
    is_flip: bool
    """The name differs from the one of the unmasked picture."""
    crop: Box | None
    """Part of the picture that was shown; None for all of it."""
    reason: str
    """Why the decision fell so, or why the strategy does not apply; empty otherwise."""


@dataclass(frozen=True)
class _Shown:
    """What one mask's views gave of one picture."""

    original: Tensor
    """(K,) probabilities of the unmasked view."""
    outcomes: list[Outcome]
    counted: dict[Strategy, Tensor]
    """Views that have a part in the decision."""


def reclassify(
    classifier: Classifier,
    pictures: Sequence[MaskedPicture],
    config: ReclassifyConfig | None = None,
    batch_size: int = 32,
    again: Again | None = None,
) -> list[list[Outcome]]:
    """Classify pictures again under their masks.

    A mask has noise, and a decision that other noise would turn is no decision. So where another name is given, or is near its
    limits, a mask with other noise is fitted, and the mean of both masks' views decides; where the name is still near its limits,
    a third and a fourth one. At least two masks must give the name by themselves as well. A name that is far from its limits
    after the first mask costs no other.

    Args:
        classifier: the model package in use.
        pictures: the pictures, with their masks.
        config: strategies and decision.
        batch_size: images per forward pass.
        again: fits other masks; without it the first one decides alone.

    Returns:
        For each picture one outcome per strategy, by the first mask, in the order of the config, and the fused decision last.
    """
    config, threshold = config or ReclassifyConfig(), classifier.spec.unknown_threshold or 0.0
    shown = [[one] for one in _with_one_mask(classifier, pictures, config, batch_size)]
    waiting: list[int] = []
    if again is not None:
        waiting = [place for place, own in enumerate(shown) if not _is_settled(own, config, threshold)]
    for number in range(1, _MOST_MASKS):
        if again is None or not waiting:
            break
        maps = again(waiting, number)
        fitted = [place for place in waiting if place in maps]
        masked = [replace(pictures[place], mask=maps[place]) for place in fitted]
        for place, one in zip(fitted, _with_one_mask(classifier, masked, config, batch_size), strict=True):
            shown[place].append(one)
        waiting = [place for place in fitted if not _is_settled(shown[place], config, threshold)]
    return [[*own[0].outcomes, _fused(own, config, threshold, needs_two=again is not None)] for own in shown]


def _is_settled(shown: Sequence[_Shown], config: ReclassifyConfig, threshold: float) -> bool:
    """Whether no other mask is needed: the old name is far from being given up, or the masks together clearly give another and
    two by themselves do."""
    before = int(shown[0].original.argmax())
    near = _decision(shown, config, threshold, NEAR).index
    if near == before:
        return True
    return (
        _decision(shown, config, threshold, CLEAR).index == near
        and sum(_decision([one], config, threshold).index == near for one in shown) >= _AGREEING
    )


def _fused(shown: Sequence[_Shown], config: ReclassifyConfig, threshold: float, *, needs_two: bool) -> Outcome:
    """The decision over the views of all masks of a picture."""
    original = shown[0].original
    before, sure = int(original.argmax()), float(original.max())
    found = _decision(shown, config, threshold)
    is_flip, reason = found.index != before, found.reason
    if is_flip and needs_two:
        alone = [_decision([one], config, threshold) for one in shown]
        if sum(one.index == found.index for one in alone) < _AGREEING:
            other = next(
                (f"with other noise of the mask: {one.reason}" for one in alone if one.index != found.index), None
            )
            kept = f"kept: {reason}; but {other or 'no second mask could be made'}"
            return Outcome(Strategy.FUSED, before, sure, False, None, kept)
    if len(shown) > 1:
        reason = f"{reason}; by the mean of {len(shown)} masks that differ in their noise"
    return Outcome(Strategy.FUSED, found.index, found.probability, is_flip, None, reason)


def _decision(
    shown: Sequence[_Shown], config: ReclassifyConfig, unknown_threshold: float, strictness: float = 1.0
) -> Decision:
    """The decision; a picture that is called unknown is given no name that would be called unknown as well."""
    original = shown[0].original
    before, sure = int(original.argmax()), float(original.max())
    decision = decide(original, views_together([one.counted for one in shown]), config, strictness)
    if sure < unknown_threshold > decision.probability and decision.index != before:
        less = f"less sure ({decision.probability:.2f}) than a name needs ({unknown_threshold:.2f})"
        return Decision(before, sure, f"kept: {decision.reason}, but {less}")
    return decision


def _with_one_mask(
    classifier: Classifier, pictures: Sequence[MaskedPicture], config: ReclassifyConfig, batch_size: int
) -> list[_Shown]:
    results: list[_Shown] = []
    step = max(1, batch_size // (1 + len(config.strategies)))
    for start in range(0, len(pictures), step):
        some = pictures[start : start + step]
        seen = [[_view(classifier, strategy, one, config) for strategy in config.strategies] for one in some]
        views = [view for row in seen for view in row if isinstance(view, View)]
        shifts = [one.shift for one, row in zip(some, seen, strict=True) for view in row if isinstance(view, View)]
        logits = classifier.logits(torch.stack([one.tensor for one in some]))
        original = _shifted(classifier, logits, [one.shift for one in some])
        found = iter(_probabilities(classifier, views, shifts))
        for one, row, before in zip(some, seen, original, strict=True):
            answers = [(view, next(found) if isinstance(view, View) else None) for view in row]
            results.append(_outcomes(before, answers, config, is_located=one.box is not None))
    return results


def _view(
    classifier: Classifier, strategy: Strategy, picture: MaskedPicture, config: ReclassifyConfig
) -> View | NotApplicable:
    view = STRATEGIES[strategy](picture, config)
    if isinstance(view, View) and view.keep is not None and isinstance(layer := pooled_layer(classifier), str):
        return NotApplicable(layer)
    return view


def _shifted(classifier: Classifier, logits: Tensor, shifts: Sequence[Tensor | None]) -> Tensor:
    """(B, K) logits -> probabilities, with what expected individuals weigh; a name of all views together weighs it once."""
    return classifier.probabilities(
        torch.stack([row if shift is None else row + shift for row, shift in zip(logits, shifts, strict=True)])
    )


def _probabilities(classifier: Classifier, views: Sequence[View], shifts: Sequence[Tensor | None]) -> list[Tensor]:
    """(K,) probabilities of each view; those that mask features go through the network apart from the others."""
    found: dict[int, Tensor] = {}
    plain = [place for place, view in enumerate(views) if view.keep is None]
    masked = [place for place, view in enumerate(views) if view.keep is not None]
    if plain:
        logits = classifier.logits(torch.stack([views[place].tensor for place in plain]))
        found |= zip(plain, _shifted(classifier, logits, [shifts[place] for place in plain]))
    layer = pooled_layer(classifier) if masked else ""
    if isinstance(layer, FeatureLayer):
        tensors = torch.stack([views[place].tensor for place in masked])
        keep = torch.stack([view.keep for view in views if view.keep is not None])
        late = late_logits(classifier, layer, tensors, keep)
        found |= zip(masked, _shifted(classifier, late, [shifts[place] for place in masked]))
    return [found[place] for place in range(len(views))]


def _outcomes(
    original: Tensor,
    shown: Sequence[tuple[View | NotApplicable, Tensor | None]],
    config: ReclassifyConfig,
    *,
    is_located: bool,
) -> _Shown:
    """(K,) probabilities of the unmasked picture, and of each strategy's view -> outcomes, and the views that count."""
    before = int(original.argmax())
    outcomes: list[Outcome] = []
    counted: dict[Strategy, Tensor] = {}
    for strategy, (view, row) in zip(config.strategies, shown, strict=True):
        if row is None:
            reason = view.reason if isinstance(view, NotApplicable) else ""
            outcomes.append(Outcome(strategy, None, None, False, None, reason))
            continue
        index = int(row.argmax())
        crop = view.crop if isinstance(view, View) else None
        outcomes.append(Outcome(strategy, index, float(row[index]), index != before, crop, ""))
        # Beside a known box a large crop still counts: it leaves out what lies outside the animal.
        is_closer = strategy != Strategy.MASK_CROP or is_located or crop is None or crop[2] * crop[3] <= MOST
        if strategy not in CONTROLS and is_closer:
            counted[strategy] = row
    return _Shown(original, outcomes, counted)
