"""The decision whether masked views overrule the name of the unmasked picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from scd_core.config import ReclassifyConfig

__all__ = ["COUNTERFACTUAL", "CROPS", "Decision", "decide"]

COUNTERFACTUAL = "early_inside"
"""The view that takes away evidence which is no part of the animal."""

CROPS = ("mask_crop", "box_crop")
"""Views that show the animal larger."""

_LEAST = 1e-9
"""Smallest probability that enters a product: one view alone must not be able to rule a name out for ever."""


@dataclass(frozen=True)
class Decision:
    """The final name of a picture."""

    index: int
    probability: float
    reason: str


def decide(original: Tensor, views: Mapping[str, Tensor], config: ReclassifyConfig) -> Decision:
    """Final name of a picture from its unmasked and masked views.

    Two questions, in this order, because the answer to the first changes what the second is held against:

    1. *Does the name rest on the animal?* Evidence outside the animal's box is no evidence of who it is, however sure
       the network is. So where the box is known, the name is the one that is left without that evidence. Nothing is
       asked of its probability: the sureness of the old name came from what was taken away.
    2. *Does a closer look tell another name?* A crop shows detail that the whole picture does not, but at a size that
       the network knows less, and a sure crop may be sure of a fragment. So the crops speak together, as a product of
       experts (Hinton 2002): a name that one of them rules out is not their name. They overrule only when they are surer
       of it than the picture is of the other, by `min_gain`.

    Views that keep only the evidence of the old name (early masking, late masking) are for the record: they say how far
    that evidence goes, and can hardly name another.

    Args:
        original: (K,) calibrated probabilities of the unmasked picture.
        views: strategy -> (K,) calibrated probabilities; controls left out.
        config: `min_gain`.
    """
    before = int(original.argmax())
    base = views.get(COUNTERFACTUAL, original)
    name, sure = int(base.argmax()), float(base.max())
    crops = [views[strategy] for strategy in CROPS if strategy in views]
    told = "the picture" if name == before else "the picture without the evidence outside the animal"
    if not crops:
        return Decision(name, sure, f"{told} says so ({sure:.2f}); no closer view")
    closer_view = _together(crops)
    closer, probability = int(closer_view.argmax()), float(closer_view.max())
    look = "the closer view" if len(crops) == 1 else "the closer views together"
    if closer == name:
        return Decision(name, max(sure, probability), f"{told} says so ({sure:.2f}), and so does {look}")
    if probability >= sure + config.min_gain:
        return Decision(
            closer, probability, f"{look} ({probability:.2f}) is surer of its name than {told} ({sure:.2f})"
        )
    return Decision(
        name,
        sure,
        f"{told} says so ({sure:.2f}); {look} ({probability:.2f}) is not {config.min_gain:.2f} surer of another",
    )


def _together(views: Sequence[Tensor]) -> Tensor:
    """(K,) probabilities of several views as one: the normalised geometric mean."""
    return torch.softmax(torch.stack([view.double().clamp_min(_LEAST).log() for view in views]).mean(0), dim=0)
