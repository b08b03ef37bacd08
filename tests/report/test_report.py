"""The page shows what the tables hold, whatever is in them and whatever is missing."""

from __future__ import annotations

import base64
import csv
import html
import io
import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from scd_core.audit import connect, read_table
from scd_core.audit.labels.importing import import_labels, list_imports, undo_import
from scd_core.audit.report.label_file import label_file
from scd_core.audit.report.limits import Limits
from scd_core.audit.report.page import live_page
from scd_core.audit.report.refresh import refresh_report_tables
from scd_core.audit.report.sections import handed_in
from scd_core.audit.report.write import write_report
from scd_core.audit.wording import slice_title
from scd_core.config import AuditConfig
from scd_core.errors import InputError, RunError
from scd_core.inputs.counts import FileCounts, counts_as_json, counts_from_json
from scd_core.inputs.labels import read_labels
from scd_core.tables.schema import table_from_rows
from scd_core.tables.store import AuditStore
from tests.audit.audit_builder import AuditBuilder, label
from tests.report.world import (
    CERTIFYING,
    Frame,
    World,
    build_world,
    commit_world,
    evidence,
    label_world,
    planted_frames,
)

NOW = datetime(2026, 6, 3, 6, 30, tzinfo=UTC)


def written(world: World) -> str:
    address, _ = write_report(world.out, world.config, NOW)
    assert address == (Path(world.out) / "report" / "index.html").as_uri()
    return (Path(world.out) / "report" / "index.html").read_text("utf-8")


def text(page: str) -> str:
    """What a reader reads: without tags, one space between words."""
    body = re.sub(r"<style>.*?</style>", " ", page, flags=re.S)
    body = re.sub(r"</?(b|bdi|span|time|code|a)\b[^>]*>", "", body)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", body)).replace("\u202f", " ").split())


def section(page: str, name: str) -> str:
    return page.split(f'aria-labelledby="{name}"')[1].split("</section>")[0]


def test_the_planted_error_comes_first(world: World, page: Path) -> None:
    slices = read_table(world.out, "error_slices")
    top = slices[slices["is_systematic"] & slices["folded_into"].isna()]
    content = page.read_text("utf-8")
    cards = re.findall(r'<article class="card" aria-labelledby="slice-([0-9a-f]+)"', content)
    assert len(cards) == len(top) > 0
    first = slices.set_index("slice_id").loc[cards[0]]
    assert dict(first["slice"])["camera_id"] == "C07" and first["cause"] == "background"
    assert first["sentence"].replace(" %", "\u202f%") in html.unescape(content)
    said = text(section(content, "systematic"))
    assert f"{first['n_errors']} of {first['n_events']}" in said and "background" in said


def test_a_card_has_the_share_of_each_badge_and_ends_with_what_to_do(world: World, page: Path) -> None:
    slices = read_table(world.out, "error_slices")
    row = slices[slices["is_systematic"] & slices["folded_into"].isna()].iloc[0]
    card = page.read_text("utf-8").split('<article class="card"')[1].split("</article>")[0]
    n, masked, corrected = (int(row[name]) for name in ("n_error_images", "n_masked_errors", "n_recovered_errors"))
    assert 0 < corrected < masked
    said = text(card)
    assert (
        f"{n} pictures are wrong here: {masked} masked, of these {corrected} corrected and {masked - corrected} not"
        in said
    )
    assert f"mix-up: {row['n_of_type']}; background: {row['n_of_cause']}" in said
    assert said.endswith("What to do: " + row["what_to_do"].replace("`", ""))
    with connect(world.out) as audit:
        listed = audit.execute("SELECT count(*) FROM slice_pictures WHERE slice_id = ?", [row["slice_id"]]).fetchone()
    assert listed == (n,)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({}, "50 % wrong (30 % to 70 %), 12 % of the others"),
        ({"error_rate": 0.32}, "32 % wrong (30 % to 70 %, weighted), 12 % of the others"),
        ({"error_rate": 0.32, "is_lower_bound": True}, "at least 32 % wrong, 12 % of the others"),
    ],
)
def test_a_rate_is_shown_as_what_it_is(tmp_path: Path, more: dict[str, object], words: str) -> None:
    world = build_world(tmp_path, planted_frames(n_events=6), broken=False, has_pictures=False, reports=0)
    snapshot(world, [made_slice("C01", 20, 4.0) | more])
    assert words in text(written(world))


def test_an_older_slice_has_no_words_of_what_it_does_not_hold(tmp_path: Path) -> None:
    world = build_world(tmp_path, planted_frames(n_events=6), broken=False, has_pictures=False, reports=0)
    snapshot(world, [made_slice("C01", 20, 4.0)])
    said = text(section(written(world), "systematic"))
    assert "What to do" not in said and "wrong here" not in said


