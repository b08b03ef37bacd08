"""`trapaudit show`: the story of a picture on a screen and as JSON, after a real run; names from anywhere do no harm."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scd_core.scenes import packaged_model
from tests.audit.audit_builder import AuditBuilder, label

Call = Callable[..., Any]
HOSTILE = "C01/[red]one[/red]\x1b[2J\u202egpj :smile:\n\x9b\U000e0001.jpg"


@pytest.fixture
def audit(trapaudit: Call, card: Path, tmp_path: Path) -> tuple[Path, dict[str, str]]:
    """OUT of a run over a few pictures of the card, and the label of one."""
    truth = next(csv.DictReader((card / "labels.csv").open()))
    config = tmp_path / "config.yaml"
    config.write_text(
        "masks: {steps: 1}\ntriage: {min_probability: 1.0}\nreclassify: {strategies: [mask_crop, box_crop]}\n"
    )
    place = tmp_path / "images" / Path(truth["file"]).parent
    place.mkdir(parents=True)
    for path in sorted((card / "images" / truth["file"]).parent.iterdir())[:3]:
        shutil.copy(path, place)
    shutil.copy(card / "images" / truth["file"], place)
    options = ("--model", packaged_model("clean"), "--config", config, "--runner", "threads")
    outcome = trapaudit("run", tmp_path / "images", *options, "--out", tmp_path / "audit")
    assert outcome.code == 0, outcome.err
    labels = tmp_path / "labels.csv"
    labels.write_text(f"file,individual_id,labelled_by\n{truth['file']},{truth['individual_id']},ana\n")
    assert trapaudit("labels", "import", tmp_path / "audit", labels).code == 0
    assert trapaudit("report", tmp_path / "audit").code == 0
    return tmp_path / "audit", truth


def test_the_screen_and_the_json_after_a_run(trapaudit: Call, audit: tuple[Path, dict[str, str]]) -> None:
    out, truth = audit
    name = Path(truth["file"]).name
    shown = trapaudit("show", out, name)
    assert (shown.code, shown.err) == (0, "")
    lines = shown.out.splitlines()
    assert (
        lines[0] == truth["file"] and max(map(len, lines)) <= 100 and not any(line != line.rstrip() for line in lines)
    )
    story = json.loads(trapaudit("show", out, name, "--json").out)
    (target,) = story["targets"]
    values = {line[2:12].strip(): line[12:] for line in lines if line.startswith("  ") and line[2] != " "}
    assert values["media"] == story["media"]["media_id"]
    assert values["name"].split()[0] == target["prediction"]["predicted_id"]
    assert values["taken"].startswith(story["media"]["captured_at"].replace("T", " "))
    assert values["flags"] == "the model was not sure"
    assert values["labels"].startswith(f"{truth['individual_id']} by ana")
    assert values["decision"].split()[0] == target["decision"]["predicted_id"]
    assert story["run"]["model_digest"] in values["model"]
    assert values["error"].split(":")[0] == ("right" if target["error"]["error_type"] == "correct" else "mix-up")
    assert {"mask_crop", "box_crop"} == {view["strategy"] for view in target["views"]}
    assert all(view["strategy"] in shown.out for view in target["views"])
    assert "mask_png" not in target["masks"][0] and "embedding" not in target["prediction"]
    assert (trapaudit("show", out, story["media"]["media_id"])).out == shown.out


def test_names_from_anywhere_do_not_steer_the_terminal(trapaudit: Call, tmp_path: Path) -> None:
    builder = AuditBuilder(tmp_path / "out")
    builder.predict(HOSTILE, "[bold]Lu\x1b]0;x\x07na", runner_up=("[/]", 0.05), failure_reason="[link=x]")
    builder.write()
    label(builder.out, tmp_path, {"x": "y"})
    shown = trapaudit("show", tmp_path / "out", f"id-{HOSTILE}")
    assert shown.code == 0, shown.err
    assert not set("\x1b\x07\u202e\x9b\U000e0001") & set(shown.out)
    assert "C01/[red]one[/red]\\x1b[2J\\u202egpj :smile:\\n\\x9b\\U000e0001.jpg" in shown.out
    assert "[bold]Lu\\x1b]0;x\\x07na" in shown.out and "[/]" in shown.out
    as_json = trapaudit("show", tmp_path / "out", f"id-{HOSTILE}", "--json").out
    assert not set("\x1b\x07\u202e\x9b\U000e0001") & set(as_json)
    assert json.loads(as_json)["media"]["file"] == HOSTILE


def test_several_pictures_or_none(trapaudit: Call, tmp_path: Path) -> None:
    builder = AuditBuilder(tmp_path / "out")
    for n in range(12):
        builder.predict(f"d{n}/same\x1b.jpg", "Luna")
    builder.write()
    found = trapaudit("show", tmp_path / "out", "same\x1b.jpg")
    lines = found.err.splitlines()
    assert (found.code, found.out, len(lines)) == (2, "", 12)
    assert "12 pictures fit" in lines[0] and lines[-1].strip() == "and 2 more"
    assert all("s3://cards/d" in line and "\x1b" not in line for line in lines[1:-1])
    none = trapaudit("show", tmp_path / "out", "other.png", "--json")
    assert (none.code, none.out, none.err.count("\n")) == (2, "", 1)
    near = trapaudit("show", tmp_path / "out", "sane\x1b.jpg")
    assert (near.code, "\x1b" in near.err) == (2, False) and "did you mean d0/same\\x1b.jpg" in near.err


def test_boxes_persons_broken_files_and_earlier_runs(trapaudit: Call, tmp_path: Path) -> None:
    hidden = [{"x_min": 0.1, "y_min": 0.2, "width": 0.3, "height": 0.4}]
    box = {"bbox_x_min": 0.5, "bbox_y_min": 0.5, "bbox_width": 0.25, "bbox_height": 0.25, "hidden_boxes": hidden}
    for model in ("m1", "m2"):
        builder = AuditBuilder(tmp_path / "out", model, model)
        builder.predict("a.jpg", f"Luna-{model}", detection="0", detection_confidence=0.9, **box)
        builder.predict("a.jpg", "Tom", detection="1", new_media=False, **box)
        builder.media("b.jpg", status="corrupt", failure_stage="decode", failure_reason="the file ends early")
        why = "the detections have no entry"
        whole = [{"x_min": 0.0, "y_min": 0.0, "width": 1.0, "height": 1.0}]
        builder.predict("c.jpg", None, prediction_status="no_detections", failure_reason=why, hidden_boxes=whole)
        builder.write()
    label(builder.out, tmp_path, {"a.jpg": "Luna-m2", "c.jpg": "blank"})
    shown = trapaudit("show", tmp_path / "out", "a.jpg").out
    assert "Luna-m2 by somebody" in shown and "counts for no box" in " ".join(shown.split())
    assert "Box 0 (1 of 2)" in shown and "Box 1 (2 of 2)" in shown
    assert "1 box neither classified nor shown: x 0.100, y 0.200, width 0.300, height 0.400" in shown
    assert "x 0.500, y 0.500, width 0.250, height 0.250, detector 90" in shown
    assert "Luna-m2" in shown.split("before")[0] and "Luna-m1" in shown.split("before")[1]
    assert "no errors and slices are known" in shown
    assert "the file is damaged (at decode): the file ends early" in trapaudit("show", tmp_path / "out", "b.jpg").out
    without = trapaudit("show", tmp_path / "out", "c.jpg").out
    assert "no name: the detections have no entry\n" in without
    assert "neither classified nor shown: the whole picture" in without
    assert "blank by somebody" in without and "): counts" in " ".join(without.split())
