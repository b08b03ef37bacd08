"""Passes through the model: as many images at a time as memory allows, in the precision and layout the device likes."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TypeVar

import torch

from scd_core.masks.checks import check_not_probabilities, read_logits
from scd_core.masks.find_networks import find_networks
from scd_core.masks.log_odds import target_score
from scd_core.masks.preserve import Model, model_dtype, run_model
from scd_core.masks.settings import SCDConfig

_T = TypeVar("_T")

__all__ = ["Forward", "activation_bytes"]

_CPU_LIMIT, _GPU_LIMIT = 16, 512
"""Most samples per pass where memory would allow more: past these a pass is no faster per image."""
_CPU_BYTES = 2 * 2**30
"""Most memory that one pass may take on a CPU."""
_MEMORY_SHARE = 0.5
"""Share of the free memory that one pass may take."""
_TRANSIENT = 2.0
"""Memory of a forward and backward pass, as a multiple of what the forward pass keeps for the backward pass."""
_COMPILE_FROM = 20_000
"""Evaluations from which a compilation, one to two minutes, is earned back on a GPU."""
_HALF_SCALE = 1024.0
"""Gradients are taken of so many times the score where the model is float16, which rounds those of pixels to 0."""


class Forward:
    """Logits and score gradients of a model, in passes no larger than a limit that adapts to memory.

    Attributes:
        limit: most images in one pass; given, or measured on one blank image, and halved when a GPU runs out of memory.
    """

    def __init__(
        self,
        model: Model,
        config: SCDConfig,
        device: torch.device,
        dtype: torch.dtype,
        size: tuple[int, int],
        evaluations: int,
    ) -> None:
        self._device, self._dtype = device, dtype
        is_gpu = device.type == "cuda"
        self._bfloat16 = config.precision == "bfloat16" or (config.precision == "auto" and is_gpu)
        self._model_dtype = model_dtype(model)
        self._bfloat16 &= self._model_dtype == torch.float32
        self._scale = _HALF_SCALE if self._model_dtype == torch.float16 else 1.0
        self._model = self._compiled = model
        self._is_checked = False
        self.limit = config.max_samples_per_forward or self._measured_limit(size)
        if config.compile == "always" or (config.compile == "auto" and is_gpu and evaluations >= _COMPILE_FROM):
            self._compile(size)

    def logits(self, images: torch.Tensor, added: torch.Tensor | None = None) -> torch.Tensor:
        """Logits (B, K) of images (B, 3, H, W), without gradients; `added`, (B, K), is added to them.

        Raises:
            ValueError: the model does not return (B, K) with K >= 2, or it returns probabilities.
        """
        with torch.no_grad():
            found = torch.cat(self._in_parts(len(images), lambda part: self._call(images[part])))
        return found if added is None else found + added

    def gradient(
        self,
        images: torch.Tensor,
        targets: torch.Tensor,
        rivals: torch.Tensor | None,
        weight: torch.Tensor,
        added: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Gradient of the weighted sum of scores by the images, and the scores.

        Args:
            images: (B, 3, H, W).
            targets: (B,) int64.
            rivals: (B,) int64, or None for log-odds against all other classes.
            weight: (B,).
            added: (B, K), added to the logits; None for nothing.

        Returns:
            (B, 3, H, W) and (B,).

        Raises:
            ValueError: the model's logits carry no gradient to its input, or are probabilities.
        """

        def work(part: slice) -> tuple[torch.Tensor, torch.Tensor]:
            leaf = images[part].detach().requires_grad_()
            logits = self._call(leaf) if added is None else self._call(leaf) + added[part]
            scores = target_score(logits, targets[part], None if rivals is None else rivals[part])
            if not scores.requires_grad:
                raise ValueError(
                    "model: expected logits that are differentiable in the images, got none with a gradient"
                )
            # Of one sum: where gradients are given, autograd imports sympy.
            total = (scores * weight[part]).sum() * self._scale
            (gradient,) = torch.autograd.grad(total, leaf, allow_unused=True)
            if gradient is None:
                raise ValueError(
                    "model: expected logits that are differentiable in the images, got none that depend on them"
                )
            return gradient / self._scale if self._scale != 1 else gradient, scores.detach()

        parts = self._in_parts(len(images), work)
        if len(parts) == 1:
            return parts[0]
        return torch.cat([part[0] for part in parts]), torch.cat([part[1] for part in parts])

    def _call(self, images: torch.Tensor) -> torch.Tensor:
        # Channels-last suits depthwise and 1 x 1 convolutions on CPUs as well as tensor cores; others ignore it.
        fed = images.to(self._model_dtype, memory_format=torch.channels_last)
        if fed.untyped_storage().data_ptr() == images.untyped_storage().data_ptr():
            fed = fed + 0  # a first operation in place must change neither the images nor the leaf of the gradient
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._bfloat16):
            logits = read_logits(self._compiled(fed), len(images))
        if not self._is_checked:
            # Until the first pass with gradients, in which the last operation can be read.
            check_not_probabilities(logits)
            self._is_checked = logits.requires_grad
        return logits.to(self._device, self._dtype)

    def _in_parts(self, count: int, work: Callable[[slice], _T]) -> list[_T]:
        """Results of `work` on consecutive slices, each no longer than the limit; an out-of-memory error halves it."""
        results: list[_T] = []
        start = 0
        while start < count:
            part = slice(start, min(start + self.limit, count))
            try:
                results.append(work(part))
            except torch.OutOfMemoryError:
                if part.stop - part.start == 1:
                    raise
                self.limit = (part.stop - part.start) // 2
            else:
                start = part.stop
                continue
            # Outside of the handler, where the traceback no longer holds the failed pass's tensors.
            if self._device.type == "cuda":
                torch.cuda.empty_cache()
        return results

    def _measured_limit(self, size: tuple[int, int]) -> int:
        kept = activation_bytes(self._model, torch.zeros(1, 3, *size, device=self._device, dtype=self._dtype))
        if self._device.type == "cuda":
            budget, most = torch.cuda.mem_get_info(self._device)[0] * _MEMORY_SHARE, _GPU_LIMIT
        else:
            budget, most = min(_CPU_BYTES, _free_bytes() * _MEMORY_SHARE), _CPU_LIMIT
        return int(min(most, max(1, budget // (_TRANSIENT * max(1, kept)))))

    def _compile(self, size: tuple[int, int]) -> None:
        """Compile the model and try it once; a machine without a compiler goes on without."""
        compiled = torch.compile(self._model)
        self._compiled = compiled
        blank = torch.zeros(self.limit, 3, *size, device=self._device, dtype=self._dtype)
        classes = torch.zeros(self.limit, dtype=torch.int64, device=self._device)
        try:
            self.gradient(blank, classes, None, torch.ones_like(blank[:, 0, 0, 0]))
        except (RuntimeError, ImportError, OSError):
            self._compiled = self._model


def activation_bytes(model: Model, image: torch.Tensor) -> int:
    """Memory that a forward pass of one image keeps for its backward pass, the model's own tensors not counted.

    Args:
        model: maps (1, 3, H, W) to logits.
        image: (1, 3, H, W), any content.

    Returns:
        Bytes.
    """
    own = {
        tensor.untyped_storage().data_ptr()
        for network in find_networks(model)
        for tensor in (*network.parameters(), *network.buffers())
    }
    seen: dict[int, int] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            seen[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        # The result is held until the count is taken, so that no storage's address is used twice.
        logits = run_model(model, image.detach().requires_grad_())  # noqa: F841
    return sum(seen.values())


def _free_bytes() -> int:
    """Physical memory that is free on this machine, or the least one pass may count on where that is not known."""
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):
        return _CPU_BYTES
