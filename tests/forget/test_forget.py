"""What `trapaudit forget` chooses and removes, kind by kind, and what does not come back."""

from __future__ import annotations

import io
import json
import shutil
import threading
from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from deployments.cli.main import app
from scd_core.audit import read_table
from scd_core.audit.forget.forget import choose_forgotten, forget_chosen
from scd_core.audit.improvements import ImprovementRecord, read_improvements, write_improvements
from scd_core.audit.labels.importing import import_labels
from scd_core.audit.query.connection import run_sql
from scd_core.audit.report.refresh import refresh_report_tables
from scd_core.audit.review.answers import Answer
from scd_core.audit.review.session import ReviewSession
from scd_core.errors import InputError, RunError
from scd_core.inputs.counts import FileCounts, counts_as_json
from scd_core.label_names import LabelState
from scd_core.names import ForgetBy
from scd_core.tables.commit import write_batch
from scd_core.tables.forgetting import Forgotten
from scd_core.tables.schema import table_from_rows
from scd_core.tables.store import AuditStore
from scd_core.tables.tombstones import Medium, read_tombstones, write_tombstone
from tests.audit.audit_builder import AuditBuilder, label, write_csv
from tests.forget.traces import traces


def build(out: Path) -> str:
    """Two batches of three cameras: labelled, masked, reported twice, with a label that waits and examples of what was given."""
    inputs = counts_as_json(
        [FileCounts("flags", "f.csv", 2, 1, waiting=1, examples=("C01/a.jpg fits no picture", "x"))]
    )
    for batch, files in (
        ("b1", ("C01/a.jpg", "C01/b.jpg", "C02/c.jpg")),
        ("b2", ("C03/d.jpg", "C03/e.jpg", "C02/f.jpg")),
    ):
        builder = AuditBuilder(out, batch, inputs=inputs, individuals=["Ama", "Bo"])
        for place, file in enumerate(files):
            at = datetime(2026, 2 if batch == "b1" else 3, 1 + place, 12)
            builder.media(file, camera=file[:3], at=at, size_bytes=100 + place)
            builder.mask(builder.predict(file, "Ama" if place else "Bo", new_media=False))
        builder.write()
    label(out, out.parent, {"C01/a.jpg": "Ama", "C01/b.jpg": "Bo", "C03/d.jpg": "Ama", "C09/later.jpg": "Bo"})
    for _ in range(2):
        refresh_report_tables(str(out))
    return str(out)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> str:
    return build(tmp_path_factory.mktemp("built") / "out")


@pytest.fixture
def out(built: str, tmp_path: Path) -> str:
    """A copy of the audit; each test changes its own."""
    return str(shutil.copytree(built, tmp_path / "out"))


def forget(out: str, option: str, *values: str) -> Forgotten:
    """What the command does, without its report."""
    return forget_chosen(out, choose_forgotten(out, ForgetBy(option.removeprefix("--")), values))


def forget_by_command(out: str, *options: str) -> str:
    done = CliRunner().invoke(app, ["forget", out, *options])
    assert done.exit_code == 0, done.output
    return done.output


CHOICES = {
    "media": (["--media", "id-C01/a.jpg"], {"C01/a.jpg"}),
    "file": (["--file", "C01/*"], {"C01/a.jpg", "C01/b.jpg"}),
    "address": (["--file", "s3://cards/C03/d.jpg"], {"C03/d.jpg"}),
    "camera": (["--camera", "C03"], {"C03/d.jpg", "C03/e.jpg"}),
    "batch": (["--batch", "b1"], {"C01/a.jpg", "C01/b.jpg", "C02/c.jpg"}),
    "before": (["--before", "2026-02-02"], {"C01/a.jpg"}),
    "several": (["--file", "*a.jpg", "*f.jpg"], {"C01/a.jpg", "C02/f.jpg"}),
    "all": (["--file", "*"], {"C01/a.jpg", "C01/b.jpg", "C02/c.jpg", "C03/d.jpg", "C03/e.jpg", "C02/f.jpg"}),
}


