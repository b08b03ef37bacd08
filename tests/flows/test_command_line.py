"""The command line: exit codes, one clear line for bad input, nothing half-written."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scd_core import __version__
from scd_core.audit import read_table
from scd_core.scenes import packaged_model

Call = Callable[..., Any]
CLEAN = str(packaged_model("clean"))


@pytest.fixture
def run(trapaudit: Call, card: Path, tmp_path: Path) -> Call:
    """`trapaudit run` on the card, options replaced or added."""

    def call(source: object = None, out: object = None, model: object = CLEAN, **options: object) -> Any:
        arguments: list[object] = [
            "run",
            source or card / "images",
            "--model",
            model,
            "--out",
            out or tmp_path / "audit",
        ]
        for name, value in options.items():
            arguments += [f"--{name}", value]
        return trapaudit(*arguments)

    return call


def assert_refused(outcome: Any, *words: str) -> None:
    assert outcome.code == 2, outcome.err
    assert outcome.err.count("\n") == 1, outcome.err
    for word in words:
        assert word in outcome.err


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_a_source_that_is_not_there(run: Call, tmp_path: Path) -> None:
    assert_refused(run(source=tmp_path / "nowhere"), "nowhere")
    assert not (tmp_path / "audit" / "commits").exists()


def test_a_source_without_images(run: Call, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert_refused(run(source=tmp_path / "empty"), "empty")


def test_a_model_that_is_not_there(run: Call, tmp_path: Path) -> None:
    assert_refused(run(model=tmp_path / "no-model"), "no-model", "model pack")


def test_weights_that_are_not_the_packed_ones(run: Call, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    for path in Path(CLEAN).glob("*.*"):
        (folder / path.name).write_bytes(path.read_bytes())
    weights = bytearray((folder / "weights.safetensors").read_bytes())
    weights[-1] ^= 1
    (folder / "weights.safetensors").write_bytes(bytes(weights))
    assert_refused(run(model=folder), "sha256")


def test_labels_of_other_files(run: Call, tmp_path: Path) -> None:
    assert_refused(run(labels=written(tmp_path / "l.csv", "file,individual_id\nelsewhere.jpg,Luna\n")), "elsewhere.jpg")


def test_labels_of_unknown_individuals(run: Call, card: Path, tmp_path: Path) -> None:
    first, second = (line.split(",")[:2] for line in (card / "labels.csv").read_text().splitlines()[1:3])
    text = f"file,individual_id\n{first[0]},{first[1]}\n{second[0]},Zebedee\n"
    assert_refused(run(labels=written(tmp_path / "b.csv", text)), "Zebedee", "--allow-new-names")


def test_a_table_of_timelapse_of_which_one_picture_is_not_there(run: Call, card: Path, tmp_path: Path) -> None:
    file, name = (card / "labels.csv").read_text().splitlines()[1].split(",")[:2]
    (tmp_path / "card").mkdir()
    (tmp_path / "card" / "a.JPG").write_bytes((card / "images" / file).read_bytes())
    table = written(tmp_path / "t.csv", f"File,RelativePath,Who\na.JPG,,{name}\nz.jpg,,{name}\n")
    outcome = run(source=tmp_path / "card", labels=table, column="Who")
    assert outcome.code == 0, outcome.err
    assert "labels t.csv: 2 rows, 1 joined, 1 waiting ('z.jpg' fits no picture)" in outcome.err
    assert "labels: 2 new, 0 held already, 1 waiting" in outcome.err


def test_options_of_labels_without_labels(run: Call, trapaudit: Call, card: Path, tmp_path: Path) -> None:
    assert_refused(run(column="Who"), "--column: is of labels")
    outcome = trapaudit("run", card / "images", "--model", CLEAN, "--out", tmp_path / "audit", "--by-person")
    assert_refused(outcome, "--by-person: is of labels")


def test_labels_without_their_columns(run: Call, tmp_path: Path) -> None:
    assert_refused(run(labels=written(tmp_path / "l.csv", "name,who\na,b\n")), "file")


def test_detections_of_other_images(run: Call, tmp_path: Path) -> None:
    text = "file,category,confidence,x_min,y_min,width,height\nother.jpg,animal,.9,0,0,1,1\n"
    assert_refused(run(detections=written(tmp_path / "d.csv", text)), "other.jpg", "IMG_")


def test_a_config_field_that_does_not_exist(run: Call, tmp_path: Path) -> None:
    assert_refused(
        run(config=written(tmp_path / "c.yaml", "triage:\n  min_probabilty: 0.5\n")), "triage.min_probabilty"
    )
    assert_refused(run(config=written(tmp_path / "c.yaml", "triage:\n  min_probability: 7\n")), "min_probability")
    assert_refused(run(config=tmp_path / "gone.yaml"), "gone.yaml")


def test_an_out_that_cannot_be_written(run: Call, tmp_path: Path) -> None:
    assert_refused(run(out=written(tmp_path / "file", "x") / "audit"), "file")
    if os.geteuid() != 0:
        folder = tmp_path / "closed"
        folder.mkdir(mode=0o500)
        assert_refused(run(out=folder / "audit"), "closed")


def test_a_wrong_option(trapaudit: Call) -> None:
    assert trapaudit("run", "--colour").code == 2


def test_run_commits_then_does_nothing_then_takes_the_late_file(
    run: Call, trapaudit: Call, card: Path, tmp_path: Path
) -> None:
    source = tmp_path / "images"
    files = sorted((card / "images").rglob("*.JPG"))
    for path in files[:-1]:
        target = source / path.relative_to(card / "images")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    out = tmp_path / "audit"
    labels = card / "labels.csv"
    config = written(tmp_path / "c.yaml", "masks: {steps: 2}\ntriage: {control_rate: 0.3}\n")
    first = run(source=source, config=config)
    assert first.code == 0, first.err
    assert f"{len(files) - 1} media" in first.err
    again = run(source=source, config=config)
    assert (again.code, "nothing to do" in again.err, "report:" in again.err) == (0, True, False)

    # A run that died between its commit and its report: the next one has no images to name, and draws the page.
    (out / "report" / "index.html").unlink()
    (out / "report" / "covers.txt").unlink()
    mended = run(source=source, config=config)
    assert (mended.code, "report:" in mended.err) == (0, True)
    assert (out / "report" / "index.html").stat().st_size > 1000

    late = source / files[-1].relative_to(card / "images")
    late.parent.mkdir(parents=True, exist_ok=True)
    late.write_bytes(files[-1].read_bytes())
    third = run(source=source, config=config)
    assert "1 media" in third.err
    media = read_table(str(out), "media")
    assert sorted(media["file"]) == sorted(str(path.relative_to(card / "images")) for path in files)
    assert media["media_id"].is_unique

    imported = trapaudit("labels", "import", out, labels)
    assert imported.code == 0, imported.err
    assert f"next: trapaudit report {out}" in imported.err
    listed = trapaudit("labels", "list", out)
    assert (listed.code, listed.out.count("\n")) == (0, 1)
    assert re.fullmatch(
        rf"[0-9a-f]{{16}}  \d{{4}}-\d\d-\d\d \d\d:\d\d  \S+  {len(files)} labels  {labels.name}\n", listed.out
    )
    assert_refused(trapaudit("labels", "undo", out, ""), "IMPORT is empty", "labels list OUT")
    undone = trapaudit("labels", "undo", out, listed.out.split()[0])
    assert (undone.code, f"{len(files)} labels undone" in undone.err) == (0, True)
    assert "undone 20" in trapaudit("labels", "list", out).out
    assert trapaudit("labels", "import", out, labels).code == 0
    misspelt = written(tmp_path / "typo.csv", f"file,individual_id\n{sorted(media['file'])[0]},LUNA\nz.jpg,Luna\n")
    assert_refused(trapaudit("labels", "import", out, misspelt), "`LUNA`: did you mean `Luna`?", "--allow-new-names")
    partly = written(tmp_path / "part.csv", f"file,individual_id\n{sorted(media['file'])[0]},Luna\nz.jpg,Luna\n")
    part = trapaudit("labels", "import", out, partly)
    assert (part.code, "not among the images of OUT: z.jpg; its label waits" in part.err) == (0, True), part.err
    assert trapaudit("labels", "undo", out, part.err.partition(f"undo {out} ")[2].split()[0]).code == 0
    elsewhere = trapaudit("labels", "import", tmp_path / "aduit", labels)
    assert (elsewhere.code, "is it the right place?" in elsewhere.err) == (0, True)
    assert trapaudit("report", out).code == 0
    answer = trapaudit("sql", out, "select count(*) as n from errors where true_id is not null", "--format", "csv")
    assert answer.out.split() == ["n", str(len(files))]
    refused = trapaudit("sql", out, "delete from media")
    assert (refused.code, refused.err.count("\n")) == (2, 1)


def test_a_batch_in_which_nothing_can_be_read_is_committed(run: Call, tmp_path: Path) -> None:
    source = tmp_path / "broken"
    source.mkdir()
    written(source / "a.jpg", "")
    written(source / "b.jpg", "<html>404</html>")
    (source / "c.jpg").write_bytes(b"\xff\xd8\xff\xe0 cut short")
    done = run(source=source)
    assert done.code == 0, done.err
    assert "3 quarantined" in done.err
    assert "no image of this batch could be used" in done.err
    media = read_table(str(tmp_path / "audit"), "media").set_index("file")
    assert media["failure_reason"].notna().all()
    assert media.loc["a.jpg", "status"] == "empty"


def test_the_version(trapaudit: Call) -> None:
    outcome = trapaudit("--version")
    assert (outcome.code, outcome.out) == (0, f"trapaudit {__version__}\n")
