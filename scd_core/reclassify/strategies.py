"""What each strategy shows the classifier: the picture blurred outside the mask, or a crop of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from scd_core.config import ReclassifyConfig
from scd_core.identify.classifier import Classifier
from scd_core.masks.infill import blend, make_infill
from scd_core.reclassify.crops import Box, central_box, evidence_box, grow_box

__all__ = ["CONTROLS", "STRATEGIES", "View", "mask_crop_box"]

CONTROLS = ("center_crop",)
"""Strategies that measure what zooming alone does; the decision never listens to them."""

BLUR_SIGMA = 10.0
"""Blur outside the mask, in pixels of a frame whose shorter side is 224."""


@dataclass(frozen=True)
class View:
    """A picture as a strategy shows it."""

    tensor: Tensor
    """(3, H, W) normalised."""
    crop: Box | None = None
    """Part of the picture that is shown; None for all of it."""


def early_blur(
    classifier: Classifier, picture: Image.Image, mask: NDArray[np.floating], config: ReclassifyConfig
) -> View:
    """The picture with everything but the mask's evidence blurred away, before the network (early masking)."""
    tensor = classifier.preprocess(picture)[None]
    keep = torch.as_tensor(np.ascontiguousarray(mask), dtype=torch.float32)[None, None]
    keep = F.interpolate(keep, size=tensor.shape[-2:], mode="bilinear", align_corners=False)[:, 0]
    infill = make_infill(tensor, "blur", BLUR_SIGMA, torch.zeros(1, dtype=torch.int64))
    return View(blend(tensor, keep / keep.max().clamp_min(1e-6), infill)[0])


def mask_crop(
    classifier: Classifier, picture: Image.Image, mask: NDArray[np.floating], config: ReclassifyConfig
) -> View:
    """The part of the picture that holds the mask's evidence, from the full picture, filling the input."""
    return _cropped(classifier, picture, mask_crop_box(mask, picture.size, config))


def center_crop(
    classifier: Classifier, picture: Image.Image, mask: NDArray[np.floating], config: ReclassifyConfig
) -> View:
    """A crop of the mask crop's size in the middle of the picture: the effect of zooming without the mask."""
    return _cropped(classifier, picture, central_box(mask_crop_box(mask, picture.size, config)))


STRATEGIES: dict[str, Callable[[Classifier, Image.Image, NDArray[np.floating], ReclassifyConfig], View]] = {
    "early_blur": early_blur,
    "mask_crop": mask_crop,
    "center_crop": center_crop,
}
"""Strategy name -> function."""


def mask_crop_box(mask: NDArray[np.floating], size: tuple[int, int], config: ReclassifyConfig) -> Box:
    """Box that `mask_crop` shows, square in pixels as far as the picture allows.

    Args:
        mask: (h, w) joint map.
        size: width and height of the picture (pixels).
        config: share of mass and margin.
    """
    width, height = size
    return grow_box(evidence_box(mask, config.crop_mass), config.crop_margin, aspect=height / width)


def _cropped(classifier: Classifier, picture: Image.Image, box: Box) -> View:
    x, y, width, height = box
    left, top = int(x * picture.width), int(y * picture.height)
    right, bottom = round((x + width) * picture.width), round((y + height) * picture.height)
    part = picture.crop((left, top, max(left + 1, right), max(top + 1, bottom)))
    return View(classifier.preprocess(part), box)