@pytest.mark.parametrize("choice", CHOICES)
def test_what_is_chosen_is_gone_from_every_byte_and_the_rest_stays(out, choice):
    options, expected = CHOICES[choice]
    before = {table: read_table(out, table) for table in ("media", "predictions", "masks", "labels")}
    assert traces(Path(out), *expected)
    forget(out, *options)
    assert traces(Path(out), *expected) == []
    kept = set(before["media"]["file"]) - expected
    if not kept:
        assert not any("media" in one["files"] for one in AuditStore(out).committed().values())
        return
    for table in ("media", "predictions", "masks"):
        rows = before[table]
        wanted = rows[rows["media_id"].isin({f"id-{file}" for file in kept})]
        assert read_table(out, table).equals(wanted.reset_index(drop=True)), table
    runs = read_table(out, "runs").set_index("batch_key")["n_media"].dropna()
    left = read_table(out, "media").groupby("batch_key").size()
    assert runs.to_dict() == {key: left.get(key, 0) for key in runs.index}, "counts are of the rows that are left"
    assert "C09/later.jpg" in set(read_table(out, "labels")["file"])


def test_a_camera_that_is_gone_is_no_slice_of_any_report_and_no_picture_of_it_an_example(out):
    store, day = AuditStore(out), date(2026, 3, 3)
    rows = [
        {"report_id": "r0", "slice_id": camera, "slice": [("camera_id", camera)], "example_media_ids": examples}
        for camera, examples in (("C01", ["id-C01/a.jpg"]), ("C02", ["id-C01/b.jpg", "id-C02/c.jpg"]))
    ]
    store.write_table("error_slices", table_from_rows("error_slices", rows), day, "r0")
    store.write_table("errors", table_from_rows("errors", []), day, "r0")
    forget(out, "--camera", "C01")
    history = "SELECT slice_id, example_media_ids FROM error_slices_history WHERE report_id = 'r0'"
    assert run_sql(out, history).fetchall() == [("C02", ["id-C02/c.jpg"])]


def test_what_was_expected_of_a_camera_that_is_gone_goes_with_it(out):
    figures = (24, 0.3, 0.88, 0.79, 0.94, 0.58, 0.3, 0.8)
    for camera in ("C01", "C02"):
        made = datetime(2026, 3, 4, tzinfo=UTC)
        write_improvements(out, [ImprovementRecord(f"i-{camera}", made, "m", None, "box_crop", camera, *figures)])
    forget(out, "--camera", "C01")
    assert [one.camera_id for one in read_improvements(AuditStore(out))] == ["C02"]


def test_a_dry_run_changes_no_byte(out):
    before = {path: path.read_bytes() for path in Path(out).rglob("*") if path.is_file()}
    said = forget_by_command(out, "--file", "C01/*", "--dry-run")
    assert "C01/a.jpg" in said and "2 pictures in 1 batch\n" in said
    assert {path: path.read_bytes() for path in Path(out).rglob("*") if path.is_file()} == before


def test_the_command_draws_the_report_of_what_is_left(out):
    said = forget_by_command(out, "--file", "C01/a.jpg", "--file", "C03/*")
    assert "removed: " in said and "report: " in said
    assert traces(Path(out), "C01/a.jpg", "C03/") == []
    page = (Path(out) / "report" / "index.html").read_text()
    assert "C01/b.jpg" in page and len(read_table(out, "errors")) > 0
    assert "nothing was to be removed" in forget_by_command(out, "--camera", "C03")
    assert "no picture is left" in forget_by_command(out, "--file", "*")


def test_one_kind_of_choice_is_given(out):
    for options in ([], ["--camera", "C01", "--batch", "b1"]):
        done = CliRunner().invoke(app, ["forget", out, *options])
        assert done.exit_code != 0 and "give one of" in str(done.exception)
    done = CliRunner().invoke(app, ["forget", out, "--before", "yesterday"])
    assert "is no date" in str(done.exception)


def test_labels_of_what_was_forgotten_do_not_come_back(out, tmp_path):
    forget(out, "--file", "C01/a.jpg")
    file = write_csv(tmp_path / "again.csv", [{"file": r"D:\cards\C01\A.JPG", "individual_id": "Ama"}])
    assert import_labels(out, file).n_rows == 0
    assert (
        import_labels(out, write_csv(tmp_path / "labels.csv", [{"file": "C01/a.jpg", "individual_id": "Ama"}])).n_rows
        == 0
    )
    other = write_csv(tmp_path / "other.csv", [{"file": "C02/a.jpg", "individual_id": "Ama"}])
    assert import_labels(out, other).n_waiting == 1, "a picture of that name elsewhere is another one"
    assert traces(Path(out), "C01/a.jpg", "A.JPG") == []


def test_a_label_that_waits_is_forgotten_by_its_file(out):
    forget(out, "--file", "*later.jpg")
    assert traces(Path(out), "later.jpg") == []
    assert len(read_table(out, "labels")) == 3


