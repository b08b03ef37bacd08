"""What each strategy shows the classifier: the picture with parts of it replaced, or a crop of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from scd_core.boxes import Box
from scd_core.config import ReclassifyConfig
from scd_core.identify.pictures import crop_to_box
from scd_core.identify.preprocess import preprocess
from scd_core.identify.spec import InputSpec
from scd_core.masks.infill import blend, make_infill
from scd_core.masks.reliance import animal_mask
from scd_core.names import Strategy
from scd_core.reclassify.crops import away_box, central_box, evidence_box, fill_box

__all__ = ["AWAY_SIDE", "CONTROLS", "STRATEGIES", "MaskedPicture", "NotApplicable", "View", "cropped", "mask_crop_box"]

CONTROLS = (Strategy.CENTER_CROP,)
"""Strategies that measure what zooming alone does; they have no part in the decision."""

BLUR_SIGMA = 10.0
"""Blur of what is replaced, in pixels of a frame whose shorter side is 224."""


WIDE_MASS = 0.2
"""Share of the mask's mass that `wide_crop` holds beyond that of `mask_crop`."""

AWAY_SIDE = 0.7
"""Width and height of `away_crop`, as shares of the picture's."""

AWAY_MASS = 0.1
"""Share of the mask's mass that `away_crop` may hold, where the picture has room for that."""


@dataclass(frozen=True)
class MaskedPicture:
    """A picture to classify again, its mask, and what is known of it.

    Raises:
        ValueError: the mask is not two-dimensional.
    """

    picture: Image.Image
    """As it was classified: the whole frame, or the animal's box."""
    mask: NDArray[np.floating]
    """(h, w) joint map in [0, 1], over the picture."""
    spec: InputSpec
    """The network's input."""
    taken_size: tuple[int, int] | None = None
    """Width and height at which the picture was taken (pixels), where it was decoded smaller."""
    box: Box | None = None
    """Where the animal is in the picture; None where that is not known, or where the picture is the box."""
    is_box: bool = False
    """The picture is the animal's box, so evidence anywhere in it counts as evidence on the animal."""
    shift: Tensor | None = None
    """(K,) what is added to the logits of all its views, because some individuals are expected; None for nothing."""

    def __post_init__(self) -> None:
        if self.mask.ndim != 2:
            raise ValueError(f"mask: expected shape (h, w), got {self.mask.shape}")

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the picture as it was taken (pixels)."""
        return self.taken_size or self.picture.size

    @cached_property
    def tensor(self) -> Tensor:
        """(3, H, W) normalised: the network's input when the picture was classified."""
        return preprocess(self.picture, self.spec)


@dataclass(frozen=True)
class View:
    """A picture as a strategy shows it."""

    tensor: Tensor
    """(3, H, W) normalised."""
    crop: Box | None = None
    """Part of the picture that is shown; None for all of it."""
    keep: Tensor | None = None
    """(H, W) in [0, 1]: weight of the network's features, for a strategy that masks these rather than pixels."""


@dataclass(frozen=True)
class NotApplicable:
    """Why a strategy has nothing to show for a picture."""

    reason: str


Showing = Callable[[MaskedPicture, ReclassifyConfig], View | NotApplicable]

_NO_BOX = NotApplicable("no animal box is known inside this picture")
_HAS_BOX = NotApplicable("the animal's box is known, so nothing need stand in for it")
_IS_BOX = NotApplicable("the picture is the animal's box, so none of it is taken for background")


def _no_box_inside(masked: MaskedPicture) -> NotApplicable:
    """Why a strategy that needs the animal's box inside the picture has none."""
    return _IS_BOX if masked.is_box else _NO_BOX


def _needs_no_stand_in(masked: MaskedPicture) -> NotApplicable | None:
    """Why a strategy that stands in for an unknown box does not apply; None where it does."""
    if masked.is_box:
        return _IS_BOX
    return None if masked.box is None else _HAS_BOX


def early_blur(masked: MaskedPicture, config: ReclassifyConfig) -> View | NotApplicable:
    """The picture with everything but the mask's evidence blurred away, before the network (early masking)."""
    return View(_replaced(masked.tensor, _evidence(masked), "blur"))


def early_mean(masked: MaskedPicture, config: ReclassifyConfig) -> View | NotApplicable:
    """The picture with everything but the mask's evidence in the picture's mean colour."""
    return View(_replaced(masked.tensor, _evidence(masked), "mean"))


def early_inside(masked: MaskedPicture, config: ReclassifyConfig) -> View | NotApplicable:
    """The picture with the evidence that lies outside the animal's box blurred away, and nothing else changed.

    The counterfactual of a shortcut: what is it called without that which the name rests on but which is no part of the
    animal? Where all evidence lies on the animal it is the picture itself.
    """
    if masked.box is None:
        return _no_box_inside(masked)
    keep = torch.maximum(animal_mask(masked.box, masked.tensor.shape), 1 - _evidence(masked))
    return View(_replaced(masked.tensor, keep, "blur"))


def early_removed(masked: MaskedPicture, config: ReclassifyConfig) -> View | NotApplicable:
    """The picture with all of the mask's evidence blurred away, wherever it lies: `early_inside` where no box is known.

    On a picture that was named for the animal's own marks nothing is left to name it by; on one that was named for a
    shortcut the animal is left.
    """
    if reason := _needs_no_stand_in(masked):
        return reason
    return View(_replaced(masked.tensor, 1 - _evidence(masked), "blur"))


