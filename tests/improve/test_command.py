"""The command: its table, its one-line refusals, and a run that follows what a package names."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from deployments.cli.improve import why_not
from scd_core.audit.improvements import read_improvements
from scd_core.config import AuditConfig
from scd_core.identify import read_package
from scd_core.request import AuditRequest, settings_with_model
from scd_core.tables.store import AuditStore
from tests.improve import world


@pytest.fixture(scope="module")
def audit(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    folder = tmp_path_factory.mktemp("improve")
    return world.build(folder, world.plain(60)), world.pack(folder)


def test_the_best_way_is_written_and_said(trapaudit, audit, tmp_path):
    done = trapaudit("improve", audit[0], "--model", audit[1], "--write", tmp_path / "new")
    assert done.code == 0, done.err
    assert "class_means:box_crop" in done.out and "whole (MODEL)" in done.out
    assert "recommended: " in done.err and f"written: {tmp_path / 'new'}" in done.err
    assert read_package(str(tmp_path / "new")).spec.provenance
    assert "MODEL was written by" not in done.err
    again = trapaudit("improve", audit[0], "--model", tmp_path / "new")
    assert again.code == 0 and "labels that it was fitted to praise it" in " ".join(again.err.split())
    assert " (MODEL)" in again.out and "whole (MODEL)" not in again.out


@pytest.mark.parametrize(
    ("home_gain", "held_gain", "words"),
    [
        (0.01, -0.07, "where MODEL is right at home it names 7 points fewer right"),
        (-0.08, -0.04, "at home it names 8 points fewer right"),
    ],
)
def test_why_a_way_is_not_recommended_names_the_column_that_it_is_from(home_gain, held_gain, words):
    """A way with +1 at home and -7 where MODEL is right was reported with 7 points fewer right "at home"."""
    gains = {"home_gain": SimpleNamespace(value=home_gain), "held_gain": SimpleNamespace(value=held_gain)}
    home_loss = -min(home_gain, held_gain)
    assert why_not(SimpleNamespace(loses_home=True, home_loss=home_loss, **gains)) == words


def test_without_write_only_what_is_expected_is_kept(trapaudit, audit, tmp_path):
    before = set(Path(audit[0]).rglob("*"))
    done = trapaudit("improve", audit[0], "--model", audit[1])
    assert done.code == 0 and "next: trapaudit improve" in done.err
    (kept,) = {one for one in set(Path(audit[0]).rglob("*")) - before if one.is_file()}
    whole, *cameras = json.loads(kept.read_text())
    assert whole["camera_id"] is None and whole["new_model_digest"] is None and whole["n_visits"] > 10
    assert {one["camera_id"] for one in cameras} <= {"C1", "C2", "C3", "C4"} and cameras
    assert all(one["gain_low"] <= one["expected_gain"] <= one["gain_high"] for one in (whole, *cameras))


def test_a_way_that_is_not_recommended_is_written_on_demand_and_not_silently(trapaudit, audit, tmp_path):
    done = trapaudit("improve", audit[0], "--model", audit[1], "--write", tmp_path / "new", "--way", "box_crop")
    assert done.code == 0 and "box_crop is NOT recommended" in done.err
    newest = read_improvements(AuditStore(audit[0]))[-1]
    written = read_package(str(tmp_path / "new")).digest
    assert (newest.written_digest, newest.new_model_digest) == (written, None)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--way", "box_crop"], "give --write NEW as well"),
        (["--write", "{new}", "--way", "magic"], "--way magic: not tried"),
        (["--write", "{model}"], "nothing is written over"),
        (["--write", "s3://bucket/new"], "only a package on a local disk"),
        (["--write", "{new}", "--way", "pooled_in_box"], "does not name by pooled_in_box"),
    ],
)
def test_a_request_that_cannot_be_met_is_one_line(trapaudit, audit, tmp_path, options, words):
    filled = [one.format(new=tmp_path / "new", model=audit[1]) for one in options]
    done = trapaudit("improve", audit[0], "--model", audit[1], *filled)
    assert done.code == 2 and words in done.err.splitlines()[-1] and not (tmp_path / "new").exists()


def test_fine_tuning_is_tried_on_demand_and_its_work_is_gone_once_it_is_written(trapaudit, audit, tmp_path):
    command = ["improve", audit[0], "--model", audit[1], "--fine-tune", "--epochs", "1", "--blocks", "1"]
    done = trapaudit(*command, "--write", tmp_path / "new", "--way", "fine_tuned:box_crop")
    assert done.code == 0, done.err
    assert "fine_tuned:box_crop" in done.out and "written: " in done.err
    provenance = read_package(str(tmp_path / "new")).spec.provenance
    assert provenance is not None and provenance["training"]["blocks"] == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new"]


def test_work_of_a_fine_tuning_stays_where_nothing_is_written(trapaudit, audit, tmp_path):
    command = ["improve", audit[0], "--model", audit[1], "--fine-tune", "--epochs", "1", "--write", tmp_path / "new"]
    first = trapaudit(*command, "--way", "magic")
    assert first.code == 2 and [path.name for path in tmp_path.iterdir()] == ["new.tuning"]
    again = trapaudit(*command, "--way", "fine_tuned:box_crop")
    assert again.code == 0 and "going on with the fine-tuning in" in again.err


def test_names_are_not_lost_silently(trapaudit, audit, tmp_path):
    model = world.pack(tmp_path, labels=("Ada", "Bo", "Cy", "Di"))
    done = trapaudit("improve", audit[0], "--model", model, "--write", tmp_path / "new")
    assert done.code == 2 and "1 names of MODEL have no label and would be lost (Di)" in done.err
    done = trapaudit("improve", audit[0], "--model", model, "--write", tmp_path / "new", "--fewer-names")
    assert done.code == 0, done.err


@pytest.mark.parametrize(
    ("package", "file", "form", "expected"),
    [
        ("locate", None, None, "locate"),
        ("classify", None, None, "classify"),
        (None, None, None, "classify"),
        ("locate", "classify", None, "classify"),
        ("classify", "locate", None, "locate"),
        ("classify", None, "locate", "locate"),
        ("locate", "", None, "locate"),
    ],
)
def test_a_run_follows_the_package_where_no_setting_gives_the_use_of_boxes(tmp_path, package, file, form, expected):
    config = None
    if file is not None:
        config = tmp_path / "audit.yaml"
        config.write_text(f"classify:\n  box_use: {file}\n" if file else "classify:\n  topk: 3\n")
    settings = AuditConfig.model_validate({"classify": {"box_use": form}} if form else {})
    request = AuditRequest(source="s", model="m", out="o", config=str(config) if config else None, settings=settings)
    spec = SimpleNamespace(input=SimpleNamespace(box_use=package))
    assert settings_with_model(request, spec).classify.box_use == expected  # type: ignore[arg-type]


def test_a_package_that_does_not_name_the_use_of_boxes_keeps_its_digest(tmp_path):
    """By hand: the digest over what ``model.json`` holds, which has no such field."""
    model = Path(world.pack(tmp_path))
    content = json.loads((model / "model.json").read_text())
    assert "box_use" not in content["input"]
    for name in ("embedding", "embedding_size", "similarity_scale"):
        content.pop(name)
    content["input"].pop("decode")
    content["input"].pop("box_margin", None)
    whole = content | {"relations": None, "gallery": None, "unknown_threshold": None}
    whole["input"].setdefault("resize_size", None)
    expected = hashlib.sha256(json.dumps(whole, sort_keys=True).encode() + hashlib.sha256(b"").digest()).hexdigest()
    assert read_package(str(model)).digest == expected
