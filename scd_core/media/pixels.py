"""How a picture was taken, measured from its pixels: infrared, brightness, sharpness."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

__all__ = ["measure_pixels"]

_SIDE = 256
_STRIP = 0.1
_GREY_CHROMA = 6.0


@dataclass(frozen=True)
class PixelFacts:
    """Measurements of one picture."""

    is_infrared: bool
    """Grey but for a tint that is the same all over."""
    brightness: float
    """Mean grey value, 0-1."""
    sharpness: float
    """Variance of the Laplacian of the grey picture (0-255), its longer side at 256 pixels."""


def measure_pixels(image: Image.Image) -> PixelFacts:
    """Measure an upright RGB picture.

    A picture counts as infrared when its colour hardly varies: the 99th percentile of the distance of (Cb, Cr) from
    their median is below 6 of 255, over the picture without its upper and lower tenth, where info strips are burned
    in. An infrared flash gives a grey picture or one evenly tinted; daylight and a white flash do not.

    Args:
        image: RGB picture of any size.
    """
    scale = min(1.0, _SIDE / max(image.size))
    small = image.resize([max(1, round(side * scale)) for side in image.size], Image.Resampling.BOX)
    ycbcr = np.asarray(small.convert("YCbCr"), dtype=np.float32)
    grey = ycbcr[..., 0]
    cut = int(len(ycbcr) * _STRIP)
    chroma = ycbcr[cut : len(ycbcr) - cut, :, 1:].reshape(-1, 2)
    distance = np.abs(chroma - np.median(chroma, axis=0)).max(axis=1)
    is_infrared = bool(np.percentile(distance, 99) < _GREY_CHROMA)
    if min(grey.shape) >= 3:
        laplacian = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:] - 4 * grey[1:-1, 1:-1]
        sharpness = float(laplacian.var())
    else:
        sharpness = 0.0
    return PixelFacts(is_infrared, float(grey.mean()) / 255.0, sharpness)
