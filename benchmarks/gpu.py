"""What only a GPU can show of the masks: out-of-memory halving, bfloat16 against float32, and how much of the chip is used.

``python -m benchmarks.gpu --json FILE [--device D]``; `benchmarks/gpu.sh` runs it with the other benchmarks. On a CPU every
check runs as small as it goes, and memory runs out where a model says so.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torchvision import models

from benchmarks.common import Report, options, resolve_device
from benchmarks.masks.data import Frames, load_mobilenet, scene_frames
from benchmarks.masks.overhead import measure_overhead
from scd_core.masks import Masks, SCDConfig, fit_masks
from scd_core.masks.metrics import rank_correlation

__all__ = ["Noting", "compare_precisions", "main", "measure_halving"]

_MEMORY_LEFT = 3 * 2**30
"""Memory that a pass may take while it is tried how passes shrink (bytes)."""

_MAP_COLUMNS = ("check", "what", "mean", "largest", "rank_correlation", "first", "last", "halvings", "seconds")
_RATE_COLUMNS = (
    "check",
    "what",
    "masks_per_second",
    "model_images_per_second",
    "passes_share_of_rate",
    "matmul_tflops",
)
_NOTES = {
    "halving": "passes are begun far above what memory allows; first and last are the images of the first and the last pass",
    "bfloat16, other_seed, cpu": "joint maps of scenes against those of float32 on the same device and seed: mean and largest "
    "difference, mean rank correlation; other_seed is what another noise changes, to compare with",
    "share_of_rate": "operations of the model's passes per second of fit_masks over those of a large matrix product",
}


class Noting(nn.Module):
    """A model that notes how many images each pass has, and runs out of memory above a number of them where one is given.

    Args:
        model: maps (B, 3, H, W) to (B, K).
        most: images above which a pass fails; None leaves it to the device.
    """

    def __init__(self, model: nn.Module, most: int | None = None) -> None:
        super().__init__()
        self.model, self.most = model, most
        self.passes: list[int] = []

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, K) of images (B, 3, H, W)."""
        self.passes.append(len(images))
        if self.most is not None and len(images) > self.most:
            raise torch.OutOfMemoryError("more images than this model is said to have memory for")
        return self.model(images)


def main(arguments: Sequence[str] | None = None) -> Report:
    """Parse the command line, measure, print, write."""
    chosen = options(str(__doc__).splitlines()[0]).parse_args(arguments)
    device = resolve_device(chosen.device)
    is_gpu = device.type == "cuda"
    report = Report("gpu", device, notes=dict(_NOTES))
    scenes = scene_frames(8 if is_gpu else 1, chosen.seed[0], device)
    report.rows += compare_precisions(scenes)
    report.progress("precisions")
    report.rows.append(measure_halving(device))
    report.progress("halving")
    for name, frames in _networks(device):
        measured = measure_overhead(frames, repeats=2 if is_gpu else 1)
        row = {"check": "rate", "what": name, "masks_per_second": 1 / measured["seconds_per_image"]}
        report.rows.append(row | measured)
        report.progress(f"rate of {name}")
    if is_gpu:
        report.notes["memory_gib"] = torch.cuda.get_device_properties(device).total_memory / 2**30
    by_name = {(row["check"], row["what"]): row for row in report.rows}
    half, halving = by_name["difference", "bfloat16"], by_name["halving", "passes"]
    report.summary |= {
        "bfloat16_mean_difference": half["mean"],
        "bfloat16_rank_correlation": half["rank_correlation"],
        "other_seed_mean_difference": by_name["difference", "other_seed"]["mean"],
        "halvings": halving["halvings"],
        "halved_mean_difference": halving["mean"],
        "masks_per_second": by_name["rate", "mobilenet_v2"]["masks_per_second"],
        "share_of_rate": by_name["rate", "mobilenet_v2"]["passes_share_of_rate"],
    }
    report.show(_MAP_COLUMNS, "gpu: maps and memory", [row for row in report.rows if row["check"] != "rate"])
    report.show(_RATE_COLUMNS, "gpu: rates", [row for row in report.rows if row["check"] == "rate"])
    report.finish(chosen.json)
    return report


