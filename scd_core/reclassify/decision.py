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

    Two questions are asked:

    1. *Does the name rest on the animal?* Evidence outside the animal's box is no evidence of who it is, however sure
       the network is. So where the box is known, one witness is what is left without that evidence.
    2. *Does a closer look tell another name?* A crop shows detail that the whole picture does not, but at a size that
       the network knows less, and a sure crop may be sure of a fragment. So the crops speak together, as a product of
       experts (Hinton 2002): a name that one of them rules out is not their name.

    Where both can be asked, another name needs both witnesses: it is theirs together, and each puts it before the old
    one. Nothing is asked of its probability, for the sureness of the old name came from what was taken away. Where only
    the first can be asked, its answer stands. Where only the second can, the crops overrule when they are surer of
    their name than the picture is of its own, by `min_gain`.

    Views that keep only the evidence of the old name (early masking, late masking) are for the record: they say how far
    that evidence goes, and can hardly name another.

    Args:
        original: (K,) calibrated probabilities of the unmasked picture.
        views: strategy -> (K,) calibrated probabilities; controls left out.
        config: `min_gain`.
    """
    before, sure = int(original.argmax()), float(original.max())
    inside = views.get(COUNTERFACTUAL)
    crops = [views[strategy] for strategy in CROPS if strategy in views]
    look = "the closer view" if len(crops) == 1 else "the closer views together"
    if inside is not None and crops:
        return _two_witnesses(original, inside, _together(crops), look)
    if inside is not None:
        name = int(inside.argmax())
        told = "the picture" if name == before else "the picture without the evidence outside the animal"
        return Decision(name, float(inside.max()), f"{told} says so ({float(inside.max()):.2f}); no closer view")
    if not crops:
        return Decision(before, sure, f"the picture says so ({sure:.2f}); no closer view")
    closer_view = _together(crops)
    closer, probability = int(closer_view.argmax()), float(closer_view.max())
    if closer == before:
        return Decision(before, max(sure, probability), f"the picture says so ({sure:.2f}), and so does {look}")
    if probability >= sure + config.min_gain:
        return Decision(
            closer, probability, f"{look} ({probability:.2f}) is surer of its name than the picture ({sure:.2f})"
        )
    return Decision(
        before,
        sure,
        f"the picture says so ({sure:.2f}); {look} ({probability:.2f}) is not {config.min_gain:.2f} surer of another",
    )


def _two_witnesses(original: Tensor, inside: Tensor, closer: Tensor, look: str) -> Decision:
    """Another name where the picture without the outside's evidence and the crops agree on it against the old one."""
    before = int(original.argmax())
    together = _together([inside, closer])
    name = int(together.argmax())
    without = "the picture without the evidence outside the animal"
    said = f"{without} ({float(inside[name]):.2f}) and {look} ({float(closer[name]):.2f})"
    if name == before:
        return Decision(name, float(together[name]), f"{said} say so too")
    if inside[name] > inside[before] and closer[name] > closer[before]:
        return Decision(name, float(together[name]), f"{said} agree against the picture")
    return Decision(
        before,
        float(original[before]),
        f"the picture says so ({float(original[before]):.2f}); {without} and {look} differ",
    )


def _together(views: Sequence[Tensor]) -> Tensor:
    """(K,) probabilities of several views as one: the normalised geometric mean."""
    return torch.softmax(torch.stack([view.double().clamp_min(_LEAST).log() for view in views]).mean(0), dim=0)
