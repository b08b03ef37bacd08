"""The grid of a map's cells, and how it lies over the pixels of an image."""

from __future__ import annotations

import torch

from scd_core.config import SCDConfig
from scd_core.masks.resample import bilinear_matrix, gaussian_matrix, resample

__all__ = ["Grid"]

_FRAME_224 = 224 * 224
"""Pixels of the frame that the costs count in where ``config.pixel_unit`` is `frame_224`."""


class Grid:
    """Square cells over an image of any shape.

    Attributes:
        pixels: (H, W) of the image.
        cells: (h, w) of the map.
        step: edge lengths of a cell (vertical, horizontal), in the pixels that costs are counted in.
        unit_pixels: pixels of the frame that costs are counted in.
        pixels_per_cell: of those pixels, how many a cell covers.
    """

    def __init__(self, height: int, width: int, config: SCDConfig, device: torch.device, dtype: torch.dtype) -> None:
        short = min(height, width)
        size = short if config.mask_size is None else min(config.mask_size, short)
        self.pixels = (height, width)
        self.cells = (round(height * size / short), round(width * size / short))
        self.unit_pixels = height * width if config.pixel_unit == "image" else _FRAME_224
        scale = (self.unit_pixels / (height * width)) ** 0.5
        self.step = (scale * height / self.cells[0], scale * width / self.cells[1])
        self.pixels_per_cell = self.unit_pixels / (self.cells[0] * self.cells[1])
        self.is_identity = self.cells == self.pixels and config.smoothing == 0
        self.rows, self.columns = (
            (bilinear_matrix(pixels, cells) @ gaussian_matrix(cells, config.smoothing)).to(device, dtype)
            for pixels, cells in zip(self.pixels, self.cells, strict=True)
        )

    def spread(self, values: torch.Tensor) -> torch.Tensor:
        """(..., h, w) over the cells -> (..., H, W) over the pixels."""
        return values if self.is_identity else resample(values, self.rows, self.columns)
