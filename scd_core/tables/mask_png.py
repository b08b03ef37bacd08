"""Maps of evidence as the column `mask_png` holds them: 8-bit grey PNG."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["BrokenMaskError", "decode_mask", "encode_mask", "open_mask"]


class BrokenMaskError(Exception):
    """The bytes of a stored mask are no picture; the message is one line."""


def encode_mask(joint: NDArray[np.floating]) -> bytes:
    """(h, w) map in [0, 1] -> 8-bit grey PNG."""
    buffer = io.BytesIO()
    Image.fromarray(np.round(np.clip(joint, 0, 1) * 255).astype(np.uint8)).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def decode_mask(png: bytes) -> NDArray[np.float32]:
    """8-bit grey PNG -> (h, w) float32 map in [0, 1].

    Raises:
        BrokenMaskError: as for :func:`open_mask`.
    """
    return (np.asarray(open_mask(png), dtype=np.float32) / 255).astype(np.float32)


def open_mask(png: bytes) -> Image.Image:
    """A stored mask as a grey picture (mode L), decoded.

    Raises:
        BrokenMaskError: the bytes are no picture, or end too early.
    """
    try:
        with Image.open(io.BytesIO(png)) as stored:
            return stored.convert("L")
    except Exception as error:  # a broken file may raise anything from Pillow's parsers
        raise BrokenMaskError(f"the stored mask cannot be read ({type(error).__name__}, {len(png)} bytes)") from error