def test_explained_slices_stand_under_their_parent(world: World, page: Path) -> None:
    slices = read_table(world.out, "error_slices")
    explained = slices[slices["folded_into"].notna()]
    assert len(explained)
    content = page.read_text("utf-8")
    for _, row in explained.head(3).iterrows():
        card = content.split(f'aria-labelledby="slice-{row["folded_into"]}"')[1].split("</article>")[0]
        assert "explained by this one" in card
    assert not any(f'id="slice-{row}"' in content for row in explained["slice_id"])


def test_order_is_by_harm(tmp_path: Path) -> None:
    """Wrong events times lift: a slice with more errors of the same lift comes first, an unproved one never."""
    world = build_world(tmp_path, planted_frames(n_events=12), broken=False, has_pictures=False, reports=0)
    rows = [
        made_slice("small", 5, 4.0),
        made_slice("large", 30, 4.0),
        made_slice("sharp", 10, None),
        made_slice("dull", 90, 1.2),
    ]
    rows[3]["is_systematic"] = False
    snapshot(world, rows)
    cards = re.findall(r'<h3 id="slice-(\w+)"', section(written(world), "systematic"))
    assert cards == ["sharp", "large", "small"]


def made_slice(name: str, errors: int, lift: float | None) -> dict[str, object]:
    return {
        "report_id": "r", "slice_id": name, "slice": [("camera_id", name)], "family": "camera_id", "n_events": 2 * errors,
        "n_images": 3 * errors, "n_errors": errors, "n_effective": 2.0 * errors, "error_rate": 0.5, "ci_low": 0.3,
        "ci_high": 0.7, "baseline_rate": 0.5 / lift if lift else 0.0, "lift": lift, "p_value": 1e-4, "q_value": 1e-3,
        "is_systematic": True, "sentence": f"It is {name}.", "example_media_ids": [],
    }  # fmt: skip


def snapshot(world: World, slices: list[dict[str, object]], number: int = 1) -> None:
    store = AuditStore(world.out)
    day = datetime(2026, 6, number, 6, tzinfo=UTC)
    for table, rows in (("errors", []), ("error_slices", slices)):
        store.write_table(table, table_from_rows(table, rows), day.date(), f"{day:%Y%m%dT%H%M%S}-0000")


def test_totals_are_those_of_the_tables(world: World, page: Path) -> None:
    errors = read_table(world.out, "errors")
    media, predictions = read_table(world.out, "media"), read_table(world.out, "predictions")
    labelled = errors[errors["is_labelled"] & errors["is_current"]]
    wrong = labelled[labelled["error_type"] != "correct"]
    tiles = dict(
        re.findall(r"<div><dt>([\w ]+)</dt><dd>([\d\u202f]+)</dd><dd class=\"note\">", page.read_text("utf-8"))
    )
    assert {name: int(value.replace("\u202f", "")) for name, value in tiles.items()} == {
        "pictures": len(media), "quarantined": int((media["status"] != "ok").sum()), "named": len(predictions),
        "flagged": int(predictions["is_flagged"].sum()), "labelled": len(labelled), "wrong": len(wrong),
        "corrected by masks": int(labelled["is_recovered"].sum()), "made worse": int(labelled["is_broken"].sum()),
    }  # fmt: skip
    rate, low, high = (
        float(one)
        for one in re.findall(r"([\d.]+) % of events \(([\d.]+) % to ([\d.]+) %\)", text(page.read_text("utf-8")))[0]
    )
    plain = 100 * wrong["event_weight"].sum() / labelled["event_weight"].sum()
    assert low < plain < high and abs(rate - plain) < 3, "with what foretells errors, not far from the labels alone"


def test_cameras_matrix_recomputed(world: World, page: Path) -> None:
    errors = read_table(world.out, "errors")
    labelled = errors[errors["is_labelled"] & (errors["camera_id"] == "C07") & errors["is_infrared"]]
    wrong = labelled[labelled["error_type"] != "correct"]
    rate = wrong["event_weight"].sum() / labelled["event_weight"].sum()
    said = text(section(page.read_text("utf-8"), "cameras"))
    row = said.split("C07")[1]
    assert f"{100 * rate:.0f} % {wrong['event_id'].nunique()} of {labelled['event_id'].nunique()}" in row


def test_confusion_recomputed(world: World, page: Path) -> None:
    errors = read_table(world.out, "errors")
    pairs = errors[errors["is_labelled"] & (errors["error_type"] != "correct")]
    counted = pairs.groupby(["true_id", "predicted_id"])["event_id"].nunique()
    assert counted.idxmax() == ("Luna", "Nyx")
    said = text(section(page.read_text("utf-8"), "confusion"))
    assert f"Luna Nyx {counted.max()} " in said.split("The pairs as a list")[1]


def test_calibration_recomputed(world: World, page: Path) -> None:
    errors = read_table(world.out, "errors")
    labelled = errors[errors["is_labelled"]]
    top = labelled[(labelled["probability"] >= 0.9) & (labelled["probability"] <= 1)]
    accuracy = (top["event_weight"] * (top["error_type"] == "correct")).sum() / top["event_weight"].sum()
    said = text(section(page.read_text("utf-8"), "calibration"))
    expected = "100 %" if accuracy == 1 else f"{100 * accuracy:.0f} %"
    given = (top["event_weight"] * top["probability"]).sum() / top["event_weight"].sum()
    assert f"{100 * given:.0f} % {expected} " in said