def late(masked: MaskedPicture, config: ReclassifyConfig) -> View | NotApplicable:
    """The whole picture, but only features under the mask's evidence are averaged into the answer (late masking).

    Applies to networks that average their features (:func:`scd_core.reclassify.late.pooled_layer`).
    """
    return View(masked.tensor, keep=_evidence(masked))


def late_box(masked: MaskedPicture, config: ReclassifyConfig) -> View | NotApplicable:
    """The whole picture, but only features in the animal's box are averaged into the answer; needs no mask.

    Applies to the networks of :func:`late`. What surrounds the animal still reaches the features in the box, as far as they
    see beyond it.
    """
    if masked.box is None:
        return _no_box_inside(masked)
    return View(masked.tensor, keep=animal_mask(masked.box, masked.tensor.shape).float())


def mask_crop(masked: MaskedPicture, config: ReclassifyConfig) -> View | NotApplicable:
    """The part of the picture that holds the mask's evidence, from the full picture, filling the input."""
    return cropped(masked, _mask_crop_box(masked, config))


def wide_crop(masked: MaskedPicture, config: ReclassifyConfig) -> View | NotApplicable:
    """The crop of `mask_crop` with more of the evidence in it: a name that rests on a fragment does not last here."""
    wider = config.model_copy(update={"crop_mass": min(1.0, config.crop_mass + WIDE_MASS)})
    return cropped(masked, _mask_crop_box(masked, wider))


def away_crop(masked: MaskedPicture, config: ReclassifyConfig) -> View | NotApplicable:
    """A crop that leaves the mask's evidence out, as near to the middle as that allows."""
    if reason := _needs_no_stand_in(masked):
        return reason
    return cropped(masked, away_box(masked.mask, AWAY_SIDE, AWAY_MASS))


def box_crop(masked: MaskedPicture, config: ReclassifyConfig) -> View | NotApplicable:
    """The part of the picture that holds the animal's box, from the full picture, filling the input."""
    if masked.box is None:
        return _no_box_inside(masked)
    return cropped(masked, _filling(masked.box, masked.size, masked.spec.size, config))


def tight_crop(masked: MaskedPicture, config: ReclassifyConfig) -> View | NotApplicable:
    """The crop of `box_crop` without its margin: less of the surroundings, at another size."""
    return box_crop(masked, config.model_copy(update={"crop_margin": 0.0}))


def center_crop(masked: MaskedPicture, config: ReclassifyConfig) -> View | NotApplicable:
    """A crop of the mask crop's size in the middle of the picture: the effect of zooming without the mask."""
    return cropped(masked, central_box(_mask_crop_box(masked, config)))


STRATEGIES: Mapping[Strategy, Showing] = {
    Strategy.EARLY_BLUR: early_blur,
    Strategy.EARLY_MEAN: early_mean,
    Strategy.EARLY_INSIDE: early_inside,
    Strategy.EARLY_REMOVED: early_removed,
    Strategy.LATE: late,
    Strategy.LATE_BOX: late_box,
    Strategy.MASK_CROP: mask_crop,
    Strategy.WIDE_CROP: wide_crop,
    Strategy.AWAY_CROP: away_crop,
    Strategy.BOX_CROP: box_crop,
    Strategy.TIGHT_CROP: tight_crop,
    Strategy.CENTER_CROP: center_crop,
}
"""Strategy -> what it shows of a picture."""


def cropped(masked: MaskedPicture, box: Box) -> View:
    """A part of the picture as the network sees it, filling the input."""
    return View(preprocess(crop_to_box(masked.picture, box), masked.spec), box)


def mask_crop_box(
    mask: NDArray[np.floating],
    size: tuple[int, int],
    config: ReclassifyConfig,
    *,
    input_size: tuple[int, int] = (1, 1),
    box: Box | None = None,
) -> Box:
    """Box that `mask_crop` shows: the evidence with a margin, in the input's proportions as far as the picture allows.

    Args:
        mask: (h, w) joint map.
        size: width and height of the picture (pixels).
        config: share of mass, margin and smallest crop.
        input_size: height and width of the network's input (pixels), which decide the crop's proportions and smallest
            size.
        box: where the animal is; only evidence inside it counts then, and where there is none the box is what is masked.
    """
    weights = np.asarray(mask, dtype=np.float64)
    if box is not None:
        weights = weights * animal_mask(box, weights.shape).numpy()
    found = box if box is not None and weights.sum() <= 0 else evidence_box(weights, config.crop_mass)
    return _filling(found, size, input_size, config)


def _mask_crop_box(masked: MaskedPicture, config: ReclassifyConfig) -> Box:
    return mask_crop_box(masked.mask, masked.size, config, input_size=masked.spec.size, box=masked.box)


def _filling(box: Box, size: tuple[int, int], input_size: tuple[int, int], config: ReclassifyConfig) -> Box:
    least = config.crop_min_pixels * input_size[1] / size[0], config.crop_min_pixels * input_size[0] / size[1]
    return fill_box(box, config.crop_margin, least)


def _evidence(masked: MaskedPicture) -> Tensor:
    """(H, W) joint map at the input's size, its strongest pixel 1."""
    keep = torch.as_tensor(np.ascontiguousarray(masked.mask), dtype=torch.float32)[None, None]
    keep = F.interpolate(keep, size=masked.tensor.shape[-2:], mode="bilinear", align_corners=False)[0, 0]
    return keep / keep.max().clamp_min(1e-6)


def _replaced(tensor: Tensor, keep: Tensor, kind: str) -> Tensor:
    """The picture where `keep` is 1, an infill where it is 0."""
    infill = make_infill(tensor[None], kind, BLUR_SIGMA, torch.zeros(1, dtype=torch.int64))
    return blend(tensor[None], keep[None], infill)[0]
