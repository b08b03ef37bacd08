"""Real camera-trap photographs with a real detector's boxes: their labels go through other software and come back equal."""

from __future__ import annotations

import csv
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from scd_core.audit import read_table
from scd_core.audit.labels.importing import import_labels
from tests.export.studio import FORMS, answered, exported, loaded
from tests.export.test_label_studio import AT, by_file, plain_rows, saved, tasks_of
from tests.export.test_timelapse import opened
from tests.export.test_timelapse import saved as saved_table
from tests.services.audits import audit

FAST: dict[str, Any] = {"masks": {"steps": 3}, "triage": {"budget": 1}, "classify": {"box_use": "classify"}}


@pytest.fixture(scope="module")
def outs(photographs: Path, mobilenet: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """OUT of an audit of boxes, and of one of whole frames, both without labels."""
    folder = tmp_path_factory.mktemp("real")
    boxes = photographs / "ena24" / "md_annotations.json"
    audit(photographs / "ena24", mobilenet, folder / "ena24", FAST, detections=str(boxes))
    audit(photographs / "southwest", mobilenet, folder / "southwest", FAST)
    return {name: folder / name for name in ("ena24", "southwest")}


def labelled(out: Path, photographs: Path, folder: Path) -> tuple[str, str]:
    """Two copies of an audit: one with the labels that the photographs came with, one without."""
    one, two = (shutil.copytree(out, folder / name) for name in ("one", "two"))
    truth = folder / "truth.csv"
    if out.name == "ena24":
        with (photographs / "ena24" / "labels.csv").open() as file:
            names = {row["filepath"]: row["label"] for row in csv.DictReader(file)}
    else:
        names = {
            path.name: path.stem.rsplit("_", 1)[-1] for path in (photographs / "southwest").glob("*_[0-9a-z]*.JPG")
        }
        names.pop("error_img.JPG")  # it is empty, so it is no task
    lines = [f"{file},{name},ana,2026-03-01T07:00:00.250+02:00\n" for file, name in names.items()]
    truth.write_text("file,individual_id,labelled_by,labelled_at\n" + "".join(lines))
    assert import_labels(str(one), str(truth)).n_known_media >= 6
    return str(one), str(two)


def known(out: str) -> list[str]:
    """Labels of an audit that found their picture."""
    left_out = {"import_id", "imported_at", "import_file", "import_counts", "media_id", "detection_id", "import_date"}
    rows = [row for row in plain_rows(out) if row["media_id"] is not None]
    return sorted(str({key: value for key, value in row.items() if key not in left_out}) for row in rows)


@pytest.mark.parametrize("name", ["ena24", "southwest"])
def test_labels_of_real_photographs_come_back(
    outs: dict[str, Path], photographs: Path, tmp_path: Path, name: str
) -> None:
    one, two = labelled(outs[name], photographs, tmp_path)
    tasks = loaded(tasks_of(one, tmp_path / "ls"))
    n_boxes = int((read_table(one, "predictions")["prediction_status"] == "ok").sum())
    assert sum(len(task["predictions"][0]["result"]) for task in tasks if task["predictions"]) == n_boxes > 5
    for form in FORMS:
        assert import_labels(one, saved(exported(tasks, form), form, tmp_path)).n_rows == 0
    table = saved_table(opened(one, tmp_path / "tl"), tmp_path)
    assert import_labels(one, table).n_rows == 0
    three = str(shutil.copytree(outs[name], tmp_path / "three"))
    import_labels(two, saved(exported(tasks, "json"), "json", tmp_path), now=datetime(2026, 4, 1, tzinfo=UTC))
    import_labels(three, table, now=datetime(2026, 4, 1, tzinfo=UTC))
    assert known(two) == known(three) == known(one)


def test_answers_about_real_boxes_are_of_these_boxes(outs: dict[str, Path], tmp_path: Path) -> None:
    """Accepted as they are, through each form: as many labels as boxes, each of its own box."""
    out = str(shutil.copytree(outs["ena24"], tmp_path / "one"))
    tasks = by_file(tasks_of(out, tmp_path / "ls"))
    done = [answered(task, task["predictions"][0]["result"], {"email": "ana"}, AT) for task in tasks.values()]
    for form in FORMS:
        import_labels(out, saved(exported(done, form), form, tmp_path))
    predictions = read_table(out, "predictions").query("prediction_status == 'ok'")
    given = {(row["media_id"], row["detection_id"], row["individual_id"]) for row in plain_rows(out)}
    finals = {row["target_id"]: row["predicted_id"] for row in predictions.to_dict("records")}
    fused = read_table(out, "reclassifications").query("strategy == 'fused' and strategy_status == 'ok'")
    finals |= dict(zip(fused["target_id"], fused["predicted_id"], strict=True))
    expected = {(*target.split(":", 1), name) for target, name in finals.items()}
    assert given == expected and len(plain_rows(out)) == len(expected)