def test_label_next_lists_unlabelled_events_only(world: World, page: Path) -> None:
    labelled = {frame.file for frame in world.frames if frame.is_labelled}
    files = re.findall(r'<bdi class="file">([^<]+)</bdi>', section(page.read_text("utf-8"), "label"))
    assert files and not labelled.intersection(files)
    events = {frame.file: frame.event for frame in world.frames}
    assert len({events[file] for file in files}) == len(files), "one picture per event"


def test_label_next_shows_the_first_pictures_in_the_order_of_the_list(world: World, page: Path) -> None:
    part = section(page.read_text("utf-8"), "label")
    files = re.findall(r'<bdi class="file">([^<]+)</bdi>', part)
    assert re.findall(r'alt="Picture to label ([^"]+)"', part) == files[:12] and len(files) == 30
    assert "nothing flagged it" in part and "the model was not sure" in part


def saved_list(page: str) -> str:
    """The CSV file that a page holds."""
    address = re.findall(r'href="data:text/csv;base64,([^"]+)" download="label_next.csv"', page)
    return base64.b64decode(address[0]).decode("utf-8")


def test_the_list_as_a_file_is_read_back_with_what_it_was_drawn_from(tmp_path: Path) -> None:
    """As the view has it; a sheet without a name is none, and what is not filled in is left out."""
    world = build_world(tmp_path, planted_frames(n_events=60, label_share=0.3), broken=False, has_pictures=False)
    lines = saved_list(written(world)).removeprefix("\ufeff").splitlines()
    assert saved_list(written(world)).startswith("\ufeff")
    with connect(world.out) as connection:
        listed = connection.sql("SELECT file, queue, queue_probability FROM to_review LIMIT 200").fetchall()
    columns = lines[0].split(",")
    assert len(lines) == len(listed) + 1 and {"individual_id", "detection_id", "labelled_by"} < set(columns)
    file = tmp_path / "filled.csv"
    file.write_text("\n".join(lines), "utf-8-sig")
    with pytest.raises(InputError, match="holds no label"):
        read_labels(str(file))
    filled = [line.split(",") for line in lines]
    for number, line in enumerate(filled[1:6]):
        line[columns.index("individual_id")] = "blank" if number == 4 else "Luna"
        line[columns.index("labelled_by")] = "ana"
    file.write_text("\n".join(map(",".join, filled)), "utf-8-sig")
    found = import_labels(world.out, str(file))
    assert found.n_rows == found.n_known_media == 5
    rows = read_table(world.out, "labels")
    rows = rows[rows["queue"].notna()]
    assert rows[["file", "queue", "queue_probability"]].to_records(index=False).tolist() == listed[:5]
    assert set(rows["labelled_by"]) == {"ana"} and list(rows["state"]) == ["named"] * 4 + ["blank"]


def test_the_file_is_no_formula_and_means_one_picture(tmp_path: Path) -> None:
    """Names that a spreadsheet would run, and a file that two sources have."""
    builder = AuditBuilder(tmp_path / "out")
    for file in ("=cmd|calc.jpg", "same.jpg"):
        builder.predict(file, "=1+1", at=datetime(2026, 3, 1, len(file)))
    out = builder.write()
    with connect(out) as connection:
        rows = connection.sql("SELECT * FROM to_review").to_arrow_table().to_pylist()
        uris = dict(connection.sql("SELECT file, uri FROM media").fetchall())
        connection.execute("CREATE TEMP TABLE known AS SELECT * FROM media")
        connection.execute(
            "INSERT INTO known SELECT * REPLACE ('s3://other/same.jpg' AS uri) FROM known WHERE file = 'same.jpg'"
        )
        connection.execute("CREATE OR REPLACE TEMP VIEW media AS SELECT * FROM known")
        connection.execute(
            "CREATE TEMP TABLE runs AS FROM runs UNION ALL SELECT * REPLACE ('s3://other' AS source) FROM runs"
        )
        address = label_file(connection, [row | {"uri": uris[row["file"]]} for row in rows])
    text = base64.b64decode(address.partition(",")[2]).decode("utf-8-sig")
    found = {line["file"]: line for line in csv.DictReader(io.StringIO(text))}
    assert set(found) == {"./=cmd|calc.jpg", uris["same.jpg"]}
    assert {line["predicted_id"] for line in found.values()} == {"'=1+1"}
    file = tmp_path / "filled.csv"
    file.write_text(text.replace(",,,", ",Luna,,", 1).replace(",,,", ",Luna,,"), "utf-8-sig")
    assert import_labels(out, str(file)).n_known_media == len(found)


