"""What the mask engine adds to the passes through the model, and how much of the chip those passes use."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.masks.data import Frames
from scd_core.masks import fit_masks
from scd_core.masks.preserve import borrowed

__all__ = ["measure_overhead"]


def measure_overhead(frames: Frames, repeats: int) -> dict[str, Any]:
    """Time of ``fit_masks`` over the time of the very same passes through the model without it.

    Every pass of one call is noted: how many images, and whether a gradient was taken. The same passes are then
    made bare, with a backward pass to the images where there was one. Both are timed in turn and the fastest of each
    counts, so that a machine that is busy for a while does not enter.

    Args:
        frames: images of one network.
        repeats: times that both are measured.

    Returns:
        ``engine_overhead`` (over passes on images as PyTorch lays them out), ``overhead_channels_last`` (over passes in
        the layout that the engine itself uses, which is quicker for some networks), ``images``, ``evaluations``,
        ``model_images_per_second`` (images through the model per
        second of ``fit_masks``), ``passes_share_of_rate`` (operations of these passes per second of ``fit_masks`` over
        those of a large matrix product on the same device and in the same precision), ``matmul_tflops``.
    """
    passes: list[tuple[int, bool]] = []

    def note(_module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        passes.append((len(inputs[0]), inputs[0].requires_grad))

    def engine() -> None:
        fit_masks(frames.model, frames.images, frames.targets, seeds=frames.seeds)

    handle = frames.model.register_forward_pre_hook(note)
    try:
        engine()
    finally:
        handle.remove()
    noted = tuple(passes)
    precision = torch.bfloat16 if frames.images.device.type == "cuda" else torch.float32

    def bare(layout: torch.memory_format = torch.contiguous_format) -> None:
        with borrowed(frames.model), torch.autocast(frames.images.device.type, precision, precision != torch.float32):
            for count, has_gradient in noted:
                batch = frames.images[:1].expand(count, -1, -1, -1).contiguous(memory_format=layout)
                batch.requires_grad_(has_gradient)
                with torch.set_grad_enabled(has_gradient):
                    logits = frames.model(batch)
                if has_gradient:
                    logits.float().logsumexp(dim=1).sum().backward()

    bare()
    works = (engine, bare, lambda: bare(torch.channels_last))
    times = [[_seconds(work, frames.images) for work in works] for _ in range(repeats)]
    fitting, passing, channels_last = (min(column) for column in zip(*times))
    with FlopCounterMode(display=False) as counter:
        bare()
    rate = _matmul_rate(frames.images.device, precision)
    return {
        "engine_overhead": fitting / passing,
        "overhead_channels_last": fitting / channels_last,
        "images": len(frames),
        "evaluations": sum(count for count, _ in noted) / len(frames),
        "seconds_per_image": fitting / len(frames),
        "model_images_per_second": sum(count for count, _ in noted) / fitting,
        "passes_share_of_rate": counter.get_total_flops() / fitting / rate,
        "matmul_tflops": rate / 1e12,
    }


def _seconds(work: Callable[[], object], images: Tensor) -> float:
    began = time.perf_counter()
    work()
    if images.device.type == "cuda":
        torch.cuda.synchronize(images.device)
    return time.perf_counter() - began


def _matmul_rate(device: torch.device, precision: torch.dtype) -> float:
    """Operations per second of a square matrix product that fills the device."""
    size = 8192 if device.type == "cuda" else 1024
    left = torch.randn(size, size, device=device, dtype=precision)
    right = torch.randn(size, size, device=device, dtype=precision)
    best = min(_seconds(lambda: torch.mm(left, right), left) for _ in range(5))
    return 2 * size**3 / best
