"""One picture's story: found by whatever names it, from the files it is in, with all that the tables hold."""

from __future__ import annotations

import json
import unicodedata
import uuid
from datetime import UTC, date, datetime
from pathlib import Path

import fsspec
import pyarrow.parquet as pq
import pytest

from deployments.cli.story_target import target_lines
from scd_core.audit import read_table
from scd_core.audit.labels.importing import undo_import
from scd_core.audit.query.files import AuditFileSystem
from scd_core.audit.query.picture import SeveralPictures, read_story
from scd_core.audit.report.refresh import refresh_report_tables
from scd_core.errors import InputError
from tests.audit.audit_builder import AuditBuilder, label, minutes


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    """Two models over one card; at C03 everyone is called Nyx; the first picture is labelled three times."""
    folder = tmp_path_factory.mktemp("show")
    truth = {}
    for day, model in enumerate(("m1", "m2"), 2):
        builder = AuditBuilder(folder / "out", f"b-{model}", model, finished=datetime(2026, 3, day, tzinfo=UTC))
        for n in range(40):
            camera, true = f"C{n % 4:02d}", ("Luna", "Nyx")[n // 4 % 2]
            file = f"{camera}/{n:03d}.jpg"
            truth[file] = true
            name = "Nyx" if camera == "C03" else true
            target = builder.predict(
                file, name, 0.7 + day / 100, camera=camera, at=minutes(90 * n), runner_up=("Tom", 0.1),
                event=f"e{n // 2}-{camera}", flag_reasons=["low_probability", "control"], is_control=True,
            )  # fmt: skip
            if camera == "C03":
                builder.mask(
                    target,
                    true,
                    background_reliance=0.8,
                    mask_png=b"png",
                    strategies=[("box_crop", true), ("late", name)],
                )
        if model == "m2":
            builder.media("C03/broken.jpg", status="corrupt", failure_stage="decode", failure_reason="truncated")
            builder.media("C03/again.jpg", status="duplicate", duplicate_of="id-C03/003.jpg")
            hidden = [{"x_min": 0.1, "y_min": 0.2, "width": 0.3, "height": 0.4}]
            builder.predict("two/boxes.jpg", "Luna", detection="0", bbox_x_min=0.5, hidden_boxes=hidden)
            builder.predict("two/boxes.jpg", "Tom", detection="1", new_media=False, hidden_boxes=hidden)
            for file in (
                "C00/Füchse.JPG",
                "C01/Füchse.JPG",
                "C01/[red]one\x1b[2J\u202e[/red].jpg",
                "a/x.jpg",
                "b/x.jpg",
            ):
                builder.predict(file, "Luna")
        builder.write()
    label(builder.out, folder, truth, labelled_by="ana", now=datetime(2026, 3, 5, tzinfo=UTC))
    again = {"C03/003.jpg": "Nyx"}
    label(builder.out, folder, again, labelled_by="ben", name="b.csv", now=datetime(2026, 3, 6, tzinfo=UTC))
    last = {"C03/003.jpg": "Luna", "x.jpg": "Tom"}
    label(builder.out, folder, last, labelled_by="cy", name="c.csv", now=datetime(2026, 3, 7, tzinfo=UTC))
    refresh_report_tables(builder.out, now=datetime(2026, 3, 8, tzinfo=UTC))
    return builder.out


@pytest.mark.parametrize(
    "wanted",
    [
        "id-C03/003.jpg", "C03/003.jpg", "003.jpg", "s3://cards/C03/003.jpg", "s3://key:secret@cards/C03/003.jpg",
        "./C03/003.jpg", "C03\\003.jpg", "c03/003.JPG", "/cards/C03/003.jpg", "id-C03/003.jpg:7", " C03/003.jpg ",
    ],
)  # fmt: skip
def test_a_picture_is_found_by_whatever_names_it(out, wanted):
    assert read_story(out, wanted).media["file"] == "C03/003.jpg"


def test_a_name_in_another_unicode_form_is_found(out):
    decomposed = unicodedata.normalize("NFD", "C00/füchse.jpg")
    assert read_story(out, decomposed).media["file"] == "C00/Füchse.JPG"


@pytest.mark.parametrize(
    "wanted", ["D:\\cards\\C00\\Füchse.JPG", "d:/Work/c00/FÜCHSE.jpg", "/mnt/x/cards/C00/Füchse.JPG"]
)
def test_a_path_of_another_machine_is_found_as_a_label_is(out, wanted):
    assert read_story(out, wanted).media["file"] == "C00/Füchse.JPG"


def test_the_story_of_a_wrong_name(out):
    story = read_story(out, "C03/003.jpg")
    (target,) = story.targets
    assert (story.run["model_digest"], story.run["run_id"]) == ("m2", "run-b-m2")
    assert target.prediction["predicted_id"] == "Nyx"
    assert target.prediction["topk"][1] == {"individual_id": "Tom", "probability": pytest.approx(0.1)}
    assert target.prediction["flag_reasons"] == ["low_probability", "control"]
    assert [view["strategy"] for view in target.views] == ["box_crop", "late"], "in the order of the strategies"
    assert (target.decision["strategy"], target.decision["predicted_id"]) == ("fused", "Luna")
    assert (target.error["error_type"], target.error["is_recovered"]) == ("shift", False)
    assert target.masks[0]["background_reliance"] == pytest.approx(0.8)
    systematic = [row for row in target.slices if row["is_systematic"]]
    assert systematic and all(row["slice"].get("camera_id", "C03") == "C03" for row in target.slices)
    (before,) = story.other_runs
    assert before["model_digest"] == "m1" and before["names"][0]["predicted_id"] == "Nyx"
    assert story.report == {**story.report, "is_older": False}
    assert story.n_frames == 1


def test_slices_are_those_whose_keys_the_row_has(out):
    row = read_table(out, "errors", filters={"media_id": "id-C03/003.jpg", "is_current": True}).iloc[0]
    known = {
        "camera_id": row.camera_id, "deployment_id": row.deployment_id, "true_id": row.true_id, "light": "day",
        "predicted_id": row.predicted_id, "pair": f"{row.true_id} -> {row.predicted_id}", "quality": row.quality,
        "model_digest": row.model_digest, "labelled_by": row.labelled_by, "hour": f"{row.captured_at.hour:02d}h",
    }  # fmt: skip
    slices = read_table(out, "error_slices", ["slice_id", "slice"])
    wanted = {
        found.slice_id
        for found in slices.itertuples()
        if all(known.get(key) == value for key, value in dict(found.slice).items())
    }
    assert wanted
    assert {found["slice_id"] for found in read_story(out, "C03/003.jpg").targets[0].slices} == wanted


def test_all_labels_and_which_counts(out):
    labels = read_story(out, "C03/003.jpg").labels
    found = [(row["individual_id"], row["labelled_by"], row["status"]) for row in labels]
    assert found == [("Luna", "cy", "newest"), ("Nyx", "ben", "superseded"), ("Luna", "ana", "superseded")]
    (unclear,) = read_story(out, "a/x.jpg").labels
    assert (unclear["individual_id"], unclear["status"]) == ("Tom", "ambiguous")
    assert read_story(out, "two/boxes.jpg").labels == []


def test_boxes_are_stories_of_their_own(out):
    first, second = read_story(out, "two/boxes.jpg").targets
    assert (first.prediction["detection_id"], second.prediction["detection_id"]) == ("0", "1")
    assert (first.prediction["predicted_id"], second.prediction["predicted_id"]) == ("Luna", "Tom")
    assert first.prediction["hidden_boxes"][0]["width"] == pytest.approx(0.3)


def test_what_could_not_be_used_and_what_is_there_twice(out):
    broken = read_story(out, "broken.jpg")
    assert (broken.media["status"], broken.media["failure_reason"], broken.targets) == ("corrupt", "truncated", [])
    twice = read_story(out, "again.jpg")
    assert twice.original == {"media_id": "id-C03/003.jpg", "file": "C03/003.jpg"}
    assert len(twice.labels) == 3, "they are for the first object with this content"


def test_several_pictures_are_listed(out):
    with pytest.raises(SeveralPictures) as error:
        read_story(out, "x.jpg")
    assert {picture.file for picture in error.value.pictures} == {"a/x.jpg", "b/x.jpg"} and error.value.n == 2
    assert read_story(out, "a/x.jpg").media["file"] == "a/x.jpg"


def test_ten_of_many_are_listed(tmp_path):
    builder = AuditBuilder(tmp_path / "out")
    for n in range(14):
        builder.predict(f"d{n}/same.jpg", "Luna")
    with pytest.raises(SeveralPictures, match="14 pictures fit") as error:
        read_story(builder.write(), "same.jpg")
    assert len(error.value.pictures) == 10


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ("C03/0003.jpg", "did you mean C03/003.jpg"),
        ("C03/DeletedFiles/003.jpg", "left out of every run .in a folder of deleted"),
        ("?", "no picture"),
        (" ", "empty"),
    ],
)
def test_no_picture_fits(out, wanted, words):
    with pytest.raises(InputError, match=words):
        read_story(out, wanted)