def test_a_page_of_an_earlier_version_is_served_as_it_is() -> None:
    page = "<!DOCTYPE html><html><body>an old page</body></html>"
    assert live_page(page, "/?at=") == page


def test_a_person_is_hidden_in_the_pictures_to_label_too(tmp_path: Path) -> None:
    world = build_world(tmp_path, planted_frames(n_events=12, label_share=0), broken=False)
    (file,) = (Path(world.out) / "predictions").rglob("*.parquet")
    rows = pq.read_table(file)
    boxes = [[{"x_min": 0.0, "y_min": 0.0, "width": 1.0, "height": 1.0}]] * len(rows)
    place = rows.schema.get_field_index("hidden_boxes")
    pq.write_table(
        rows.set_column(place, rows.schema.field(place), pa.array(boxes, rows.schema.field(place).type)), file
    )
    uris = re.findall(r'src="data:image/jpeg;base64,([^"]+)" alt="Picture to label', section(written(world), "label"))
    assert uris
    for uri in uris:
        shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(uri))).convert("RGB"), float)
        assert np.ptp(shown[:30].mean(axis=2)) < 20, (
            "all of it is filled with one grey; the animal's box alone is drawn"
        )


def test_pictures_to_label_that_cannot_be_had_are_placeholders_and_none_is_shown_where_none_is_wanted(
    tmp_path: Path,
) -> None:
    world = build_world(tmp_path, planted_frames(n_events=12, label_share=0), broken=False)
    world.config = AuditConfig.model_validate({"slices": {"examples": 0}})
    assert "<img" not in section(written(world), "label")
    shutil.rmtree(world.source)
    world.config = CERTIFYING
    part = section(written(world), "label")
    assert part.count("no picture:") == 12 and "<img" not in part and "IMG_0001" in part


def test_quarantined_files_and_their_reasons(page: Path) -> None:
    said = text(section(page.read_text("utf-8"), "quarantine"))
    assert "EMPTY.JPG empty 0 bytes" in said and "<b>TORN & co.JPG corrupt the header is <broken>" in said


def test_what_was_handed_in_and_what_became_of_it(tmp_path: Path) -> None:
    world = build_world(tmp_path, planted_frames(n_events=6), broken=False, has_pictures=False, reports=0)
    assert "No file beside the pictures" in text(section(written(world), "inputs"))
    (runs,) = (Path(world.out) / "runs").rglob("*.parquet")
    boxes = FileCounts(
        "detections",
        "<b>md</b>.json",
        8,
        6,
        unusable=2,
        examples=("x.jpg: failed",),
        notes=("2 of 9 pictures have none",),
    )
    flags = FileCounts("flags", "flags.csv", 1234, 1233, waiting=1)
    table = pq.read_table(runs)
    place = table.schema.get_field_index("inputs")
    pq.write_table(table.set_column(place, "inputs", [[counts_as_json([boxes, flags])] * len(table)]), runs)
    shutil.rmtree(Path(world.out) / "state")  # a file of OUT never changes, so a report opens none that it knows
    said = text(section(written(world), "inputs"))
    assert "detections <b>md</b>.json 8 6 2 2 of 9 pictures have none; x.jpg: failed" in said
    assert "flags flags.csv 1 234 1 233 1" in said


def test_a_note_on_a_whole_manifest_and_files_left_out_have_no_zeros(tmp_path: Path) -> None:
    world = build_world(tmp_path, planted_frames(n_events=6), broken=False, has_pictures=False, reports=0)
    (runs,) = (Path(world.out) / "runs").rglob("*.parquet")
    table = pq.read_table(runs)
    given = [
        FileCounts("manifest", "m/datapackage.json", 0, notes=("2 of 9 pictures have no deployment in it",)),
        FileCounts("left out", "cards", 11, unusable=11, examples=("11 thumbnails",)),
    ]
    place = table.schema.get_field_index("inputs")
    pq.write_table(table.set_column(place, "inputs", [[counts_as_json(given)] * len(table)]), runs)
    said = text(section(written(world), "inputs"))
    assert "manifest m/datapackage.json 2 of 9 pictures have no deployment in it" in said
    assert "left out of cards 11 11 thumbnails" in said


def test_what_labels_import_left_out_stays_on_the_page_and_in_the_list(tmp_path: Path) -> None:
    """Rows without a name are said when the file is read, and nobody may have been there to read it."""
    builder = AuditBuilder(tmp_path / "out")
    builder.predict("C01/a.jpg", "Luna")
    out = builder.write()
    (tmp_path / "who.csv").write_text("file,Who\nC01/a.jpg,Luna\nC01/b.jpg,\nC01/c.jpg,\nz.jpg,Nyx\n")
    import_labels(out, read_labels(str(tmp_path / "who.csv"), column="Who"))
    refresh_report_tables(out, AuditConfig())
    write_report(out, AuditConfig(), NOW)
    said = text(section((Path(out) / "report" / "index.html").read_text("utf-8"), "inputs"))
    assert "labels who.csv 4 1 1 2 2 rows without Who; 'z.jpg' fits no picture; line 3: row without Who" in said
    (listed,) = list_imports(out).to_pylist()
    assert [one.notes for one in counts_from_json(listed["counts"])] == [("2 rows without Who",)]


