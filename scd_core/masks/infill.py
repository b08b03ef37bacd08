"""What a removed pixel is replaced with: blur, mean, noise, local mean, or another image's background."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch

from scd_core.masks.noise import uniform_field
from scd_core.masks.resample import box_matrix, gaussian_matrix, resample

__all__ = ["blend", "blur", "local_mean", "make_infill"]

_NOISE_DRAW = 0x1F111
"""Number of the draw that makes a noise infill; far from the step numbers that make the samples."""


def blend(images: torch.Tensor, keep: torch.Tensor, infill: torch.Tensor) -> torch.Tensor:
    """Keep part of an image: ``z * x + (1 - z) * infill``.

    Args:
        images: (B, 3, H, W).
        keep: (B, H, W) in [0, 1], 1 = the image's own pixel.
        infill: (B, 3, H, W).

    Returns:
        (B, 3, H, W).
    """
    return infill + keep.unsqueeze(1) * (images - infill)


def blur(images: torch.Tensor, sigma: float) -> torch.Tensor:
    """Gaussian blur; at the border the kernel is renormalised over the frame.

    Args:
        images: (B, 3, H, W).
        sigma: standard deviation (pixels of `images`).

    Returns:
        (B, 3, H, W).
    """
    height, width = images.shape[-2:]
    return _filter(images, gaussian_matrix(height, sigma), gaussian_matrix(width, sigma))


def local_mean(images: torch.Tensor, radius: int) -> torch.Tensor:
    """Mean over a square window of 2 * radius + 1 pixels, cut at the frame; (B, 3, H, W) in and out."""
    height, width = images.shape[-2:]
    return _filter(images, box_matrix(height, radius), box_matrix(width, radius))


def mean_colour(images: torch.Tensor) -> torch.Tensor:
    """The mean of each channel of each image, spread over the frame; (B, 3, H, W) in and out."""
    return images.mean((-2, -1), keepdim=True).expand_as(images).contiguous()


def noise_like(images: torch.Tensor, seeds: torch.Tensor) -> torch.Tensor:
    """Gaussian noise with the mean and standard deviation of each channel of each image.

    Args:
        images: (B, 3, H, W).
        seeds: (B,) int64; the noise of an image depends on its seed alone.

    Returns:
        (B, 3, H, W).
    """
    uniform = uniform_field(seeds, torch.full_like(seeds, _NOISE_DRAW), tuple(images.shape[1:]))
    normal = torch.erfinv((2 * uniform - 1).clamp(-1 + 1e-6, 1 - 1e-6)).to(images.dtype) * math.sqrt(2)
    deviation, mean = torch.std_mean(images, (-2, -1), keepdim=True)
    return mean + deviation * normal


def make_infill(
    images: torch.Tensor, kind: str, sigma: float, seeds: torch.Tensor, backgrounds: torch.Tensor | None = None
) -> torch.Tensor:
    """The infill of each image.

    Args:
        images: (B, 3, H, W).
        kind: `blur`, `mean`, `noise`, `local_mean` (a window with the same variance as the blur) or `background`.
        sigma: width of blur and window, in pixels of a frame whose shorter side is 224.
        seeds: (B,) int64, used by `noise`.
        backgrounds: (B, 3, H, W), used by `background`: other images, such as an empty frame of the same camera.

    Returns:
        (B, 3, H, W).

    Raises:
        ValueError: `kind` is none of these, or is `background` and there are no backgrounds.
    """
    if kind == "background":
        if backgrounds is None:
            raise ValueError("infill background: expected backgrounds of the shape of the images, got None")
        return backgrounds
    pixels = sigma * min(images.shape[-2:]) / 224
    makers: dict[str, Callable[[], torch.Tensor]] = {
        "blur": lambda: blur(images, pixels),
        "mean": lambda: mean_colour(images),
        "noise": lambda: noise_like(images, seeds),
        "local_mean": lambda: local_mean(images, max(1, round(pixels * math.sqrt(3)))),
    }
    if kind not in makers:
        raise ValueError(f"infill: expected one of {sorted([*makers, 'background'])}, got {kind!r}")
    return makers[kind]()


def _filter(images: torch.Tensor, rows: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
    return resample(images, rows.to(images), columns.to(images))
