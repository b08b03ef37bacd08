"""Pictures of the pages on masks, drawn from scenes: what a step shows the network, and what resolution does."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import Tensor

from benchmarks.masks.data import Frames, scene_frames
from scd_core.masks import fit_masks
from scd_core.masks.concrete import simplified_concrete
from scd_core.masks.infill import blend, blur
from scd_core.masks.noise import paired_uniform
from scd_core.masks.resample import bilinear_matrix, resample
from scd_core.masks.settings import SCDConfig

__all__ = ["draw"]

SEED = 77
"""Of the scenes drawn; no setting was chosen on them."""
_COLOURS = 96
_TITLE = 14


def draw(folder: Path) -> list[Path]:
    """Draw both pictures.

    Args:
        folder: where ``masks-method.png`` and ``research/masks-resolution.png`` are written.
    """
    frames = scene_frames(2, SEED, torch.device("cpu"))
    return [
        _save(folder / "masks-method.png", [_method(frames, index) for index in range(len(frames))]),
        _save(
            folder / "research" / "masks-resolution.png", [_resolutions(frames, index) for index in range(len(frames))]
        ),
    ]


def _method(frames: Frames, index: int) -> list[tuple[str, NDArray[np.uint8]]]:
    """One scene: the picture, its infill, a sample under each map, and the three maps."""
    part = frames.part(index, index + 1)
    image = part.images
    infill = blur(image, 10 * min(image.shape[2:]) / 224)
    masks = fit_masks(part.model, image, part.targets, SCDConfig(), part.seeds)
    cells = (45, 60)
    uniform = paired_uniform(part.seeds, part.seeds, 1, (2, *cells), True)[0, 0]
    maps = torch.stack((masks.sufficient[0], masks.destroying[0]))
    coarse = torch.nn.functional.interpolate(maps[None], size=cells, mode="area")[0].clamp(1e-3, 1 - 1e-3).logit()
    rows, columns = (bilinear_matrix(size, count).float() for size, count in zip(image.shape[2:], cells))
    sample = resample(simplified_concrete(coarse, uniform), rows, columns)
    return [
        ("picture", _picture(image[0], image[0])),
        ("infill", _picture(infill[0], image[0])),
        ("sample of the sufficient", _picture(blend(image, sample[:1], infill)[0], image[0])),
        ("sample without the destroying", _picture(blend(image, 1 - sample[1:], infill)[0], image[0])),
        ("sufficient", _over(image[0], masks.sufficient[0])),
        ("destroying", _over(image[0], masks.destroying[0])),
        ("joint", _over(image[0], masks.joint[0])),
        ("causal marks", _over(image[0], part.regions["marks"][0].float())),
    ]


def _resolutions(frames: Frames, index: int) -> list[tuple[str, NDArray[np.uint8]]]:
    """One scene under maps of different resolution, all else as in the default."""
    part = frames.part(index, index + 1)
    panels = [("causal marks", _over(part.images[0], part.regions["marks"][0].float()))]
    sizes: dict[str, int | Literal["auto"] | None] = {
        "14 cells": 14, "28 cells": 28, "75 cells (default)": "auto", "one cell per pixel": None,
    }  # fmt: skip
    for name, size in sizes.items():
        config = SCDConfig(mask_size=size)
        joint = fit_masks(part.model, part.images, part.targets, config, part.seeds).joint[0]
        panels.append((name, _over(part.images[0], joint)))
    return panels


def _picture(values: Tensor, like: Tensor) -> NDArray[np.uint8]:
    """(3, H, W) normalised -> (H, W, 3) bytes, in the range of the picture `like`."""
    low, high = like.amin(), like.amax()
    return ((values - low) / (high - low) * 255).clamp(0, 255).byte().permute(1, 2, 0).numpy()


def _over(image: Tensor, evidence: Tensor) -> NDArray[np.uint8]:
    """The picture, dimmed to grey where there is no evidence."""
    full = _picture(image, image).astype(np.float32)
    grey = np.repeat(full.mean(2, keepdims=True), 3, axis=2) * 0.35
    share = evidence.clamp(0, 1)[..., None].numpy()
    return (share * full + (1 - share) * grey).astype(np.uint8)


def _save(path: Path, lines: list[list[tuple[str, NDArray[np.uint8]]]]) -> Path:
    height, width = lines[0][0][1].shape[:2]
    sheet = Image.new("RGB", (len(lines[0]) * (width + 4), _TITLE + len(lines) * (height + 4)), "white")
    pen = ImageDraw.Draw(sheet)
    for row, line in enumerate(lines):
        for column, (title, pixels) in enumerate(line):
            left = column * (width + 4)
            if row == 0:
                pen.text((left + 2, 1), title, fill="black")
            sheet.paste(Image.fromarray(pixels), (left, _TITLE + row * (height + 4)))
    sheet.quantize(_COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)
    return path