def test_the_newer_of_a_run_and_an_import_says_what_was_left_out() -> None:
    """A run with a longer file, in which no label is new, writes no row of labels."""
    imported = FileCounts(
        "labels", "l.csv", 3, 2, unusable=1, examples=("line 4: no name",), notes=("1 row without Who",)
    )
    of_run = replace(imported, rows=4, unusable=2, notes=("2 rows without Who",))
    run = {"source": "cards", "inputs": counts_as_json([of_run]), "last_at": NOW}
    row = {"file": "l.csv", "n_labels": 2, "n_waiting": 0, "ambiguous": [], "waiting": [], "boxless": []}
    for counts, last_at, expected in (
        (counts_as_json([imported]), NOW + timedelta(hours=1), imported),
        (counts_as_json([imported]), NOW - timedelta(hours=1), replace(of_run, examples=())),
        (None, NOW + timedelta(hours=1), replace(of_run, examples=())),
    ):
        (found,) = handed_in([run], [row | {"counts": counts, "last_at": last_at}])
        assert found.counts == expected


def test_labels_are_counted_as_they_are_when_the_page_is_drawn(tmp_path: Path) -> None:
    """A run counts them before it knows the boxes; `labels import` and later runs change what becomes of them."""
    before = FileCounts(
        "labels", "labels.csv", 4, 3, unusable=1, examples=("line 4: no name",), notes=("1 row without name",)
    )
    builder = AuditBuilder(tmp_path / "out", inputs=counts_as_json([before]))
    builder.predict("C01/a.jpg", "Luna", detection="0")
    builder.predict("C01/a.jpg", "Luna", detection="1", new_media=False)
    out = builder.write()
    label(out, tmp_path, {"C01/a.jpg": "Luna", "x.jpg": "Luna", "y.jpg": "Nyx"})
    for name, file in (
        ("Odin", "other.csv"),
        ("Nyx", "nyx.csv"),
        ("Odin", "other.csv"),
    ):  # one row, whatever was decided between
        label(out, tmp_path, {"C01/a.jpg": name}, name=file)
    undone = label(out, tmp_path, {"z.jpg": "Odin"}, name="undone.csv")
    undo_import(out, undone.import_id)
    refresh_report_tables(out, AuditConfig())
    write_report(out, AuditConfig(), NOW)
    said = text(section((Path(out) / "report" / "index.html").read_text("utf-8"), "inputs"))
    assert (
        "labels labels.csv 3 1 2 1 label names no box of a picture with several animals, such as "
        "'C01/a.jpg'; 'x.jpg' fits no picture; 'y.jpg' fits no picture" in said
    )
    assert "labels other.csv 1 1 1 label names no box" in said
    assert "labels undone.csv 0 0 taken back with `labels undo`" in said


def test_pictures_show_frame_evidence_and_view(world: World, page: Path) -> None:
    card = page.read_text("utf-8").split('<article class="card"')[1].split("</article>")[0]
    uris = re.findall(r'<img src="data:image/jpeg;base64,([^"]+)" alt="([^"]+)" width="(\d+)" height="(\d+)"', card)
    assert len(uris) >= 3
    shown = []
    for data, _, width, height in uris[:3]:
        with Image.open(io.BytesIO(base64.b64decode(data))) as image:
            assert image.size == (int(width), int(height))
            shown.append(np.asarray(image.convert("RGB")).astype(int))
    frame, evidence, view = shown
    assert frame.shape == evidence.shape and view.shape != frame.shape
    red = np.clip(evidence[..., 0] - evidence[..., 2], 0, None)
    rows, columns = np.nonzero(red > 60)
    height, width, _ = frame.shape
    assert 0.66 < columns.mean() / width < 0.86 and 0.52 < rows.mean() / height < 0.84, "the heat is on the station"
    said = text(card)
    assert "Before: called Nyx" in said and "truly Luna" in said
    assert "After: cropped to the evidence, called Luna" in said and "corrected" in said


def test_no_picture_left_says_why(tmp_path: Path) -> None:
    world = build_world(tmp_path, broken=False, has_pictures=False)
    content = written(world)
    assert "<img" not in content and "no picture: vanished after it was listed" in text(content)
    assert "<article" in content


def test_storage_that_does_not_answer_is_read_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    sources = []

    def refuse(rows: list[object], source: str, *_: object, **__: object) -> Iterator[object]:
        sources.append(source)
        raise RunError(f"{source}: no answer")
        yield

    monkeypatch.setattr("scd_core.audit.report.examples.iter_images", refuse)
    said = text(written(world))
    assert sources == [str(world.source)]
    assert f"no picture: {world.source}: no answer" in said and "9 of 13" in said


