"""The same pictures give the same result wherever they lie and whenever they were copied."""

from __future__ import annotations

import os
import shutil
from typing import Any

import pytest

from scd_core.audit import read_table
from scd_core.audit.query.connection import open_tables
from scd_core.audit.queue.draw import draw_queue
from scd_core.audit.report.queries import create_views, query
from scd_core.scenes import packaged_model, write_scenes
from tests.services.audits import audit

SETTINGS = {"triage": {"control_rate": 0.4, "budget": 8}, "masks": {"steps": 4}}


@pytest.fixture(scope="module")
def outs(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Two audits of the same files, at two addresses and with other times of modification; one picture lies there twice."""
    folder = tmp_path_factory.mktemp("same")
    write_scenes(str(folder / "scenes"), world="demo", n_events=40, seed=21, split="audit")
    first, second = folder / "first" / "images", folder / "elsewhere" / "deeper" / "images"
    pictures = sorted((folder / "scenes" / "images").rglob("*.JPG"))
    assert len(pictures) >= 12
    shutil.copyfile(pictures[0], pictures[0].with_name("COPY.JPG"))
    shutil.copytree(folder / "scenes" / "images", first)
    shutil.copytree(folder / "scenes" / "images", second)
    for number, path in enumerate(sorted(second.rglob("*.JPG"))):
        os.utime(path, (1_700_000_000 + number, 1_700_000_000 + 7 * number))
    lines = (folder / "scenes" / "labels.csv").read_text().splitlines(keepends=True)
    labels = folder / "labels.csv"
    labels.write_text("".join(lines[:1] + lines[1 + len(lines) // 4 :]))
    found = []
    for number, source in enumerate((first, second)):
        result = audit(source, packaged_model("shortcut"), folder / f"out{number}", SETTINGS, labels=str(labels))
        assert result.batches
        found.append(str(folder / f"out{number}"))
    return found


def by_file(out: str, table: str, columns: list[str]) -> list[dict[str, Any]]:
    """Rows of a table by file, without what names the address."""
    media = read_table(out, "media")[["media_id", "file"]]
    rows = read_table(out, table).merge(media, on="media_id").sort_values(["file", *columns[:1]])
    return rows[["file", *columns]].astype(object).where(lambda frame: frame.notna(), None).to_dict("records")


def test_the_fixture_has_other_ids_for_the_same_content(outs: list[str]) -> None:
    first, second = (read_table(out, "media").sort_values("file") for out in outs)
    assert first.file.tolist() == second.file.tolist()
    assert first.content_sha256.tolist() == second.content_sha256.tolist()
    assert not set(first.media_id) & set(second.media_id)


def test_names_controls_and_selection_are_the_same(outs: list[str]) -> None:
    columns = ["predicted_id", "probability", "content_number", "is_control", "is_selected", "inclusion_probability"]
    first, second = (by_file(out, "predictions", columns) for out in outs)
    assert first == second
    assert len({row["is_control"] for row in first}) == 2, "fixture: some are controls and some are not"


def test_masks_and_corrected_names_are_the_same(outs: list[str]) -> None:
    for table, columns in (
        ("masks", ["seed", "mask_status", "mask_png", "ssr_probability", "iterations"]),
        ("reclassifications", ["strategy", "predicted_id", "probability", "is_flip", "second_evaluations"]),
    ):
        first, second = (by_file(out, table, columns) for out in outs)
        assert first == second and len(first) >= 4


def test_the_cost_of_second_masks_is_in_the_rows_and_the_run(outs: list[str]) -> None:
    fused = read_table(outs[0], "reclassifications").query("strategy == 'fused'")
    spent = fused.second_evaluations.notna()
    assert 0 < spent.sum() < len(fused), "fixture: some names change and some do not"
    assert fused[spent].second_evaluations.min() > 4 and not fused[~spent].is_flip.any()
    assert read_table(outs[0], "runs").n_second_masks.tolist() == [spent.sum()]


def test_what_to_label_next_is_the_same_list(outs: list[str]) -> None:
    lists = []
    for out in outs:
        with open_tables(out) as tables:
            queue = draw_queue(tables, 1000).to_pandas()
        lists.append(queue.sort_values("place")[["file", "queue"]].values.tolist())
    assert lists[0] == lists[1] and len(lists[0]) >= 4


def test_example_pictures_of_slices_are_the_same(outs: list[str]) -> None:
    found = []
    for out in outs:
        files = read_table(out, "media").set_index("media_id").file
        slices = read_table(out, "error_slices").dropna(subset="example_media_ids").sort_values("slice_id")
        found.append([(row.slice_id, [files[one] for one in row.example_media_ids]) for row in slices.itertuples()])
    assert found[0] == found[1]
    assert any(len(examples) >= 2 for _, examples in found[0]), "fixture: a slice has examples"


def test_single_errors_of_the_page_are_the_same(outs: list[str]) -> None:
    found = []
    for out in outs:
        files = read_table(out, "media").set_index("media_id").file
        with open_tables(out) as tables:
            create_views(tables)
            found.append([files[row["media_id"]] for row in query(tables, "single_errors", limit=4)])
    assert found[0] == found[1] and len(found[0]) >= 2


def test_a_content_that_lies_there_twice_has_a_row_each_and_one_prediction(outs: list[str]) -> None:
    for out in outs:
        media = read_table(out, "media")
        twice = media[media.content_sha256.duplicated(keep=False)]
        assert sorted(twice.status) == ["duplicate", "ok"]
        named = read_table(out, "predictions")
        assert named[named.prediction_status == "ok"].content_number.is_unique