def test_a_batch_whose_files_were_deleted_by_hand_is_forgotten_whole(out):
    for path in Path(out).glob("*/batch_date=*/b1.parquet"):
        path.unlink()
    forget(out, "--batch", "b1")
    assert traces(Path(out), "C01/a.jpg", "C01/b.jpg", "C02/c.jpg") == []
    assert len(read_table(out, "media")) == 3


def test_the_receipt_names_nothing_and_counts_everything(out):
    forget(out, "--camera", "C01")
    receipt = json.loads((Path(out) / "forgotten" / "000001.json").read_text())
    assert receipt["rows"] | {"errors": 0, "error_slices": 0} == {
        "media": 2, "predictions": 2, "masks": 2, "reclassifications": 2, "labels": 2, "errors": 0, "error_slices": 0,
    }  # fmt: skip
    forget(out, "--camera", "C03")
    assert (Path(out) / "forgotten" / "000002.json").is_file() and traces(Path(out), "C03/", "C01/") == []
    assert len(read_table(out, "media")) == 2


def test_a_tombstone_knows_a_picture_by_its_id_and_by_path_and_size(tmp_path):
    store = AuditStore(str(tmp_path))
    write_tombstone(store, [Medium("m1", "C01/a.jpg", 10), Medium("m2", "C01/gone.jpg", None)])
    stones = read_tombstones(store)
    assert stones.has_medium("m1") and stones.has_medium("m9", "C01/a.jpg", 10)
    assert not stones.has_medium("m9", "C01/a.jpg", 11), "another picture that has the path now"
    assert stones.has_medium("m9", "C01/gone.jpg", 123), "what was missing is meant by its name"
    assert traces(tmp_path, "a.jpg", "gone.jpg") == []


SIZES = "SELECT (SELECT count(*) FROM media), (SELECT count(*) FROM masks), (SELECT count(*) FROM labels)"


def test_readers_see_all_of_a_picture_or_nothing_of_it(out):
    """Readers in a loop while half of the audit is forgotten."""
    seen, failed, ended = set(), [], threading.Event()

    def read() -> None:
        while not ended.is_set():
            try:
                seen.add(run_sql(out, SIZES).fetchall()[0])
                AuditStore(out).read("masks")
            except Exception as error:  # noqa: BLE001 - whatever a reader meets fails the test
                failed.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    forget(out, "--file", "C01/*")
    ended.set()
    reader.join()
    assert failed == []
    assert seen <= {(6, 6, 4), (4, 4, 2)}


def test_what_another_forgets_at_the_same_time_is_forgotten_too(out):
    started = [threading.Thread(target=forget, args=(out, "--camera", camera)) for camera in ("C01", "C03")]
    for thread in started:
        thread.start()
    for thread in started:
        thread.join()
    assert traces(Path(out), "C01/", "C03/") == []
    assert set(read_table(out, "media")["file"]) == {"C02/c.jpg", "C02/f.jpg"}


def test_files_of_a_generation_that_was_never_finished_count_for_nobody(out):
    store = AuditStore(out)
    rows = table_from_rows("labels", store.read("labels").to_pylist())
    (file,) = store.committed_files("labels")
    store.rewrite_table("labels", pa.concat_tables([rows, rows]), file, "g000001-00ff00ff")
    assert len(read_table(out, "labels")) == 4
    forget(out, "--camera", "C01")
    assert not list(Path(out).rglob("*g000001-00ff00ff*"))


def test_an_out_that_was_copied_after_forgetting_is_read_alike(out, tmp_path):
    forget(out, "--camera", "C01")
    shutil.copytree(out, tmp_path / "copy")
    assert read_table(str(tmp_path / "copy"), "media").equals(read_table(out, "media"))


def test_a_batch_that_is_committed_after_a_picture_of_it_was_forgotten_has_no_row_of_it(out):
    """A run had listed the picture before; its commit finds the tombstone."""
    write_tombstone(AuditStore(out), [Medium("id-C05/new.jpg", "C05/new.jpg", 5)])
    builder = AuditBuilder(out, "b3")
    for file in ("C05/new.jpg", "C05/other.jpg"):
        builder.media(file, size_bytes=5, etag="")
        builder.predict(file, "Ama", new_media=False, is_selected=False)
    tables = {table: table_from_rows(table, rows) for table, rows in builder.tables.items()}
    tables = {table: rows.drop_columns(list(builder.stamp)) for table, rows in tables.items()}
    run = {"run_id": "r3", "model_digest": "m1", "config_digest": "c1"}
    write_batch(out, tables, date(2026, 3, 5), "b3", run)
    assert "C05/other.jpg" in set(read_table(out, "media")["file"])
    assert traces(Path(out), "C05/new.jpg") == []