def test_a_broken_mask_loses_its_own_picture_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One of them, met while the frames were fetched, once took the pictures of all of its SOURCE off the page."""
    torn = (b"", b"no picture at all")
    broken: dict[str, bytes] = {}

    def evidence_or_less(frame: Frame) -> bytes:
        whole = evidence(frame)
        if int(frame.event.removeprefix("event")) % 2:
            return whole
        broken[frame.file] = [*torn, whole[: len(whole) // 2]][len(broken) % 3]
        return broken[frame.file]

    monkeypatch.setattr("tests.report.world.evidence", evidence_or_less)
    page = written(build_world(tmp_path, broken=False))
    items = [part.split("</li>")[0] for part in page.split('<li class="example">')[1:]]
    seen = set()
    for item in items:
        (file,) = re.findall(r'<bdi class="file">([^<]+)</bdi>', item)
        said, seen = text(item), seen | {broken.get(file)}
        if file in broken:
            assert item.count("<img ") == 1 and f"{len(broken[file])} bytes" in said and "Evidence: not known" in said
            assert "no picture: the stored mask cannot be read" in said
        elif "no mask was made" not in said:
            assert item.count("<img ") == 3 and "no picture" not in said
    assert seen >= {None, *torn}, "fixture: whole masks and broken ones are shown"


def test_a_picture_that_changed_is_not_shown(tmp_path: Path) -> None:
    """Another card's picture under the old name would prove something that was never seen."""
    world = build_world(tmp_path, broken=False)
    for frame in world.frames:
        path = world.source / frame.file
        path.write_bytes(path.read_bytes() + b"x")
    assert "no picture: changed after it was listed" in text(written(world))


def test_no_probability_of_another_name_stands_beside_unknown(tmp_path: Path) -> None:
    """`called unknown (96 %)` was a picture that is 96 % like a known cat."""
    world = build_world(tmp_path, planted_frames(n_events=12, label_share=0), broken=False)
    assert re.search(r"called \w+ \(\d", text(section(written(world), "label")))
    (file,) = (Path(world.out) / "predictions").rglob("*.parquet")
    rows = pq.read_table(file)
    place = rows.schema.get_field_index("predicted_id")
    unknown = pa.array(["unknown"] * len(rows), rows.schema.field(place).type)
    pq.write_table(rows.set_column(place, rows.schema.field(place), unknown), file)
    said = text(section(written(world), "label"))
    assert "called unknown" in said and "called unknown (" not in said


def test_no_labels_says_so(tmp_path: Path) -> None:
    frames = planted_frames(n_events=40, label_share=0)
    world = build_world(tmp_path, frames, broken=False)
    content = written(world)
    said = text(content)
    assert "this report holds suspicions only" in said
    assert "Only pictures that a person has named can prove a systematic error, and there are none yet" in said
    assert "<article" not in content and "the name changed under the mask" in said
    assert "Every file could be read." in said
    assert "nan" not in said.lower().split() and "None" not in said.split()


def test_errors_that_no_slice_explains_are_shown_too(tmp_path: Path) -> None:
    """A small audit proves nothing, and still has pictures to look at."""
    frames = planted_frames(n_events=12, label_share=1)
    for frame in frames:
        frame.called = frame.final = frame.true
    wrong = "Orso" if frames[0].true != "Orso" else "Tau"
    frames[0].called, frames[0].final, frames[0].is_masked = wrong, wrong, True
    world = build_world(tmp_path, frames, broken=False)
    content = section(written(world), "systematic")
    assert "Wrong names, one by one" in content and content.count("<img") == 3
    assert f"called {wrong} ({100 * frames[0].probability:.0f} %), truly {frames[0].true}" in text(content)


def test_shade_of_a_camera_needs_events(tmp_path: Path) -> None:
    frames = planted_frames(n_events=30, label_share=1)
    for frame in frames:
        frame.camera = "few" if frame.event == frames[0].event else "many"
        frame.called = frame.final = "Tau" if frame.true != "Tau" else "Luna"
    content = section(written(build_world(tmp_path, frames, broken=False, has_pictures=False)), "cameras")
    shade = {
        name: re.findall(r"heat-(\d)", content.split(f"<bdi>{name}</bdi>")[1].split("</tr>")[0])[-1]
        for name in ("few", "many")
    }
    assert shade == {"few": "1", "many": "4"}


def test_all_right(tmp_path: Path) -> None:
    frames = planted_frames(n_events=15)
    for frame in frames:
        frame.called = frame.final = frame.true
    said = text(written(build_world(tmp_path, frames, broken=False, has_pictures=False)))
    assert "No error at all among" in said and "No labelled individual has a wrong name." in said


def test_all_wrong(tmp_path: Path) -> None:
    frames = planted_frames(n_events=15, label_share=1)
    for frame in frames:
        frame.called = frame.final = "Tau" if frame.true != "Tau" else "Luna"
    said = text(written(build_world(tmp_path, frames, broken=False, has_pictures=False)))
    assert "15 of them hold a wrong name" in said and "100 % of events" in said


