"""Checks before any work: whether the images, classes and seeds fit, and if not, which image is at fault."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from scd_core.identify.program import is_probabilities

__all__ = [
    "bad_images", "check_not_probabilities", "check_request", "check_same_again", "class_problem", "read_logits",
    "unusable_logits",
]  # fmt: skip

_PROBABILITY_ENDS = {"SoftmaxBackward": "softmax", "SigmoidBackward": "sigmoid"}
"""Autograd's name of a last operation that gives probabilities -> what it is."""
_SAME_SLACK = 0.01
"""Share of the logits' range by which two passes of one batch may differ: rounding in half precision, on any device."""
_PASSED_ON = (
    "ToCopyBackward",
    "ViewBackward",
    "ReshapeAliasBackward",
    "UnsafeViewBackward",
    "CloneBackward",
    "AliasBackward",
)
"""Autograd's names of operations that leave values as they are."""


def check_request(
    images: torch.Tensor,
    targets: torch.Tensor,
    seeds: torch.Tensor | None,
    contrast: torch.Tensor | None,
    backgrounds: torch.Tensor | None,
    added: torch.Tensor | None = None,
) -> None:
    """Check shapes and types, before the model is touched.

    Args:
        images: expected (N, 3, H, W), floating, H and W at least 2.
        targets: expected (N,), integer.
        seeds: expected (N,), integer, or None.
        contrast: expected (N,), integer, or None.
        backgrounds: expected (N, 3, H, W) or (1, 3, H, W), floating, or None.
        added: expected (N, K), floating, or None.

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
    if added is not None and (added.ndim != 2 or len(added) != len(images) or not added.is_floating_point()):
        raise ValueError(f"added: expected ({len(images)}, K) floats, one row per image, got {_describe(added)}")


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


def read_logits(output: Any, batch: int) -> torch.Tensor:
    """The logits of a model's output, checked in all but their values.

    Args:
        output: logits (batch, K), K >= 2; or a mapping with a key `logits`, or an object with an attribute `logits`, as the
            outputs of many libraries are.
        batch: images that went in.

    Returns:
        (batch, K), real floats.

    Raises:
        ValueError: another shape or type, or a single class, for which there are no odds.
    """
    logits = output
    if isinstance(output, Mapping):
        logits = output.get("logits", output)
    elif not torch.is_tensor(output):
        logits = getattr(output, "logits", output)
    if not torch.is_tensor(logits) or logits.ndim != 2 or len(logits) != batch:
        raise ValueError(f"model: expected logits ({batch}, K) for {batch} images, got {_describe(logits)}")
    if not logits.is_floating_point():
        raise ValueError(f"model: expected logits that are real floats, got {logits.dtype}")
    if logits.is_meta:
        raise ValueError("model: expected logits with values, got a tensor on the device `meta`")
    if logits.shape[1] < 2:
        raise ValueError("model: expected logits of K >= 2 classes, got K = 1; odds need a second class")
    return logits


def check_not_probabilities(logits: torch.Tensor) -> None:
    """Refuse the output of a model that ends in a softmax or a sigmoid, whose log-odds would be nonsense.

    A softmax is known by its values: each row lies in [0, 1] and sums to 1. A sigmoid is known where autograd holds the
    last operation, which it does not behind `no_grad`, `torch.compile` or TorchScript. A log-softmax is not refused: its
    log-odds are those of the logits.

    Args:
        logits: (B, K).

    Raises:
        ValueError: the values are probabilities; the line asks for logits.
    """
    values = logits.detach().float()
    if not bool(((values >= 0) & (values <= 1)).all()) or not len(values):
        return
    ends_in = _last_operation(logits)
    if ends_in is None and is_probabilities(values):
        ends_in = "softmax"
    if ends_in is not None:
        raise ValueError(
            f"model: expected logits, got probabilities (rows in [0, 1], as of a {ends_in}); pass logits: leave out the "
            f"{ends_in} at the model's end"
        )


def class_problem(index: int, logits: torch.Tensor, classes: Mapping[str, int]) -> str | None:
    """Why an image has no score, in a line; None where it has one.

    Args:
        index: of the image.
        logits: (K,), its own.
        classes: what the line calls a class -> the class.
    """
    for name, got in classes.items():
        if not 0 <= got < len(logits):
            return f"{name}: image {index}: expected a class in [0, {len(logits)}), got {got}"
    if bool(unusable_logits(logits[None], torch.tensor([list(classes.values())]))):
        return (
            f"model: image {index}: expected finite logits of the target and of another class, got NaN or infinite ones"
        )
    return None


def check_same_again(first: torch.Tensor, second: torch.Tensor) -> None:
    """Refuse a model that gives the same images other logits the next time: a mask of it would be one of its chance.

    Evaluation mode ends what modules draw; a function that always draws (`functional.dropout`), or a state that each call
    changes, it does not.

    Args:
        first: (B, K) logits.
        second: (B, K) of the same images.

    Raises:
        ValueError: they differ by more than rounding.
    """
    both = first.isfinite() & second.isfinite()
    values = first[both]
    reach = float(values.max() - values.min()) if values.numel() else 0.0
    moved = float((values - second[both]).abs().max()) if values.numel() else 0.0
    if moved > _SAME_SLACK * reach or not torch.equal(first.isfinite(), second.isfinite()):
        raise ValueError(
            f"model: expected the same logits each time, got logits that differ by {moved:.3g} for the same images; take "
            "out what draws at random (a dropout that is left on) or counts its calls"
        )


def _last_operation(logits: torch.Tensor) -> str | None:
    """`softmax` or `sigmoid` where autograd knows that the values were made by it."""
    node = logits.grad_fn
    while node is not None and node.name().startswith(_PASSED_ON):
        node = node.next_functions[0][0]
    name = "" if node is None else node.name()
    return next((what for start, what in _PROBABILITY_ENDS.items() if name.startswith(start)), None)


def unusable_logits(logits: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
    """Rows whose log-odds do not exist: NaN or +inf, a class in question without a finite logit, or no other class.

    A logit of -inf is that of a class which a model leaves out; the class has no part in the odds of the others.

    Args:
        logits: (B, K).
        classes: (B, C) int64 in [0, K), the classes whose logits are used: the target, and the rival where there is one.

    Returns:
        (B,) bool.
    """
    broken = logits.isnan() | (logits == torch.inf)
    is_finite = logits.isfinite()
    return broken.any(1) | (is_finite.sum(1) < 2) | ~is_finite.gather(1, classes).all(1)


def _is_integer(values: torch.Tensor) -> bool:
    return not (values.is_floating_point() or values.is_complex() or values.dtype == torch.bool)


def _describe(value: object) -> str:
    return f"{tuple(value.shape)} {value.dtype}" if torch.is_tensor(value) else type(value).__name__
