"""Checks of what the mask metrics are given, each with one line: what was wrong, and in which image."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["check_images", "check_maps", "check_regions", "resize_maps"]


def check_maps(maps: Tensor) -> Tensor:
    """Maps as float32, refused where they are no maps.

    Args:
        maps: (N, h, w), any real dtype; larger means more evidence.

    Raises:
        ValueError: not three axes, no pixels, or a map with a NaN or infinite value; the message names the image.
    """
    if maps.dim() != 3 or 0 in maps.shape:
        raise ValueError(f"maps: expected shape (N, h, w) with no empty axis, got {tuple(maps.shape)}")
    maps = maps.detach().float()
    broken = ~torch.isfinite(maps).flatten(1).all(dim=1)
    if broken.any():
        raise ValueError(f"map of image {int(broken.nonzero()[0])} has NaN or infinite values")
    return maps


def check_regions(regions: Tensor, maps: Tensor) -> Tensor:
    """Regions as bool, refused where they do not fit the maps or say nothing.

    Args:
        regions: (N, H, W), bool or numbers of which non-zero means inside.
        maps: (N, h, w), for the number of images and the device.

    Raises:
        ValueError: wrong shape, or a region with no pixel inside; the message names the image.
    """
    if regions.dim() != 3 or 0 in regions.shape or len(regions) != len(maps):
        raise ValueError(f"regions: expected shape ({len(maps)}, H, W), got {tuple(regions.shape)}")
    regions = regions.to(maps.device) != 0
    empty = ~regions.flatten(1).any(dim=1)
    if empty.any():
        raise ValueError(f"region of image {int(empty.nonzero()[0])} has no pixel inside")
    return regions


def check_images(images: Tensor, targets: Tensor, maps: Tensor) -> None:
    """Refuse images and targets that do not belong to the maps.

    Args:
        images: (N, C, H, W), floating point.
        targets: (N,) class indices.
        maps: (N, h, w).

    Raises:
        ValueError: wrong shape or dtype, or an image with a NaN or infinite value; the message names the image.
    """
    if images.dim() != 4 or not images.is_floating_point() or len(images) != len(maps):
        raise ValueError(
            f"images: expected float of shape ({len(maps)}, C, H, W), got {images.dtype} of {tuple(images.shape)}"
        )
    if targets.shape != (len(maps),) or targets.is_floating_point():
        found = f"{targets.dtype} of {tuple(targets.shape)}"
        raise ValueError(f"targets: expected integers of shape ({len(maps)},), got {found}")
    broken = ~torch.isfinite(images).flatten(1).all(dim=1)
    if broken.any():
        raise ValueError(f"image {int(broken.nonzero()[0])} has NaN or infinite values")


def resize_maps(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Maps (N, h, w) at ``size`` (H, W): bilinear, averaged over the covered area where they shrink."""
    if maps.shape[1:] == size:
        return maps
    return functional.interpolate(maps[:, None], size=size, mode="bilinear", align_corners=False, antialias=True)[:, 0]