def test_one_label(tmp_path: Path) -> None:
    frames = planted_frames(n_events=10, label_share=0)
    frames[0].is_labelled = True
    said = text(written(build_world(tmp_path, frames, broken=False, has_pictures=False)))
    assert "among 1 labelled event." in said or "of 1 labelled event " in said


def test_before_any_snapshot(tmp_path: Path) -> None:
    world = build_world(tmp_path, planted_frames(n_events=5), broken=False, has_pictures=False, reports=0)
    said = text(written(world))
    assert "no snapshot yet" in said and "This is the first report" in said


def test_an_audit_of_schema_version_1_is_read(tmp_path: Path) -> None:
    """Its runs have no column `model_input`."""
    world = build_world(tmp_path, planted_frames(n_events=5), broken=False, has_pictures=False, reports=0)
    (runs,) = Path(world.out).glob("runs/*/*.parquet")
    pq.write_table(pq.ParquetFile(runs).read().drop_columns(["model_input"]), runs)
    (commit,) = Path(world.out).glob("commits/*.json")
    assert json.loads(commit.read_text())["schema_version"] == 1
    refresh_report_tables(world.out, world.config)
    assert f"<dt>named</dt><dd>{len(world.frames)}</dd>" in written(world)


def test_every_file_quarantined(tmp_path: Path) -> None:
    world = build_world(tmp_path, [], reports=1)
    said = text(written(world))
    assert "EMPTY.JPG empty 0 bytes" in said and "quarantined 2" in said


