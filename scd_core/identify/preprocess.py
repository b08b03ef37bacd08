"""From a decoded picture to the network's input, by the package's own rule."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PIL import Image
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as F

if TYPE_CHECKING:
    from scd_core.identify.package import InputSpec

__all__ = ["OVERSAMPLING", "decode_size", "preprocess"]

OVERSAMPLING = 3
"""A JPEG decoded at a reduced scale must stay this many times larger than the input: at less than 2.5 times, names of real
photographs already changed against a full decode, and 3 costs no more than 2 on 12-megapixel photographs."""


def preprocess(image: Image.Image, spec: InputSpec) -> Tensor:
    """RGB picture of any size -> (3, H, W) float32, normalised.

    The rule ``crop`` is torchvision's and timm's evaluation transform (shorter side, then centre crop).
    """
    height, width = spec.size
    mode = InterpolationMode(spec.interpolation)
    if image.mode != "RGB":  # of one that is RGB, convert() makes a copy
        image = image.convert("RGB")
    if spec.resize == "stretch":
        image = F.resize(image, [height, width], mode)
    elif spec.resize == "crop":
        image = F.center_crop(F.resize(image, [spec.resize_size or min(height, width)], mode), [height, width])
    else:
        scale = min(height / image.height, width / image.width)
        inner = max(1, round(image.height * scale)), max(1, round(image.width * scale))
        grey = tuple(round(255 * value) for value in spec.mean)
        canvas = Image.new("RGB", (width, height), grey)
        canvas.paste(F.resize(image, list(inner), mode), ((width - inner[1]) // 2, (height - inner[0]) // 2))
        image = canvas
    return F.normalize(F.to_tensor(image), list(spec.mean), list(spec.std))


def decode_size(spec: InputSpec, crop: tuple[float, float] = (1.0, 1.0)) -> int | None:
    """Shorter side (pixels) to decode a picture at, so that a crop of this relative (width, height) oversamples the input.

    None, the full size, unless the package asks for `decode` ``reduced``: no decode at reduced scale is within 1e-3 in logits.
    Always for the rule ``crop``, which is the architecture's own transform.
    """
    if spec.resize == "crop" or spec.decode == "full":
        return None
    return round(OVERSAMPLING * max(spec.size) / max(0.02, min(crop)))