def test_an_out_on_s3_forgets_as_one_on_a_disk_does(bucket):
    """The same steps through the object store: create-only puts, listings and deletions."""
    out = f"s3://{bucket}/audit"
    for batch, file in (("b1", "C01/a.jpg"), ("b2", "C02/b.jpg")):
        builder = AuditBuilder(out, batch)
        builder.media(file, camera=file[:3], size_bytes=7)
        builder.mask(builder.predict(file, "Ama", new_media=False))
        builder.write()
    refresh_report_tables(out)
    done = forget(out, "--camera", "C01")
    assert done.rows["media"] == 1 and len(read_table(out, "media")) == 1
    store = AuditStore(out)
    for file in store.files():
        data = store.get_file(file) or b""
        assert b"C01/a.jpg" not in data and "b1.parquet" not in file, file
        if file.endswith(".parquet"):
            assert "C01/a.jpg" not in repr(pq.read_table(io.BytesIO(data)).to_pylist()), file
    assert not forget(out, "--camera", "C01").rows


def test_an_answer_about_a_picture_that_was_forgotten_meanwhile_is_refused(out):
    """A review that was open before holds its rows in memory."""
    with closing(ReviewSession(out)) as session:
        target = session.next_items("next", 50, "Ann")[0]["target_id"]
        forget(out, "--media", target)
        with pytest.raises(InputError, match="was forgotten"):
            session.write([Answer(target, "Bo", LabelState.NAMED)], "Ann")
    assert traces(Path(out), target) == []


def test_that_candidates_were_merged_stays_known_where_all_pictures_of_the_batch_go(out):
    """Such a row is of no picture; without it the next night would take one unknown animal for two."""
    builder = AuditBuilder(out, "b4")
    builder.media("C07/z.jpg", camera="C07", size_bytes=3, etag="")
    builder.predict("C07/z.jpg", "Ama", new_media=False, is_selected=False)
    one = {**builder.stamp, "version": 2, "embedding_space": "s"}
    of_picture = {"media_id": "id-C07/z.jpg", "target_id": "id-C07/z.jpg"}
    candidates = [
        one | {"candidate_id": "k1", "change": "merged", "merged_into": "k0"},
        one | {"candidate_id": "k0", "change": "new"} | of_picture,
    ]
    given = {table: builder.tables[table] for table in ("media", "predictions")} | {"candidates": candidates}
    rows = {table: table_from_rows(table, found) for table, found in given.items()}
    tables = {table: found.drop_columns(list(builder.stamp)) for table, found in rows.items()}
    write_batch(out, tables, date(2026, 3, 6), "b4", {"run_id": "r4", "model_digest": "m1", "config_digest": "c1"})
    forget(out, "--batch", "b4")
    left = read_table(out, "candidates")
    assert left["candidate_id"].tolist() == ["k1"] and traces(Path(out), "C07/z.jpg") == []


def test_a_copy_of_the_same_bytes_keeps_its_label(tmp_path):
    """The copy was not to be forgotten; its rows go, since they rest on the other one, and the next run audits it."""
    out = tmp_path / "out"
    builder = AuditBuilder(out, individuals=["Ama", "Bo"])
    first = builder.predict("C01/a.jpg", "Ama")
    builder.media("C02/copy.jpg", camera="C02", status="duplicate", duplicate_of=builder.tables["media"][0]["media_id"])
    builder.predict("C03/b.jpg", "Bo")
    builder.write()
    label(out, tmp_path, {"C01/a.jpg": "Ama", "C02/copy.jpg": "Bo", "C03/b.jpg": "Bo"})
    assert first
    done = forget(str(out), "--file", "C01/a.jpg")
    assert done.n_copies == 1 and done.rows["labels"] == 1
    left = read_table(str(out), "labels")
    copy = builder.tables["media"][1]["media_id"]
    assert dict(zip(left["file"], left["media_id"], strict=True)) == {"C02/copy.jpg": copy, "C03/b.jpg": "id-C03/b.jpg"}


def test_a_damaged_file_of_labels_has_its_own_way_out(out):
    (file,) = AuditStore(out).committed_files("labels")
    (Path(out) / file).write_bytes(b"no table")
    with pytest.raises(RunError, match="import its labels again") as raised:
        read_table(out, "labels")
    assert "repair" not in str(raised.value)
