"""A package that states what it was fitted to, and a run that shows it something else: a line says so."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from scd_core.job import prepare_job
from scd_core.request import AuditRequest
from scd_core.scenes import packaged_model


def package(folder: Path, box_use: str | None) -> Path:
    model = shutil.copytree(packaged_model("shortcut"), folder / "model")
    described = json.loads((model / "model.json").read_text())
    described["input"]["box_use"] = box_use
    (model / "model.json").write_text(json.dumps(described))
    return model


@pytest.mark.parametrize(
    ("stated", "has_boxes", "setting", "words"),
    [
        ("classify", False, None, "give --detections"),
        ("classify", True, "locate", "leave out the setting"),
        ("classify", True, None, None),
        ("locate", True, "classify", "is shown boxes"),
        ("locate", True, None, None),
        ("locate", False, "classify", None),
        (None, False, None, None),
    ],
)
def test_a_package_that_is_shown_what_it_was_not_fitted_to(card, tmp_path, stated, has_boxes, setting, words):
    config = tmp_path / "config.yaml"
    config.write_text(f"classify: {{box_use: {setting}}}\n" if setting else "{}\n")
    request = AuditRequest(
        source=str(card / "images"),
        model=str(package(tmp_path, stated)),
        out=str(tmp_path / "out"),
        detections=str(card / "detections.json") if has_boxes else None,
        config=str(config),
    )
    found = prepare_job(request).box_use_warning
    assert found is None if words is None else found is not None and words in found


def test_the_line_is_printed_by_a_run(trapaudit, card, tmp_path):
    few = tmp_path / "images"
    few.mkdir()
    shutil.copy(next((card / "images").rglob("*.JPG")), few)
    config = tmp_path / "config.yaml"
    config.write_text("triage: {control_rate: 0.0, budget: 0}\n")
    options = ("--config", config, "--runner", "threads")
    done = trapaudit("run", few, "--model", package(tmp_path, "classify"), "--out", tmp_path / "out", *options)
    assert done.code == 0 and "was fitted to boxes of animals and is shown whole frames" in " ".join(done.err.split())