def test_an_out_without_an_audit(tmp_path):
    with pytest.raises(InputError, match="holds no audit"):
        read_story(str(tmp_path), "a.jpg")


def test_labels_newer_than_the_report_are_noticed(out, tmp_path):
    builder = AuditBuilder(tmp_path / "out")
    builder.predict("a.jpg", "Luna")
    assert read_story(builder.write(), "a.jpg").report is None
    refresh_report_tables(builder.out, now=datetime(2026, 3, 4, tzinfo=UTC))
    assert not read_story(builder.out, "a.jpg").report["is_older"]
    label(builder.out, tmp_path, {"a.jpg": "Luna"}, now=datetime(2026, 3, 5, tzinfo=UTC))
    assert read_story(builder.out, "a.jpg").report["is_older"]


def test_columns_that_an_old_audit_lacks_are_null(tmp_path):
    builder = AuditBuilder(tmp_path / "out")
    target = builder.predict("a.jpg", "Luna")
    builder.mask(target, "Luna")
    builder.write()
    for table, columns in {
        "media": ["clock_doubt"], "predictions": ["hidden_boxes", "review_rank"], "masks": ["overlay_log_odds_drop"],
        "reclassifications": ["reason"], "runs": ["model_input", "device"],
    }.items():  # fmt: skip
        for path in (tmp_path / "out" / table).rglob("*.parquet"):
            pq.write_table(pq.read_table(path, partitioning=None).drop_columns(columns), path)
    (commit,) = (tmp_path / "out" / "commits").iterdir()
    commit.write_text(json.dumps(json.loads(commit.read_text()) | {"schema_version": 1}))
    story = read_story(builder.out, "a.jpg")
    (target,) = story.targets
    assert (story.media["clock_doubt"], target.prediction["hidden_boxes"], story.run["device"]) == (None, None, None)
    assert (target.prediction["predicted_id"], target.decision["reason"]) == ("Luna", None)