def compare_precisions(frames: Frames) -> list[dict[str, Any]]:
    """How far joint maps are from those of float32: in bfloat16, with another noise, and (of a GPU) on the CPU.

    Args:
        frames: images of one network.

    Returns:
        Rows with `check`, `what`, `mean`, `largest`, `rank_correlation` and `seconds`.
    """
    exact, changed = SCDConfig(precision="float32"), SCDConfig(precision="bfloat16")
    began = time.perf_counter()
    whole = fit_masks(frames.model, frames.images, frames.targets, exact, frames.seeds)
    rows: list[dict[str, Any]] = [
        {"check": "difference", "what": "float32", "mean": 0.0, "seconds": time.perf_counter() - began}
    ]
    works = {"bfloat16": (frames.images, changed, frames.seeds), "other_seed": (frames.images, exact, frames.seeds + 1)}
    if frames.images.device.type == "cuda":
        works["cpu"] = (frames.images.cpu(), exact, frames.seeds)
    for what, (images, config, seeds) in works.items():
        model = frames.model.to(images.device)
        began = time.perf_counter()
        found = fit_masks(model, images, frames.targets.to(images.device), config, seeds)
        seconds = time.perf_counter() - began
        frames.model.to(frames.images.device)
        rows.append({"check": "difference", "what": what, "seconds": seconds} | _difference(found, whole))
    return rows


def measure_halving(device: torch.device) -> dict[str, Any]:
    """Begin passes far above what memory allows: by how much they shrink, and whether the masks are those of small passes.

    Args:
        device: of a GPU all but 3 GiB of memory is kept from the passes; a CPU's model says when it has none left.

    Returns:
        A row with `check`, `what`, `first` and `last` (images in a pass), `halvings`, `mean` and `largest` difference.
    """
    torch.manual_seed(0)
    is_gpu = device.type == "cuda"
    size, count = (224, 64) if is_gpu else (32, 2)
    network = models.mobilenet_v2(num_classes=10).eval().to(device)
    images = torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(0)).to(device)
    targets, seeds = torch.arange(count, device=device) % 10, torch.arange(count)
    config = SCDConfig(steps=2, precision="float32")
    small = fit_masks(network, images, targets, config.model_copy(update={"max_samples_per_forward": 4}), seeds)
    if is_gpu:
        torch.cuda.empty_cache()
        free, total = torch.cuda.mem_get_info(device)
        taken = total - free
        torch.cuda.set_per_process_memory_fraction(min(1.0, (taken + _MEMORY_LEFT) / total), device)
    noting = Noting(network, None if is_gpu else 1)
    began = time.perf_counter()
    try:
        large = config.model_copy(update={"max_samples_per_forward": 512 if is_gpu else 4})
        found = fit_masks(noting, images, targets, large, seeds)
    finally:
        if is_gpu:
            torch.cuda.set_per_process_memory_fraction(1.0, device)
    largest, halvings = max(noting.passes), 0
    for passed in noting.passes[noting.passes.index(largest) :]:
        if passed <= largest // 2:
            largest, halvings = passed, halvings + 1
    return {
        "check": "halving", "what": "passes", "first": max(noting.passes), "last": noting.passes[-1],
        "halvings": halvings, "seconds": time.perf_counter() - began,
    } | _difference(found, small)  # fmt: skip


def _networks(device: torch.device) -> list[tuple[str, Frames]]:
    """Networks whose rate is measured, each with pictures of noise: speed does not depend on what is seen."""
    torch.manual_seed(0)
    is_gpu = device.type == "cuda"
    size, count = (224, 32) if is_gpu else (64, 1)
    networks: dict[str, nn.Module] = {"mobilenet_v2": load_mobilenet(device) or models.mobilenet_v2()}
    if is_gpu:
        networks |= {"resnet50": models.resnet50(), "vit_b_16": models.vit_b_16()}
        nn.init.normal_(networks["vit_b_16"].heads[0].weight, std=0.02)  # type: ignore[index, union-attr]
    found = []
    for name, network in networks.items():
        model = network.eval().requires_grad_(False).to(device)
        images = torch.randn(count, 3, size, size).to(device)
        targets = torch.arange(count, device=device)
        found.append((name, Frames(model, images, targets, torch.arange(count), {})))
    return found


def _difference(found: Masks, expected: Masks) -> dict[str, float]:
    apart = (found.joint.cpu() - expected.joint.cpu()).abs()
    correlation = rank_correlation(found.joint.cpu(), expected.joint.cpu())
    return {
        "mean": float(apart.mean()),
        "largest": float(apart.max()),
        "rank_correlation": float(correlation.mean()),
    }


if __name__ == "__main__":
    main()
