"""From a decoded picture to the network's input, by the package's own rule."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate

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
        from torchvision.transforms import InterpolationMode, functional  # seconds to import, which few packages need

        shorter = [spec.resize_size or min(height, width)]
        image = functional.resize(image, shorter, InterpolationMode(spec.interpolation))
        image = functional.center_crop(image, [height, width])
    else:
        scale = min(height / image.height, width / image.width)
        inner = max(1, round(image.height * scale)), max(1, round(image.width * scale))
        grey = tuple(round(255 * value) for value in spec.mean)
        canvas = Image.new("RGB", (width, height), grey)
        canvas.paste(_resized(image, inner, spec), ((width - inner[1]) // 2, (height - inner[0]) // 2))
        image = canvas
    mean, std = _mean_and_std(spec)
    return _pixels(image).float().div_(255).sub_(mean).div_(std)


def to_picture(tensor: Tensor, spec: InputSpec) -> Image.Image:
    """A network's input, (3, H, W) normalised, as the picture that it is: :func:`preprocess` without its resize, undone."""
    mean, std = _mean_and_std(spec)
    return _picture(((tensor * std + mean).clamp(0, 1) * 255).round().to(torch.uint8))


def _mean_and_std(spec: InputSpec) -> tuple[Tensor, Tensor]:
    """Of each channel, both (3, 1, 1)."""
    return torch.tensor(spec.mean).view(3, 1, 1), torch.tensor(spec.std).view(3, 1, 1)


def _pixels(image: Image.Image) -> Tensor:
    """RGB picture -> (3, H, W) bytes."""
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous()


def _picture(pixels: Tensor) -> Image.Image:
    """(3, H, W) bytes -> RGB picture."""
    return Image.fromarray(pixels.permute(1, 2, 0).contiguous().numpy())


def _resized(image: Image.Image, size: tuple[int, int], spec: InputSpec) -> Image.Image:
    """An RGB picture at this (height, width).

    Pillow's own resize, which trained networks saw, takes an eighth of the time of a picture decoded at a reduced scale. There
    torch's resize of bytes is used, three times as fast and one grey level off in a thousandth of the values.
    """
    if spec.decode == "full" or spec.interpolation == "nearest":
        return image.resize(size[::-1], Image.Resampling[spec.interpolation.upper()])
    return _picture(interpolate(_pixels(image)[None], list(size), mode=spec.interpolation, antialias=True)[0])


def decode_size(spec: InputSpec, crop: tuple[float, float] = (1.0, 1.0)) -> int | None:
    """Shorter side (pixels) to decode a picture at, so that a crop of this relative (width, height) oversamples the input.

    None, the full size, unless the package has `decode` ``reduced``: no decode at reduced scale is within 1e-3 in logits.
    Always for the rule ``crop``, which is the architecture's own transform.
    """
    if spec.resize == "crop" or spec.decode == "full":
        return None
    return round(_OVERSAMPLING * max(spec.size) / max(0.02, min(crop)))
