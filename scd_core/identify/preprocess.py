"""From a decoded picture to the network's input, by the package's own rule."""

from __future__ import annotations

import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as F

from scd_core.identify.spec import InputSpec

__all__ = ["decode_size", "preprocess", "to_picture"]

_OVERSAMPLING = 3
"""A JPEG decoded at a reduced scale must stay this many times larger than the input: at less than 2.5 times, names of real
photographs already changed against a full decode, and 3 costs no more than 2 on 12-megapixel photographs."""


def preprocess(image: Image.Image, spec: InputSpec) -> Tensor:
    """RGB picture of any size -> (3, H, W) float32, normalised.

    The rule ``crop`` is torchvision's and timm's evaluation transform (shorter side, then centre crop).
    """
    height, width = spec.size
    if image.mode != "RGB":  # of one that is RGB, convert() makes a copy
        image = image.convert("RGB")
    if spec.resize == "stretch":
        image = _resized(image, (height, width), spec)
    elif spec.resize == "crop":
        shorter = F.resize(image, [spec.resize_size or min(height, width)], InterpolationMode(spec.interpolation))
        image = F.center_crop(shorter, [height, width])
    else:
        scale = min(height / image.height, width / image.width)
        inner = max(1, round(image.height * scale)), max(1, round(image.width * scale))
        grey = tuple(round(255 * value) for value in spec.mean)
        canvas = Image.new("RGB", (width, height), grey)
        canvas.paste(_resized(image, inner, spec), ((width - inner[1]) // 2, (height - inner[0]) // 2))
        image = canvas
    return F.normalize(F.to_tensor(image), list(spec.mean), list(spec.std))


def to_picture(tensor: Tensor, spec: InputSpec) -> Image.Image:
    """A network's input, (3, H, W) normalised, as the picture that it is: :func:`preprocess` without its resize, undone."""
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (spec.mean, spec.std))
    return F.to_pil_image(((tensor * std + mean).clamp(0, 1) * 255).round().to(torch.uint8))


def _resized(image: Image.Image, size: tuple[int, int], spec: InputSpec) -> Image.Image:
    """An RGB picture at this (height, width).

    Pillow's own resize, which trained networks saw, takes an eighth of the time of a picture decoded at a reduced scale. There
    torch's resize of bytes is used, three times as fast and one grey level off in a thousandth of the values.
    """
    if spec.decode == "full" or spec.interpolation == "nearest":
        return F.resize(image, list(size), InterpolationMode(spec.interpolation))
    pixels = interpolate(F.pil_to_tensor(image)[None], list(size), mode=spec.interpolation, antialias=True)
    return F.to_pil_image(pixels[0])


def decode_size(spec: InputSpec, crop: tuple[float, float] = (1.0, 1.0)) -> int | None:
    """Shorter side (pixels) to decode a picture at, so that a crop of this relative (width, height) oversamples the input.

    None, the full size, unless the package has `decode` ``reduced``: no decode at reduced scale is within 1e-3 in logits.
    Always for the rule ``crop``, which is the architecture's own transform.
    """
    if spec.resize == "crop" or spec.decode == "full":
        return None
    return round(_OVERSAMPLING * max(spec.size) / max(0.02, min(crop)))
