"""The decision whether masked views overrule the name of the unmasked picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from scd_core.config import ReclassifyConfig

__all__ = ["AWAY", "CLOSER", "COUNTERFACTUAL", "CROPS", "MOST", "REMOVED", "WIDER", "Decision", "decide"]

COUNTERFACTUAL = "early_inside"
"""The view that takes away evidence which is no part of the animal."""

CLOSER, BOX = "mask_crop", "box_crop"
CROPS = (CLOSER, BOX)
"""Views that show the animal larger; the closer look takes the first that there is."""

MOST = 0.75
"""Largest share of the picture that a crop without a box may hold to be a closer look; a larger one only cuts an edge off."""

REMOVED, AWAY = "early_removed", "away_crop"
"""What stands in for the counterfactual and the crops where no box is known: all evidence taken away, and a crop beside it."""

WIDER = "wide_crop"
"""What must bear out the name of a closer view, and the box's crop where there is one."""

_PICTURE = 0.25
"""Weight of the whole picture beside its closer view."""

_TIMES = 4.0
"""How many times as probable as the old name each of two witnesses must hold another."""

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

    Two questions are asked, and each is answered by views that speak together, as a product of experts (Hinton 2002): a
    name that one of them rules out is not their name.

    *Does the name rest on the animal?* Evidence beside the animal is no evidence of who it is, however sure the network
    is. So one witness is the picture without that evidence, and the other looks at the animal alone. Another name needs
    both: it is theirs together, and each holds it at least four times as probable as the old one.

    - Where the animal's box is known, the first witness is the picture without the evidence outside the box, the second
      the crops. Nothing is asked of the name's probability, for the sureness of the old one came from what was taken away.
    - Where it is not, all evidence is taken away, and the second witness is a crop beside it. A picture that was named
      for the animal's own marks then shows no marks, and a network asked about nothing says something: so the two must be
      sure of their name, by `min_agreement`.

    *Does a closer look tell another name?* Asked where the picture is not sure of its name and the first question changed
    nothing. The picture and the mask's crop speak together, the crop with three times the weight; another name must lead
    by `min_gain`, and the wider crop, and the box's where there is one, must put it before the old one too. A crop shows
    more detail, but at a size that the network knows less, and a sure crop may be sure of a fragment. A crop that holds
    most of the picture shows nothing closer and is not heard (:data:`MOST`).

    Where the picture is the animal's box only the second question is asked: nothing in it is known to be background.

    Views that keep only the evidence of the old name (early masking, late masking) are for the record: they say how far
    that evidence goes, and can hardly name another.

    Args:
        original: (K,) calibrated probabilities of the unmasked picture.
        views: strategy -> (K,) calibrated probabilities; controls, and crops that show nothing closer, left out.
        config: `max_sure`, `min_gain`, `min_agreement`.
    """
    before = int(original.argmax())
    crops = [views[strategy] for strategy in CROPS if strategy in views]
    if (inside := views.get(COUNTERFACTUAL)) is not None:
        first = "the picture without the evidence outside the animal", inside
        if not crops:
            name = int(inside.argmax())
            told = "the picture" if name == before else first[0]
            return Decision(name, float(inside.max()), f"{told} says so ({float(inside.max()):.2f}); no closer view")
        look = "the closer view" if len(crops) == 1 else "the closer views together"
        found = _two_witnesses(original, first, (look, _together(crops)), 0.0)
    elif REMOVED in views and AWAY in views:
        first, second = ("the picture without the evidence", views[REMOVED]), ("a crop beside it", views[AWAY])
        found = _two_witnesses(original, first, second, config.min_agreement)
    else:
        found = None
    if found is not None:
        return found
    others = [views[strategy] for strategy in (WIDER, BOX) if strategy in views]
    return _closer_look(original, crops[0] if crops else None, others, config)


def _two_witnesses(
    original: Tensor, first: tuple[str, Tensor], second: tuple[str, Tensor], least: float
) -> Decision | None:
    """Another name where two witnesses, each with what it is called, agree on it against the old one."""
    before = int(original.argmax())
    together = _together([first[1], second[1]])
    name = int(together.argmax())
    agree = all(float(witness[name]) >= _TIMES * float(witness[before]) for _, witness in (first, second))
    if name == before or not agree or float(together[name]) < least:
        return None
    said = " and ".join(f"{words} ({float(witness[name]):.2f})" for words, witness in (first, second))
    return Decision(name, float(together[name]), f"{said} agree against the picture")


def _closer_look(original: Tensor, crop: Tensor | None, others: Sequence[Tensor], config: ReclassifyConfig) -> Decision:
    """The picture and its closer view together, against the picture alone; `others` must bear it out."""
    before, sure = int(original.argmax()), float(original.max())
    if crop is None:
        return Decision(before, sure, f"the picture says so ({sure:.2f}); no closer view")
    if sure >= config.max_sure:
        return Decision(before, sure, f"the picture is sure ({sure:.2f})")
    together = _together([original, crop], (_PICTURE, 1 - _PICTURE))
    name = int(together.argmax())
    if name == before:
        return Decision(before, sure, f"the picture ({sure:.2f}) and the closer view together say so")
    lead = float((together[name] / together[before]).log())
    told = f"the closer view speaks for another name, by {lead:.2f} with the picture's own voice"
    if lead < config.min_gain:
        return Decision(before, sure, f"the picture says so ({sure:.2f}); {told}, less than {config.min_gain:.2f}")
    if any(float(other[name]) <= float(other[before]) for other in others):
        return Decision(before, sure, f"the picture says so ({sure:.2f}); {told}, which a wider view does not bear out")
    return Decision(name, float(together[name]), told)


def _together(views: Sequence[Tensor], weights: Sequence[float] | None = None) -> Tensor:
    """(K,) probabilities of several views as one: the normalised, weighted geometric mean."""
    logs = torch.stack([view.double().clamp_min(_LEAST).log() for view in views])
    weight = logs.new_tensor(weights or [1 / len(views)] * len(views))
    return torch.softmax((weight[:, None] * logs).sum(0), dim=0)
