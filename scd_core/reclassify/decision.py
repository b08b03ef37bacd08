"""The decision whether masked views overrule the name of the unmasked picture."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from scd_core.config import ReclassifyConfig
from scd_core.names import Strategy

__all__ = ["ALONE", "CLEAR", "MOST", "NEAR", "Decision", "decide", "views_together"]

MOST = 0.75
"""Largest share of the picture that a crop without a box may hold to be a closer view; a larger one only cuts an edge off."""

_PICTURE = 0.25
"""Weight of the whole picture beside its closer view."""

_TIMES = 4.0
"""How many times as probable as the old name another name must be in each of two views."""

ALONE = (Strategy.BOX_CROP, Strategy.TIGHT_CROP, Strategy.LATE_BOX)
"""Views of the animal alone; they need no mask."""

NEAR, CLEAR = 0.7, 1.3
"""Strictness by which another name is near its limits, and by which it is clearly beyond them."""

_VETO = 4.0
"""How fast the lead that other views must leave a name grows with strictness: 1.5 times as probable where it is clear, two thirds
where it is near."""

_LEAST = 1e-9
"""Smallest probability that enters a product: one view alone must not be able to rule a name out for ever."""


@dataclass(frozen=True)
class Decision:
    """The final name of a picture."""

    index: int
    probability: float
    reason: str


def decide(
    original: Tensor, views: Mapping[Strategy, Tensor], config: ReclassifyConfig, strictness: float = 1.0
) -> Decision:
    """Final name of a picture from its unmasked and masked views.

    There are two questions. Each is answered by several views together, as a product of experts (Hinton 2002): a name that
    one of them rules out is not their name.

    *Does the name rest on the animal?* Evidence beside the animal is no evidence of who it is, however sure the network
    is. One view is the picture without that evidence, the other is the animal alone. Another name needs both: it is the
    first name of the two together, and in each at least four times as probable as the old one.

    - Where the animal's box is known, the first view is the picture without the evidence outside the box (`early_inside`),
      the second the crops. The name may have any probability, for the sureness of the old one came from what was taken away.
    - Where it is not, all evidence is taken away (`early_removed`), and the second view is a crop beside it (`away_crop`).
      A picture that was named for the animal's own marks then shows no marks, and a network names even a picture of
      nothing: so the two must be sure of their name, by `min_agreement`.

    - Evidence that is spread over the whole surroundings is not in the mask's few regions. So the animal alone, in two crops to
      its box, may give another name too: together they must be sure, by `min_alone`, and each of them, and the network's
      features in the box, must put it before the old one. The features see beyond the box, so they have no part in how sure
      it is. These views need no mask.

    *Does a closer view give another name?* This counts where the picture is not sure of its name and the first question
    changed nothing. The picture and the mask's crop are taken together, the crop with three times the weight; another name
    must lead by `min_gain`, and the wider crop, and the box's where there is one, must put it before the old one too. A crop
    shows more detail, but at a size that the network knows less, and a sure crop may be sure of a fragment. A crop that
    holds most of the picture shows nothing closer and does not count (:data:`MOST`).

    Where the picture is the animal's box there is only the second question: nothing in it is known to be background.

    Views that keep only the evidence of the old name (early masking, late masking) are for the record: they show how far
    that evidence goes, and can hardly give another name.

    Args:
        original: (K,) calibrated probabilities of the unmasked picture.
        views: strategy -> (K,) calibrated probabilities; controls, and crops that show nothing closer, left out.
        config: `max_sure`, `min_gain`, `min_agreement`, `min_alone`.
        strictness: part of every lead that another name needs; log-odds of a least probability move by as much as it is above or
            below 1.
    """
    before = int(original.argmax())
    crops = [views[strategy] for strategy in (Strategy.MASK_CROP, Strategy.BOX_CROP) if strategy in views]
    found = None
    if (inside := views.get(Strategy.EARLY_INSIDE)) is not None:
        first = "the picture without the evidence outside the animal", inside
        if not crops:
            name = int(inside.argmax())
            named_by = "the picture" if name == before else first[0]
            return Decision(
                name, float(inside.max()), f"named by {named_by} ({float(inside.max()):.2f}); no closer view"
            )
        closer = "the closer view" if len(crops) == 1 else "the closer views together"
        found = _two_views(original, first, (closer, _together(crops)), 0.0, strictness)
    elif Strategy.EARLY_REMOVED in views and Strategy.AWAY_CROP in views:
        first = "the picture without the evidence", views[Strategy.EARLY_REMOVED]
        second = "a crop beside it", views[Strategy.AWAY_CROP]
        found = _two_views(original, first, second, _moved(config.min_agreement, strictness), strictness)
    found = found or _animal_alone(original, views, _moved(config.min_alone, strictness), strictness)
    if found is not None:
        return found
    others = [views[strategy] for strategy in (Strategy.WIDE_CROP, Strategy.BOX_CROP) if strategy in views]
    return _closer_view(original, crops[0] if crops else None, others, config, strictness)


def views_together(views: Sequence[Mapping[Strategy, Tensor]]) -> dict[Strategy, Tensor]:
    """Views of several masks of one picture as one: the mean log-probability of each strategy.

    Args:
        views: of each mask as :func:`decide` takes them; a strategy counts where at least half of the masks have it.
    """
    if len(views) == 1:
        return dict(views[0])
    strategies = dict.fromkeys(strategy for one in views for strategy in one)
    given = {strategy: [one[strategy] for one in views if strategy in one] for strategy in strategies}
    return {strategy: _together(some) for strategy, some in given.items() if 2 * len(some) >= len(views)}


def _moved(least: float, strictness: float) -> float:
    """A least probability, with its log-odds moved by what strictness is above 1."""
    if not 0 < least < 1:
        return least
    return 1 / (1 + (1 / least - 1) * math.exp(1 - strictness))


def _two_views(
    original: Tensor, first: tuple[str, Tensor], second: tuple[str, Tensor], least: float, strictness: float
) -> Decision | None:
    """Another name where two views, each with its description, agree on it against the old one."""
    before = int(original.argmax())
    together = _together([first[1], second[1]])
    name = int(together.argmax())
    times = _TIMES**strictness
    agree = all(float(view[name]) >= times * float(view[before]) for _, view in (first, second))
    if name == before or not agree or float(together[name]) < least:
        return None
    both = " and ".join(f"{what} ({float(view[name]):.2f})" for what, view in (first, second))
    return Decision(name, float(together[name]), f"{both} agree against the picture")


def _animal_alone(
    original: Tensor, views: Mapping[Strategy, Tensor], least: float, strictness: float
) -> Decision | None:
    """Another name where all views of the animal alone put it before the old one, and the crops together are sure of it."""
    if any(strategy not in views for strategy in ALONE):
        return None
    before, together = int(original.argmax()), _together([views[Strategy.BOX_CROP], views[Strategy.TIGHT_CROP]])
    name, sure = int(together.argmax()), float(together.max())
    if name == before or sure < least or not all(_leads(views[one], name, before, strictness) for one in ALONE):
        return None
    return Decision(
        name,
        sure,
        f"the animal alone, cropped to its box, is given another name ({sure:.2f}); the features in it agree",
    )


def _leads(view: Tensor, name: int, before: int, strictness: float) -> bool:
    """Whether a view puts a name before the old one, by a lead that grows with strictness."""
    return float(view[name]) > _VETO ** (strictness - 1) * float(view[before])


def _closer_view(
    original: Tensor, crop: Tensor | None, others: Sequence[Tensor], config: ReclassifyConfig, strictness: float
) -> Decision:
    """The picture and its closer view together, against the picture alone; `others` must agree."""
    before, sure = int(original.argmax()), float(original.max())
    if crop is None:
        return Decision(before, sure, f"named by the picture ({sure:.2f}); no closer view")
    if sure >= config.max_sure:
        return Decision(before, sure, f"the picture is sure ({sure:.2f})")
    together = _together([original, crop], (_PICTURE, 1 - _PICTURE))
    name = int(together.argmax())
    if name == before:
        return Decision(before, sure, f"the picture ({sure:.2f}) and the closer view agree")
    lead = float((together[name] / together[before]).log())
    found = f"the closer view and the picture together put another name first, by {lead:.2f}"
    least = strictness * config.min_gain
    if lead < least:
        return Decision(before, sure, f"named by the picture ({sure:.2f}); {found}, less than {least:.2f}")
    if not all(_leads(other, name, before, strictness) for other in others):
        return Decision(before, sure, f"named by the picture ({sure:.2f}); {found}, but a wider view does not")
    return Decision(name, float(together[name]), found)


def _together(views: Sequence[Tensor], weights: Sequence[float] | None = None) -> Tensor:
    """(K,) probabilities of several views as one: the normalised, weighted geometric mean."""
    logs = torch.stack([view.double().clamp_min(_LEAST).log() for view in views])
    weight = logs.new_tensor(weights or [1 / len(views)] * len(views))
    return torch.softmax((weight[:, None] * logs).sum(0), dim=0)