def test_no_audit(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no audit"):
        write_report(str(tmp_path / "nothing"), AuditConfig())
    assert not (tmp_path / "nothing").exists()


def test_what_is_new(tmp_path: Path) -> None:
    world = build_world(tmp_path, planted_frames(n_events=6), broken=False, has_pictures=False, reports=0)
    names = ("fresh", "grown", "shrunk", "lost", "same")
    first = [made_slice(name, 20, 4.0) for name in names[1:]]
    snapshot(world, first, 1)
    second = [made_slice(name, 20, 4.0) for name in names]
    for row, trend in zip(second, ("new", "growing", "shrinking", "gone", "steady")):
        row["trend"] = trend
    second[3]["is_systematic"] = False
    snapshot(world, second, 2)
    content = written(world)
    said = text(section(content, "new"))
    assert "Since the report of 2026-06-01 06:00 UTC: no new batch." in said
    assert "new Camera fresh: 20 of 40 visits wrong" in said and "gone Camera lost: no longer systematic" in said
    assert "growing Camera grown" in said and "shrinking Camera shrunk" in said and "Camera same" not in said
    cards = section(content, "systematic")
    assert "Rate in the reports so far: 50 % → 50 %." in text(cards) and 'id="slice-lost"' not in cards


def test_new_batches_are_counted_from_the_report_before(tmp_path: Path) -> None:
    world = build_world(tmp_path, planted_frames(n_events=6), broken=False, has_pictures=False, reports=0)
    refresh_report_tables(world.out, world.config, now=datetime(2026, 5, 30, 2, tzinfo=UTC))
    commit_world(world, model="cd" * 32, run="run-2", hour=3)
    refresh_report_tables(world.out, world.config, now=datetime(2026, 5, 30, 4, tzinfo=UTC))
    said = text(written(world))
    assert f"Since the report of 2026-05-30 02:00 UTC: 1 batch with {len(world.frames)} pictures" in said
    assert "5e1f5e1f5e1f" in said and "cdcdcdcdcdcd" in said
    n_labelled = sum(frame.is_labelled for frame in world.frames)
    change = "Against model 5e1f5e1f5e1f, model cdcdcdcdcdcd corrects"
    assert f"{change} 0 and breaks 0 of {n_labelled} labelled names that both gave." in said


def test_a_better_model_corrects(tmp_path: Path) -> None:
    frames = planted_frames(n_events=12, label_share=1)
    for frame in frames[:5]:
        frame.called = "Orso" if frame.true != "Orso" else "Tau"
    world = build_world(tmp_path, frames, broken=False, has_pictures=False, reports=0)
    wrong = sum(frame.called != frame.true for frame in frames)
    for frame in frames:
        frame.called = frame.final = frame.true
    commit_world(world, model="cd" * 32, run="run-2", hour=3)
    refresh_report_tables(world.out, world.config, now=datetime(2026, 5, 30, 4, tzinfo=UTC))
    said = text(written(world))
    assert f"corrects {wrong} and breaks 0 of {len(frames)} labelled names" in said


HOSTILE = '"><script>alert(1)</script>&amp;{{7*7}}'


def test_hostile_names_are_text(tmp_path: Path) -> None:
    frames = planted_frames(n_events=60)
    for frame in frames:
        for field in ("true", "called", "final"):
            setattr(
                frame, field, getattr(frame, field).replace("Nyx", HOSTILE).replace("Luna", "<img src=x onerror=y>")
            )
        frame.camera = f"{frame.camera}</style><b>"
        frame.file = frame.file.replace("IMG", "<svg onload=1>'\"")
    content = written(build_world(tmp_path, frames, broken=False, has_pictures=False))
    assert HOSTILE.replace("<script>", "").replace("</script>", "") in text(content).replace("<script>", "").replace(
        "</script>", ""
    )
    for part in ("<script", "<img src=x", "<svg onload", "</style><b>"):
        assert part not in content.split("</style>", 1)[1], part


def test_ten_thousand_individuals_and_many_of_everything(tmp_path: Path) -> None:
    frames = planted_frames(n_events=10_000, label_share=1)
    for number, frame in enumerate(frames):
        frame.true = f"animal-{number % 10_000:05d}"
        frame.called = frame.true if number % 5 else f"animal-{(number + 1) % 10_000:05d}"
        frame.final, frame.is_masked, frame.camera = frame.called, False, f"K{number % 400}"
    world = build_world(tmp_path, frames, broken=False, has_pictures=False, reports=0)
    snapshot(world, [made_slice(f"s{number:04d}", 10, 3.0) for number in range(700)])
    refresh = [made_slice(f"s{number:04d}", 10, 3.0) for number in range(700)]
    store = AuditStore(world.out)
    from scd_core.audit.errors.derive import derive_errors

    store.write_table(
        "errors", derive_errors(world.out, world.config, "r2"), datetime(2026, 6, 2).date(), "20260602T060000-1"
    )
    store.write_table(
        "error_slices", table_from_rows("error_slices", refresh), datetime(2026, 6, 2).date(), "20260602T060000-1"
    )
    content = written(world)
    limits = Limits()
    assert len(content) < 1_000_000
    assert content.count("<article") == limits.slices
    said = text(content)
    assert f"and {700 - limits.slices} more systematic errors" in said
    assert f"and {400 - limits.cameras} more cameras" in said and "more pairs" in said
    assert section(content, "cameras").count('<th scope="row">') == limits.cameras


def test_page_stays_below_five_megabytes(tmp_path: Path) -> None:
    """Many slices with large, noisy pictures: the room for pictures is shared out, first one each."""
    frames = planted_frames(n_events=90)
    world = build_world(tmp_path, frames, broken=False, reports=0)
    rng = np.random.default_rng(0)
    noisy = Image.fromarray(rng.integers(0, 255, (900, 1400, 3)).astype(np.uint8))
    sink = io.BytesIO()
    noisy.save(sink, "JPEG", quality=90)
    for frame in frames:
        (world.source / frame.file).write_bytes(sink.getvalue())
    shutil.rmtree(world.out)
    commit_world(world)
    label_world(world)
    refresh_report_tables(world.out, world.config, now=datetime(2026, 6, 1, tzinfo=UTC))
    suspects = read_table(world.out, "errors")["media_id"].tolist()
    assert len(suspects) >= 15
    rows = [made_slice(f"s{n}", 10, 3.0) | {"example_media_ids": suspects[n : n + 3]} for n in range(12)]
    store = AuditStore(world.out)
    errors = store.read("errors")
    store.write_table("errors", errors, datetime(2026, 6, 2).date(), "20260602T060000-1")
    store.write_table(
        "error_slices", table_from_rows("error_slices", rows), datetime(2026, 6, 2).date(), "20260602T060000-1"
    )
    content = written(world)
    assert len(content.encode()) < 5_000_000
    assert content.count("<img") >= 12


def test_rewriting_is_the_same_page(world: World) -> None:
    assert written(world) == written(world)


def test_titles_of_slices() -> None:
    assert slice_title({"true_id": "luna"}) == "luna"
    assert slice_title({"flank": "left", "light": "infrared"}) == "Left flank, infrared pictures"
    assert slice_title({"light": "night"}) == "Night pictures without infrared"


def test_nothing_but_flagged_pictures_labelled_is_said(tmp_path: Path) -> None:
    builder = AuditBuilder(tmp_path / "audit")
    for number in range(6):
        name = "Nyx" if number % 2 else "Luna"
        builder.predict(f"flagged{number}.jpg", name, 0.4, flag_reasons=["low_probability"])
    builder.predict("control.jpg", "Luna", inclusion_probability=0.05, is_control=True)
    out = builder.write()
    label(out, tmp_path, {f"flagged{number}.jpg": "Luna" for number in range(6)})
    for n_controls, is_said in ((0, True), (1, False)):
        if n_controls:
            label(out, tmp_path, {"control.jpg": "Luna"}, name="control.csv")
        refresh_report_tables(out, now=datetime(2026, 6, 1, 6, n_controls, tzinfo=UTC))
        write_report(out, AuditConfig())
        said = (Path(out) / "report" / "index.html").read_text("utf-8")
        assert ("Only flagged pictures are labelled" in said) is is_said
