"""Re-classification of pictures under their masks, batch by batch, with the decision at the end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from scd_core.boxes import Box
from scd_core.config import ReclassifyConfig
from scd_core.identify.classifier import Classifier
from scd_core.masks.feature_layer import FeatureLayer
from scd_core.reclassify.decision import CLOSER, MOST, decide
from scd_core.reclassify.late import late_logits, pooled_layer
from scd_core.reclassify.strategies import CONTROLS, STRATEGIES, NotApplicable, Sight, View

__all__ = ["FUSED", "Outcome", "reclassify"]

FUSED = "fused"
"""Strategy name of the decision over all others."""


@dataclass(frozen=True)
class Outcome:
    """What one strategy made of one picture."""

    strategy: str
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
    pictures: Sequence[Image.Image],
    masks: Sequence[NDArray[np.floating]],
    config: ReclassifyConfig | None = None,
    batch_size: int = 32,
    *,
    boxes: Sequence[Box | None] | None = None,
    is_box: Sequence[bool] | None = None,
    sizes: Sequence[tuple[int, int]] | None = None,
) -> list[list[Outcome]]:
    """Classify pictures again under their masks.

    Args:
        classifier: the model package in use.
        pictures: N pictures as they were classified (the whole frame, or the box).
        masks: N joint maps (h, w) in [0, 1], over the pictures.
        config: strategies and decision.
        batch_size: images per forward pass.
        boxes: N boxes of the animal inside the picture (x_min, y_min, width, height as shares), None where it is not
            known or where the picture is the box.
        is_box: N times whether the picture is the animal's box; then nothing in it is taken for background, and only the
            closer look may change its name.
        sizes: N widths and heights at which the pictures were taken (pixels), where they were decoded smaller.

    Returns:
        For each picture one outcome per strategy, in the order of the config, and the fused decision last.

    Raises:
        ValueError: masks, boxes, is_box or sizes are not as many as pictures, or a mask is not two-dimensional.
    """
    config = config or ReclassifyConfig()
    lists = {"masks": masks, "boxes": boxes, "is_box": is_box, "sizes": sizes}
    for name, given in lists.items():
        if given is not None and len(given) != len(pictures):
            raise ValueError(f"expected as many {name} as pictures, got {len(given)} and {len(pictures)}")
    for place, mask in enumerate(masks):
        if mask.ndim != 2:
            raise ValueError(f"mask {place}: expected shape (h, w), got {mask.shape}")
    results: list[list[Outcome]] = []
    step = max(1, batch_size // (1 + len(config.strategies)))
    for start in range(0, len(pictures), step):
        some = range(start, min(start + step, len(pictures)))
        sights = [
            Sight(
                tensor=classifier.preprocess(pictures[i]),
                picture=pictures[i],
                mask=masks[i],
                size=pictures[i].size if sizes is None else sizes[i],
                box=None if boxes is None else boxes[i],
                is_box=is_box is not None and is_box[i],
            )
            for i in some
        ]
        shown = [[STRATEGIES[name](classifier, sight, config) for name in config.strategies] for sight in sights]
        views = [view for row in shown for view in row if isinstance(view, View)]
        original = classifier.probabilities(classifier.logits(torch.stack([sight.tensor for sight in sights])))
        seen = iter(_probabilities(classifier, views))
        for sight, row, before in zip(sights, shown, original, strict=True):
            heard = [(view, next(seen) if isinstance(view, View) else None) for view in row]
            results.append(_outcomes(before, heard, config, is_located=sight.box is not None))
    return results


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
) -> list[Outcome]:
    """(K,) probabilities of the unmasked picture, and of each strategy's view -> outcomes."""
    before = int(original.argmax())
    outcomes: list[Outcome] = []
    heard: dict[str, Tensor] = {}
    for strategy, (view, row) in zip(config.strategies, shown, strict=True):
        if row is None:
            reason = view.reason if isinstance(view, NotApplicable) else ""
            outcomes.append(Outcome(strategy, None, None, False, None, reason))
            continue
        index = int(row.argmax())
        crop = view.crop if isinstance(view, View) else None
        outcomes.append(Outcome(strategy, index, float(row[index]), index != before, crop, ""))
        # Beside a known box a large crop is still a witness: it leaves out what lies outside the animal.
        is_closer = strategy != CLOSER or is_located or crop is None or crop[2] * crop[3] <= MOST
        if strategy not in CONTROLS and is_closer:
            heard[strategy] = row
    decision = decide(original, heard, config)
    is_flip = decision.index != before
    return [*outcomes, Outcome(FUSED, decision.index, decision.probability, is_flip, None, decision.reason)]
