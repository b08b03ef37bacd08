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
from scd_core.reclassify.decision import MOST, Decision, decide
from scd_core.reclassify.late import late_logits, pooled_layer
from scd_core.reclassify.strategies import CONTROLS, STRATEGIES, MaskedPicture, NotApplicable, View

__all__ = ["Again", "Outcome", "reclassify"]

Again = Callable[[Sequence[int]], Mapping[int, NDArray[np.floating]]]
"""Places of pictures -> a second (h, w) joint map of each, fitted with other noise; one that is left out could not be fitted."""


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


def reclassify(
    classifier: Classifier,
    pictures: Sequence[MaskedPicture],
    config: ReclassifyConfig | None = None,
    batch_size: int = 32,
    again: Again | None = None,
) -> list[list[Outcome]]:
    """Classify pictures again under their masks.

    A mask has noise, and a decision that other noise would turn is no decision. So where the decision gives another name,
    a second mask must lead to the same; its probability is then the lower of the two. Elsewhere no second mask is spent.

    Args:
        classifier: the model package in use.
        pictures: the pictures, with their masks.
        config: strategies and decision.
        batch_size: images per forward pass.
        again: fits second masks; without it the first one decides alone.

    Returns:
        For each picture one outcome per strategy, in the order of the config, and the fused decision last.
    """
    config = config or ReclassifyConfig()
    found = _with_one_mask(classifier, pictures, config, batch_size)
    results = [outcomes for _, outcomes in found]
    changed = [place for place, outcomes in enumerate(results) if outcomes[-1].is_flip]
    if again is None or not changed:
        return results
    maps = again(changed)
    fitted = [place for place in changed if place in maps]
    masked = [replace(pictures[place], mask=maps[place]) for place in fitted]
    seconds = dict(zip(fitted, _with_one_mask(classifier, masked, config, batch_size)))
    for place in changed:
        original, (*views, first) = found[place]
        second = seconds[place][1][-1] if place in seconds else None
        results[place] = [*views, _agreed(first, second, int(original.argmax()), float(original.max()))]
    return results


def _agreed(first: Outcome, second: Outcome | None, before: int, sure: float) -> Outcome:
    """The decision of two masks that differ in their noise, where the first gives another name than the picture's, `before`."""
    if second is None:
        return Outcome(Strategy.FUSED, before, sure, False, None, f"kept: {first.reason}; no second mask could be made")
    if second.index != first.index:
        return Outcome(
            Strategy.FUSED, before, sure, False, None,
            f"kept: {first.reason}; but with other noise of the mask: {second.reason}",
        )  # fmt: skip
    least = min(first, second, key=lambda one: one.probability or 0.0)
    return replace(first, probability=least.probability, reason=f"{first.reason}; also with other noise of the mask")


def _with_one_mask(
    classifier: Classifier, pictures: Sequence[MaskedPicture], config: ReclassifyConfig, batch_size: int
) -> list[tuple[Tensor, list[Outcome]]]:
    """Of each picture the (K,) probabilities of its unmasked view, and its outcomes."""
    results: list[tuple[Tensor, list[Outcome]]] = []
    step = max(1, batch_size // (1 + len(config.strategies)))
    for start in range(0, len(pictures), step):
        some = pictures[start : start + step]
        shown = [[_view(classifier, strategy, one, config) for strategy in config.strategies] for one in some]
        views = [view for row in shown for view in row if isinstance(view, View)]
        original = classifier.probabilities(classifier.logits(torch.stack([one.tensor for one in some])))
        found = iter(_probabilities(classifier, views))
        for one, row, before in zip(some, shown, original, strict=True):
            answers = [(view, next(found) if isinstance(view, View) else None) for view in row]
            located, threshold = one.box is not None, classifier.spec.unknown_threshold or 0.0
            outcomes = _outcomes(before, answers, config, is_located=located, unknown_threshold=threshold)
            results.append((before, outcomes))
    return results


def _view(
    classifier: Classifier, strategy: Strategy, picture: MaskedPicture, config: ReclassifyConfig
) -> View | NotApplicable:
    view = STRATEGIES[strategy](picture, config)
    if isinstance(view, View) and view.keep is not None and isinstance(layer := pooled_layer(classifier), str):
        return NotApplicable(layer)
    return view


def _probabilities(classifier: Classifier, views: Sequence[View]) -> list[Tensor]:
    """(K,) probabilities of each view; those that mask features go through the network apart from the others."""
    found: dict[int, Tensor] = {}
    plain = [place for place, view in enumerate(views) if view.keep is None]
    masked = [place for place, view in enumerate(views) if view.keep is not None]
    if plain:
        logits = classifier.logits(torch.stack([views[place].tensor for place in plain]))
        found |= zip(plain, classifier.probabilities(logits))
    layer = pooled_layer(classifier) if masked else ""
    if isinstance(layer, FeatureLayer):
        tensors = torch.stack([views[place].tensor for place in masked])
        keep = torch.stack([view.keep for view in views if view.keep is not None])
        found |= zip(masked, classifier.probabilities(late_logits(classifier, layer, tensors, keep)))
    return [found[place] for place in range(len(views))]


def _outcomes(
    original: Tensor,
    shown: Sequence[tuple[View | NotApplicable, Tensor | None]],
    config: ReclassifyConfig,
    *,
    is_located: bool,
    unknown_threshold: float,
) -> list[Outcome]:
    """(K,) probabilities of the unmasked picture, and of each strategy's view -> outcomes.

    A picture that is called unknown is given no name that would be called unknown as well.
    """
    before, before_sure = int(original.argmax()), float(original.max())
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
    decision = decide(original, counted, config)
    if before_sure < unknown_threshold > decision.probability and decision.index != before:
        less = f"less sure ({decision.probability:.2f}) than a name needs ({unknown_threshold:.2f})"
        decision = Decision(before, before_sure, f"kept: {decision.reason}, but {less}")
    is_flip = decision.index != before
    return [*outcomes, Outcome(Strategy.FUSED, decision.index, decision.probability, is_flip, None, decision.reason)]
