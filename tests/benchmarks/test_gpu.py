"""The GPU script: its dry run on a CPU, and what its checks would find."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from benchmarks.common import ROOT
from benchmarks.gpu import Noting, compare_precisions, measure_halving
from benchmarks.masks.data import Frames

CPU = torch.device("cpu")


def script(*steps: str, **environment: str) -> subprocess.CompletedProcess[str]:
    changed = {"CUDA_VISIBLE_DEVICES": "", "PYTHON": sys.executable} | environment
    return subprocess.run(
        ["bash", str(ROOT / "benchmarks" / "gpu.sh"), *steps], env=os.environ | changed, capture_output=True, text=True,
        check=False,
    )  # fmt: skip


def results() -> dict[str, float]:
    return {path.name: path.stat().st_mtime for path in (ROOT / "benchmarks" / "results").iterdir()}


def test_without_a_gpu_it_is_a_dry_run_that_writes_no_results() -> None:
    before = results()
    done = script("checks", SECONDS_AT_MOST="900")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("no GPU: dry run: nothing is written into benchmarks/results")
    assert "== checks: exit 0" in done.stdout and "share_of_rate" in done.stdout
    assert re.findall(r"gpu-\w+\.json", done.stdout) == ["gpu-checks.json", "gpu-steps.json"]
    assert results() == before


def test_a_step_that_fails_ends_neither_the_others_nor_in_success(tmp_path: Path) -> None:
    """The limit is used up before the first step begins."""
    done = script("classify", "masks", SECONDS_AT_MOST="0")
    assert done.returncode == 1
    assert "== classify: exit 124" in done.stdout and "== masks: exit 124" in done.stdout
    assert "not begun" in done.stdout


def test_an_unknown_step_is_one_line() -> None:
    done = script("everything")
    assert (done.returncode, done.stderr) == (2, "gpu.sh: no step everything; steps are checks, classify, masks\n")


def test_a_missing_package_is_one_line(tmp_path: Path) -> None:
    bare = tmp_path / "python"
    bare.write_text(f'#!/bin/sh\nexec {sys.executable} -S -E "$@"\n')
    bare.chmod(0o755)
    done = script("checks", PYTHON=str(bare))
    assert done.returncode == 2
    assert re.fullmatch(r"gpu.sh: fsspec, .*torchvision cannot be imported; install them, .*\n", done.stderr)


def test_halving_is_counted_and_changes_no_mask() -> None:
    row = measure_halving(CPU)
    assert (row["first"], row["halvings"]) == (4, 2)  # 4, 2, 1: the model has memory for one
    assert row["mean"] == pytest.approx(0, abs=1e-4)
    with pytest.raises(torch.OutOfMemoryError):
        Noting(nn.Identity(), 1)(torch.zeros(2, 3))


def test_precisions_are_compared_beside_another_noise() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(24, 3)).eval()
    frames = Frames(model, torch.randn(2, 3, 24, 24), torch.tensor([0, 1]), torch.arange(2), {})
    rows = {row["what"]: row for row in compare_precisions(frames)}
    assert set(rows) == {"float32", "bfloat16", "other_seed"}
    assert 0 < rows["bfloat16"]["mean"] < rows["bfloat16"]["largest"] < 1
    assert rows["other_seed"]["mean"] > 0 and rows["other_seed"]["rank_correlation"] < 1
