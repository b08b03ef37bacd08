"""Re-classification of pictures under their masks, batch by batch, with the decision at the end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from scd_core.config import ReclassifyConfig
from scd_core.errors import InputError
from scd_core.identify.classifier import Classifier
from scd_core.reclassify.crops import Box
from scd_core.reclassify.decision import decide
from scd_core.reclassify.strategies import CONTROLS, STRATEGIES

__all__ = ["FUSED", "Outcome", "reclassify"]

FUSED = "fused"
"""Strategy name of the decision over all others."""


@dataclass(frozen=True)
class Outcome:
    """What one strategy made of one picture."""

    strategy: str
    index: int
    """Place of the name given among the classifier's names."""
    probability: float
    """Calibrated probability of the name, 0-1."""
    is_flip: bool
    """The name differs from the one of the unmasked picture."""
    crop: Box | None
    """Part of the picture that was shown; None for all of it."""
    reason: str


def reclassify(
    classifier: Classifier,
    pictures: Sequence[Image.Image],
    masks: Sequence[NDArray[np.floating]],
    config: ReclassifyConfig | None = None,
    batch_size: int = 32,
) -> list[list[Outcome]]:
    """Classify pictures again under their masks.

    Args:
        classifier: the model package in use.
        pictures: N pictures as they were classified (the whole frame, or the box).
        masks: N joint maps (h, w) in [0, 1], over the pictures.
        config: strategies and decision.
        batch_size: images per forward pass.

    Returns:
        For each picture one outcome per strategy, in the order of the config, and the fused decision last.

    Raises:
        InputError: the config names a strategy that does not exist.
        ValueError: pictures and masks differ in number, or a mask is not two-dimensional.
    """
    config = config or ReclassifyConfig()
    if unknown := [name for name in config.strategies if name not in STRATEGIES]:
        raise InputError(f"config reclassify.strategies: no strategy {unknown[0]!r}; there are {', '.join(STRATEGIES)}")
    if len(pictures) != len(masks):
        raise ValueError(f"expected as many masks as pictures, got {len(masks)} and {len(pictures)}")
    for place, mask in enumerate(masks):
        if mask.ndim != 2:
            raise ValueError(f"mask {place}: expected shape (h, w), got {mask.shape}")
    step = max(1, batch_size // (1 + len(config.strategies)))
    results: list[list[Outcome]] = []
    for start in range(0, len(pictures), step):
        some = range(start, min(start + step, len(pictures)))
        views = [[STRATEGIES[s](classifier, pictures[i], masks[i], config) for s in config.strategies] for i in some]
        tensors = [[classifier.preprocess(pictures[i]), *(view.tensor for view in row)] for i, row in zip(some, views)]
        flat = torch.stack([tensor for row in tensors for tensor in row])
        probabilities = classifier.probabilities(classifier.logits(flat)).reshape(
            len(views), 1 + len(config.strategies), -1
        )
        for row_views, row in zip(views, probabilities, strict=True):
            crops = [view.crop for view in row_views]
            results.append(_outcomes(row, crops, config))
    return results


def _outcomes(probabilities: Tensor, crops: Sequence[Box | None], config: ReclassifyConfig) -> list[Outcome]:
    """(1 + S, K) probabilities, the unmasked picture's first -> outcomes."""
    original = probabilities[0]
    before = int(original.argmax())
    outcomes = []
    for strategy, row, crop in zip(config.strategies, probabilities[1:], crops, strict=True):
        index = int(row.argmax())
        outcomes.append(Outcome(strategy, index, float(row[index]), index != before, crop, ""))
    heard = {
        strategy: row
        for strategy, row in zip(config.strategies, probabilities[1:], strict=True)
        if strategy not in CONTROLS
    }
    decision = decide(original, heard, config)
    fused = Outcome(FUSED, decision.index, decision.probability, decision.index != before, None, decision.reason)
    return [*outcomes, fused]
