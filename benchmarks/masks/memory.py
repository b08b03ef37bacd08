"""Peak memory of the mask engine by the number of images: only inputs and outputs may grow.

python -m benchmarks.masks.memory --json FILE [--images N ...] [--quick]
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence

import torch

from benchmarks.common import ROOT, Report, options
from benchmarks.memory import forget_peak, peak_mib
from scd_core.identify import load_model
from scd_core.masks import fit_masks
from scd_core.masks.settings import SCDConfig
from scd_core.scenes import packaged_model

__all__ = ["main", "peak_of"]

SIZE = (120, 160)
COLUMNS = ("images", "inputs_mib", "outputs_mib", "peak_mib", "working_mib")
MIB = 2**20

_NOTES = {
    "peak_mib": "highest resident memory during fit_masks over the resident memory right before it, in a fresh process "
    "after one image has been fitted; the inputs are there before and not in it",
    "outputs_mib": "the three maps of each image",
    "working_mib": "peak_mib less outputs_mib: what must not grow with the number of images",
    "working_growth_mib": "working_mib of the most images less that of the fewest",
    "setting": "packaged model `clean`, 120 x 160 px, two steps of the default setting, CPU",
}


def main(arguments: Sequence[str] | None = None) -> Report:
    """Parse the command line, measure each number of images in its own process, print, write."""
    parser = options("Peak memory of fit_masks by the number of images.")
    parser.add_argument("--images", type=int, nargs="+", default=[8, 256], help="numbers of images")
    parser.add_argument("--child", action="store_true", help="measure in this very process and print it as JSON")
    chosen = parser.parse_args(arguments)
    report = Report("mask_memory", torch.device("cpu"), notes=dict(_NOTES))
    if chosen.child:
        print(json.dumps(peak_of(chosen.images[0])))
        return report
    for count in [4, 16] if chosen.quick else chosen.images:
        command = [sys.executable, "-m", "benchmarks.masks.memory", "--child", "--images", str(count)]
        answer = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
        report.rows.append(json.loads(answer))
        report.progress(f"{count} images")
    working = [row["working_mib"] for row in report.rows]
    report.summary = {f"working_mib_{row['images']}": row["working_mib"] for row in report.rows}
    report.summary["working_growth_mib"] = working[-1] - working[0]
    report.show(COLUMNS, "memory of the mask engine")
    report.finish(chosen.json)
    return report


def peak_of(count: int) -> dict[str, float]:
    """Peak memory of one call of ``fit_masks`` on `count` images, in this process (Linux).

    Args:
        count: images, noise of 120 x 160 pixels.

    Returns:
        The columns of the table; memory in MiB.
    """
    model = load_model(str(packaged_model("clean")), device="cpu").model
    images = torch.randn(count, 3, *SIZE, generator=torch.Generator().manual_seed(0))
    targets = torch.zeros(count, dtype=torch.int64)
    config = SCDConfig(steps=2, tolerance=0.0)
    fit_masks(model, images[:1], targets[:1], config)
    before = forget_peak()
    masks = fit_masks(model, images, targets, config)
    peak = peak_mib() - before
    outputs = sum(one.numel() * one.element_size() for one in (masks.sufficient, masks.destroying, masks.joint)) / MIB
    return {
        "images": count,
        "inputs_mib": images.numel() * images.element_size() / MIB,
        "outputs_mib": outputs,
        "peak_mib": peak,
        "working_mib": peak - outputs,
    }


if __name__ == "__main__":
    main()
