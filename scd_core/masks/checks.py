"""Checks before any work: whether the images, classes and seeds fit, and if not, which image is at fault."""

from __future__ import annotations

import torch

__all__ = ["bad_images", "check_logits", "check_request"]


def check_request(
    images: torch.Tensor,
    targets: torch.Tensor,
    seeds: torch.Tensor | None,
    contrast: torch.Tensor | None,
    backgrounds: torch.Tensor | None,
) -> None:
    """Check shapes and types, before the model is touched.

    Args:
        images: expected (N, 3, H, W), floating, H and W at least 2.
        targets: expected (N,), integer.
        seeds: expected (N,), integer, or None.
        contrast: expected (N,), integer, or None.
        backgrounds: expected (N, 3, H, W) or (1, 3, H, W), floating, or None.

    Raises:
        ValueError: one of them is not as expected.
    """
    if not torch.is_tensor(images) or images.ndim != 4 or images.shape[1] != 3 or min(images.shape[2:]) < 2:
        raise ValueError(f"images: expected (N, 3, H, W) with H, W >= 2, got {_describe(images)}")
    if not images.is_floating_point():
        raise ValueError(f"images: expected normalised floats, got {images.dtype}")
    for name, values in (("targets", targets), ("seeds", seeds), ("contrast", contrast)):
        if values is None and name != "targets":
            continue
        if not torch.is_tensor(values) or values.shape != images.shape[:1] or not _is_integer(values):
            raise ValueError(f"{name}: expected ({len(images)},) integers, one per image, got {_describe(values)}")
    if contrast is not None and (same := (contrast.cpu() == targets.cpu()).nonzero().flatten().tolist()):
        raise ValueError(f"contrast: image {same[0]}: expected a class other than its target {int(targets[same[0]])}")
    if backgrounds is not None:
        fits = torch.is_tensor(backgrounds) and backgrounds.shape in (images.shape, (1, *images.shape[1:]))
        if not fits or not backgrounds.is_floating_point():
            raise ValueError(f"backgrounds: expected {tuple(images.shape)} floats, got {_describe(backgrounds)}")


def bad_images(images: torch.Tensor, name: str = "images") -> dict[int, str]:
    """Images that hold NaN or infinity: index -> one line with the number of values.

    Args:
        images: (N, 3, H, W).
        name: what the line calls them.
    """
    found = {}
    for index, image in enumerate(images):
        if not bool(image.isfinite().all()):
            count = int((~image.isfinite()).sum())
            found[index] = f"{name}: image {index}: expected finite values, got {count} NaN or infinite ones"
    return found


def check_logits(logits: torch.Tensor, batch: int) -> None:
    """Check the shape of a model's output.

    Args:
        logits: expected (batch, K), K >= 2.
        batch: images that went in.

    Raises:
        ValueError: another shape, or a single class, for which there are no odds.
    """
    if not torch.is_tensor(logits) or logits.ndim != 2 or len(logits) != batch:
        raise ValueError(f"model: expected logits ({batch}, K) for {batch} images, got {_describe(logits)}")
    if logits.shape[1] < 2:
        raise ValueError("model: expected logits of K >= 2 classes, got K = 1; odds need a second class")


def _is_integer(values: torch.Tensor) -> bool:
    return not (values.is_floating_point() or values.is_complex() or values.dtype == torch.bool)


def _describe(value: object) -> str:
    return f"{tuple(value.shape)} {value.dtype}" if torch.is_tensor(value) else type(value).__name__
