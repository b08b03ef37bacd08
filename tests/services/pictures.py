"""Pictures for tests, made on the spot, and where the real ones are."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

SHARED = Path(__file__).resolve().parents[2] / ".." / "shared" / "data"


def photo(width: int = 320, height: int = 240, seed: int = 0) -> Image.Image:
    """A colourful picture whose upper left quarter is red."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 120, (height, width, 3)).astype(np.uint8)
    pixels[: height // 2, : width // 2] = (230, 20, 20)
    return Image.fromarray(pixels)


def encode(image: Image.Image, kind: str = "JPEG", **options: object) -> bytes:
    sink = io.BytesIO()
    image.save(sink, kind, **options)
    return sink.getvalue()


def exif_block(**tags: str) -> bytes:
    """An EXIF block with DateTimeOriginal, OffsetTimeOriginal, SubsecTimeOriginal, DateTime, Orientation."""
    exif = Image.Exif()
    ifd = exif.get_ifd(0x8769)
    for name, tag in (("original", 0x9003), ("offset", 0x9011), ("subsec", 0x9291)):
        if name in tags:
            ifd[tag] = tags[name]
    if "modified" in tags:
        exif[0x0132] = tags["modified"]
    if "orientation" in tags:
        exif[0x0112] = int(tags["orientation"])
    return exif.tobytes()
