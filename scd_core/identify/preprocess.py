"""From a decoded picture to the network's input, by the package's own rule."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as F

if TYPE_CHECKING:
    from scd_core.identify.package import InputSpec

__all__ = ["decode_size", "denormalise", "preprocess"]


def preprocess(image: Image.Image, spec: InputSpec) -> Tensor:
    """RGB picture of any size -> (3, H, W) float32, normalised.

    The rule ``crop`` is torchvision's and timm's evaluation transform (shorter side, then centre crop).
    """
    height, width = spec.size
    mode = InterpolationMode(spec.interpolation)
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


def decode_size(spec: InputSpec, crop: tuple[float, float] = (1.0, 1.0)) -> int:
    """Shorter side (pixels) to decode a picture at, so that a crop of this relative (width, height) still fills the input."""
    side = max(spec.size[0], spec.size[1], spec.resize_size or 0)
    return round(side / max(0.02, min(crop)))


def denormalise(tensor: Tensor, spec: InputSpec) -> Tensor:
    """Inverse of the normalisation: (..., 3, H, W) -> values in [0, 1]."""
    mean = torch.tensor(spec.mean, device=tensor.device)[:, None, None]
    std = torch.tensor(spec.std, device=tensor.device)[:, None, None]
    return (tensor * std + mean).clamp(0, 1)
