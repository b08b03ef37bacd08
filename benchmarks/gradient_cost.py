"""What the gradient of each name costs: processor time of naming with it over that without, in turns on the same batches.

``python -m benchmarks.gradient_cost --json FILE``. Processor time hardly depends on what else a machine does,
unlike the rates of :mod:`benchmarks.classify`. Only the network's passes are measured; decoding makes the share in a run smaller.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import torch

from benchmarks.classify import MODELS, make_classifier
from benchmarks.common import Report, options
from scd_core.masks.gradient import GradientNaming
from scd_core.tables.rows import PredictionRow

__all__ = ["gradient_ratios", "main"]

_COLUMNS = ("model", "images", "turns", "seconds_plain", "seconds_gradient", "ratio", "ratio_low", "ratio_high")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark; see the module."""
    parser = options(str(__doc__).splitlines()[0])
    parser.add_argument("--images", type=int, default=16, help="images of a batch")
    parser.add_argument("--turns", type=int, default=5, help="batches of each way")
    args = parser.parse_args(arguments)
    report = Report("gradient_cost", torch.device("cpu"))
    for architecture in MODELS[:1] if args.quick else MODELS:
        found = gradient_ratios(architecture, args.images, 2 if args.quick else args.turns)
        report.rows.append({"model": architecture, "images": args.images} | found)
        report.progress(f"{architecture}: {found}")
    report.summary["ratio_most"] = max(float(row["ratio"]) for row in report.rows)
    report.notes["ratio"] = (
        "median over the turns of the processor time with the gradient over that without; lowest, highest"
    )
    report.show(_COLUMNS, "processor time of naming with the gradient over that without")
    report.finish(args.json)


def gradient_ratios(architecture: str, n_images: int, turns: int) -> dict[str, float]:
    """Processor seconds an image with and without the gradient, and their ratio over the turns.

    Args:
        architecture: of a package with random weights.
        n_images: of a batch.
        turns: batches of each way, one after the other.
    """
    with tempfile.TemporaryDirectory() as folder:
        classifier = make_classifier(architecture, "full", Path(folder), "cpu")
    naming = GradientNaming(classifier)
    batch = torch.rand(n_images, 3, *classifier.spec.input.size)
    unplaced: list[PredictionRow] = [{"detection_id": None, "bbox_x_min": None}] * n_images
    classifier.logits(batch), naming(batch, unplaced)  # the first of each way prepares what later ones use
    plain, with_gradient = [], []
    for _ in range(turns):
        began = time.process_time()
        classifier.logits(batch)
        middle = time.process_time()
        naming(batch, unplaced)
        plain.append(middle - began)
        with_gradient.append(time.process_time() - middle)
    ratios = [some / none for some, none in zip(with_gradient, plain, strict=True)]
    return {
        "turns": turns,
        "seconds_plain": median(plain) / n_images,
        "seconds_gradient": median(with_gradient) / n_images,
        "ratio": median(ratios),
        "ratio_low": min(ratios),
        "ratio_high": max(ratios),
    }


if __name__ == "__main__":
    main()