def test_only_the_pictures_own_batches_are_opened(monkeypatch):
    name = f"show-{uuid.uuid4().hex}"
    for day in (1, 2, 3):
        builder = AuditBuilder(f"memory://{name}", f"b{day}", batch_date=date(2026, 3, day))
        builder.mask(builder.predict(f"d{day}.jpg", "Luna"), mask_png=bytes(100))
        builder.write()
    opened = []
    real = AuditFileSystem._open
    monkeypatch.setattr(
        AuditFileSystem, "_open", lambda self, path, *a, **k: opened.append(path) or real(self, path, *a, **k)
    )
    try:
        assert read_story(builder.out, "d2.jpg").targets[0].masks
    finally:
        fsspec.filesystem("memory").rm(f"/{name}", recursive=True)
    tables = {path.split("://")[-1].split("/")[0] for path in opened}
    assert tables >= {"media", "predictions", "masks", "runs"}
    assert {path.rsplit("/", 1)[-1] for path in opened if "media/" not in path} == {"b2.parquet"}


def test_every_key_of_the_json_is_explained(out):
    page = (Path(__file__).resolve().parents[2] / "docs" / "queries.md").read_text()
    story = read_story(out, "C03/003.jpg").as_dict()
    names = [*story, *(f"targets[].{name}" for name in story["targets"][0])]
    assert "targets[].slices" in names and [name for name in names if f"`{name}`" not in page] == []


def test_a_story_of_an_s3_bucket(bucket):
    builder = AuditBuilder(f"s3://{bucket}/audit")
    builder.predict("C01/a b+ü.jpg", "Luna")
    story = read_story(builder.write(), "a b+ü.jpg")
    assert story.targets[0].prediction["predicted_id"] == "Luna"


def test_labels_that_were_undone_or_are_of_no_animal(tmp_path):
    builder = AuditBuilder(tmp_path / "out")
    for file in ("a.jpg", "b.jpg"):
        builder.predict(file, "Luna")
    builder.write()
    first = label(builder.out, tmp_path, {"a.jpg": "Luna", "b.jpg": "Luna"}, now=datetime(2026, 3, 4, tzinfo=UTC))
    label(builder.out, tmp_path, {"a.jpg": "blank"}, name="b.csv", now=datetime(2026, 3, 5, tzinfo=UTC))
    undo_import(builder.out, first.import_id, now=datetime(2026, 3, 6, tzinfo=UTC))
    found = [(row["individual_id"], row["state"], row["status"]) for row in read_story(builder.out, "a.jpg").labels]
    assert found == [(None, "blank", "newest"), ("Luna", "named", "undone")]
    (undone,) = read_story(builder.out, "b.jpg").labels
    assert (undone["import_id"], undone["status"]) == (first.import_id, "undone")


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (None, "all of it in the animal's box, which is what the model saw"),
        ([0.5, -0.5], "all of it in the animal's box; the whole frame has a part in the name too, and has no mask"),
    ],
)
def test_a_mask_of_a_box_is_not_all_that_the_model_saw_where_the_frame_counts_too(tmp_path, frame, words):
    builder = AuditBuilder(tmp_path / "out")
    builder.predict("a.jpg", "Luna", detection="0", frame_logits=frame)
    no_share = {"background_reliance": None, "overlay_reliance": None}
    builder.mask("id-a.jpg:0", predicted_id="Luna", area=0.2, **no_share)
    (target,) = read_story(builder.write(), "a.jpg").targets
    assert dict(target_lines(target, 1))["mask"].endswith(words)


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        (
            {"gradient_outside": 0.714, "gradient_region": "box"},
            "71\u202f% of what raises the name lies outside the animal",
        ),
        (
            {"gradient_outside": 0.4, "gradient_region": "window"},
            "40\u202f% of what raises the name lies outside the quarter of the picture with most of it",
        ),
        ({"gradient_outside": None, "gradient_region": "flat"}, None),
        ({}, None),
    ],
)
def test_the_gradient_is_a_line_of_the_story_where_it_was_measured(tmp_path, columns, words):
    builder = AuditBuilder(tmp_path / "out")
    builder.predict("a.jpg", "Luna", **columns)
    (target,) = read_story(builder.write(), "a.jpg").targets
    assert dict(target_lines(target, 1)).get("gradient") == words
