"""The grid of a map's cells, and how it lies over the pixels of an image."""

from __future__ import annotations

from contextlib import suppress

import torch
from torch import nn

from scd_core.masks.concrete import keep_probability
from scd_core.masks.feature_layer import find_feature_layer
from scd_core.masks.noise import uniform_field
from scd_core.masks.preserve import Model
from scd_core.masks.resample import bilinear_matrix, gaussian_matrix, resample
from scd_core.masks.settings import SCDConfig

__all__ = ["Grid", "cells_for"]

_FRAME_224 = 224 * 224
"""Pixels of the frame that the costs count in where ``config.pixel_unit`` is `frame_224`."""


_CELLS_PER_FEATURE = 5
"""Cells of a map along one cell of the network's last feature map. Finer cells are smaller than what the network can
place: they are fitted to its blind spots (patterns that no animal has), and the map spreads over the frame."""
_FEWEST, _MOST = 16, 96
"""Bounds of the cells along the shorter side."""
_FALLBACK_PIXELS = 8
"""Side of a cell for a model without a feature map that can be found: a quarter of the usual stride of 32."""


def cells_for(
    model: Model, height: int, width: int, config: SCDConfig, device: torch.device, dtype: torch.dtype
) -> int:
    """Cells along the shorter side of the map, as the config sets it or, for `auto`, as the network sees.

    Args:
        model: in evaluation mode, parameters frozen; `auto` runs it once on an image of noise.
        height: of the images.
        width: of the images.
        config: `mask_size` is used.
        device: of the model.
        dtype: of the model's input.

    Returns:
        At least 2, at most the shorter side.
    """
    short = min(height, width)
    if config.mask_size is None:
        return short
    if config.mask_size != "auto":
        return min(config.mask_size, short)
    cells = short // _FALLBACK_PIXELS
    if isinstance(model, nn.Module):
        none = torch.zeros(1, dtype=torch.int64, device=device)
        noise = uniform_field(none, none, (3, height, width))[0].to(dtype) - 0.5
        with suppress(ValueError):  # the model has no feature map that can be found from the outside
            cells = _CELLS_PER_FEATURE * min(find_feature_layer(model, noise).grid)
    return min(short, max(_FEWEST, min(_MOST, cells)))


class Grid:
    """Square cells over an image of any shape.

    Attributes:
        pixels: (H, W) of the image.
        cells: (h, w) of the map.
        unit_pixels: pixels of the frame that costs are counted in.
        pixels_per_cell: of those pixels, how many a cell covers.
    """

    def __init__(
        self, height: int, width: int, cells: int, config: SCDConfig, device: torch.device, dtype: torch.dtype
    ) -> None:
        short = min(height, width)
        self.pixels = (height, width)
        self.cells = (round(height * cells / short), round(width * cells / short))
        self.unit_pixels = height * width if config.pixel_unit == "image" else _FRAME_224
        self.pixels_per_cell = self.unit_pixels / (self.cells[0] * self.cells[1])
        self.is_identity = self.cells == self.pixels and config.smoothing == 0
        self.rows, self.columns = (
            (bilinear_matrix(fine, coarse) @ gaussian_matrix(coarse, config.smoothing)).to(device, dtype)
            for fine, coarse in zip(self.pixels, self.cells, strict=True)
        )

    def spread(self, values: torch.Tensor) -> torch.Tensor:
        """(..., h, w) over the cells -> (..., H, W) over the pixels."""
        return values if self.is_identity else resample(values, self.rows, self.columns)

    def spread_map(self, logits: torch.Tensor, temperature: float) -> torch.Tensor:
        """The map of some logits over the pixels, the value of every cell kept at its centre.

        Between centres the probabilities at `temperature` are interpolated and taken back:
        ``sigmoid(T logit(spread(sigmoid(k / T))))``. At T = 1 that interpolates the map itself, and a pixel beside a
        cell of evidence outranks everything that is farther off; a large T interpolates the logits, and such a pixel
        ranks by its own cell as well.

        Args:
            logits: (..., h, w), k of each cell.
            temperature: T, more than 0.

        Returns:
            (..., H, W) in [0, 1].
        """
        if temperature == 1 or self.is_identity:
            return self.spread(keep_probability(logits)).clamp(0, 1)
        of_cells = logits / temperature
        kept, lost = (self.spread(keep_probability(sign * of_cells)).clamp(min=0).log() for sign in (1, -1))
        return keep_probability(temperature * (kept - lost))
