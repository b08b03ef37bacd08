"""What a strategy showed the network, made again by the strategy itself for the report's pictures."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import ValidationError

from scd_core.audit.report.draw import lit_view
from scd_core.boxes import WHOLE, Box, classified_box
from scd_core.config import ReclassifyConfig
from scd_core.identify.pictures import crop_to_box
from scd_core.identify.preprocess import decode_size, to_picture
from scd_core.identify.spec import InputSpec
from scd_core.names import Strategy
from scd_core.reclassify.rows import crop_in_frame, masked_picture, smallest_crop
from scd_core.reclassify.strategies import STRATEGIES, NotApplicable, View, cropped
from scd_core.tables.mask_png import decode_mask

__all__ = ["decoded_side", "picture_shown"]


def picture_shown(
    row: Mapping[str, Any], frame: Image.Image, strategy: str, crop: Box | None, run: Mapping[str, Any]
) -> Image.Image | None:
    """The network's input under a strategy, as a picture of the input's size; lit by the weights for `late`.

    It is what the network saw to the last bit where the run recorded its settings and its model's input. For runs of
    versions that did not, the input is taken to be the picture stretched to the mask's size.

    Args:
        row: row of the query `examples`, with a mask.
        frame: the frame, decoded at :func:`decoded_side`, persons and vehicles filled.
        strategy: name of the strategy.
        crop: the crop in the strategy's row; None for none.
        run: row of the query `runs` for the batch, or empty.

    Returns:
        The picture; None for a strategy or an input of another version, or a strategy that does not apply any more.

    Raises:
        BrokenMaskError: the stored mask cannot be read.
    """
    box, mask = classified_box(row), decode_mask(row["mask_png"])
    spec = _input_spec(run, mask)
    if spec is None:
        return None
    masked = masked_picture(row, row, crop_to_box(frame, box), mask, spec)
    view = STRATEGIES[Strategy(strategy)](masked, _settings(run)) if strategy in STRATEGIES else None
    if crop is not None and not _shows(view, crop, box):
        x, y, width, height = box or WHOLE
        view = cropped(masked, ((crop[0] - x) / width, (crop[1] - y) / height, crop[2] / width, crop[3] / height))
    if not isinstance(view, View):
        return None
    picture = to_picture(view.tensor, spec)
    return picture if view.keep is None else lit_view(picture, view.keep.numpy())


def decoded_side(row: Mapping[str, Any], run: Mapping[str, Any]) -> int | None:
    """Shorter side (pixels) at which the audit decoded the frame of a masked row; None for full size, or where it is not known.

    Raises:
        BrokenMaskError: the stored mask cannot be read.
    """
    mask = decode_mask(row["mask_png"])
    spec = _input_spec(run, mask)
    if spec is None:
        return None
    width, height = smallest_crop(row, row, mask, spec, _settings(run))
    box = classified_box(row) or WHOLE
    return decode_size(spec, (box[2] * width, box[3] * height))


def _shows(view: View | NotApplicable | None, crop: Box, box: Box | None) -> bool:
    """Whether a view is that crop of the frame, as far as the table's 32-bit floats show."""
    if not isinstance(view, View) or view.crop is None:
        return False
    return bool(np.allclose(crop_in_frame(view.crop, box), crop, atol=1e-5))


def _settings(run: Mapping[str, Any]) -> ReclassifyConfig:
    try:
        return ReclassifyConfig.model_validate(json.loads(run.get("config") or "{}").get("reclassify", {}))
    except ValidationError:  # of another version
        return ReclassifyConfig()


def _input_spec(run: Mapping[str, Any], mask: NDArray[np.float32]) -> InputSpec | None:
    """The model's input; None where the run recorded one that this version does not know."""
    if recorded := run.get("model_input"):
        try:
            return InputSpec.model_validate_json(recorded)
        except ValidationError:
            return None
    height, width = mask.shape
    half = (0.5, 0.5, 0.5)
    return InputSpec.model_construct(size=(height, width), mean=half, std=half, resize="stretch")
