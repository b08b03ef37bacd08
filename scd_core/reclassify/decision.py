"""The decision whether masked views overrule the name of the unmasked picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from scd_core.config import ReclassifyConfig

__all__ = ["Decision", "decide"]


@dataclass(frozen=True)
class Decision:
    """The final name of a picture."""

    index: int
    probability: float
    reason: str


def decide(original: Tensor, masked: Mapping[str, Tensor], config: ReclassifyConfig) -> Decision:
    """Final class of a picture from its unmasked and masked views.

    A masked view overrules the unmasked picture only when it is surer of its own name than the picture was of the old one,
    by `min_gain`: a mask can destroy evidence, and a view that lost it is unsure rather than differently sure.

    Args:
        original: (K,) calibrated probabilities of the unmasked picture.
        masked: strategy -> (K,) calibrated probabilities; controls left out.
        config: `min_gain`.
    """
    before = int(original.argmax())
    sure = float(original[before])
    if not masked:
        return Decision(before, sure, "no masked view")
    strategy, view = max(masked.items(), key=lambda item: float(item[1].max()))
    index, probability = int(view.argmax()), float(view.max())
    if index == before:
        return Decision(before, max(sure, probability), f"{strategy} gives the same name")
    if probability >= sure + config.min_gain:
        return Decision(
            index, probability, f"{strategy} is surer of its name ({probability:.2f}) than the picture ({sure:.2f})"
        )
    return Decision(
        before, sure, f"{strategy} ({probability:.2f}) is not {config.min_gain:.2f} surer than the picture ({sure:.2f})"
    )
