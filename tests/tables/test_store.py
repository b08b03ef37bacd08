"""OUT: create-only tables and commits, the first writer's rows for everyone, kept shards, plain errors."""

from __future__ import annotations

import io
import os
import threading
import uuid
from dataclasses import replace
from datetime import date
from pathlib import Path

import duckdb
import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scd_core.errors import InputError, RunError
from scd_core.tables.done import done_media
from scd_core.tables.schema import TABLES, table_from_rows, table_schema
from scd_core.tables.shards import drop_work, load_shard, save_shard
from scd_core.tables.store import AuditStore
from tests.services.servers import at, new_bucket

DAY = date(2024, 5, 3)


def media(*names: str) -> pa.Table:
    return table_from_rows("media", [{"media_id": name, "file": f"{name}.jpg", "status": "ok"} for name in names])


def finish(store: AuditStore, key: str, *names: str, model: str = "m", config: str = "c") -> bool:
    path = store.write_table("media", media(*names), DAY, key)
    content = {"model_digest": model, "config_digest": config, "batch_date": DAY.isoformat(), "files": {"media": path}}
    return store.commit(key, content)


@pytest.fixture(params=["disk", "memory", "moto", "ceph"])
def store(request, tmp_path):
    if request.param == "disk":
        yield AuditStore(str(tmp_path / "out"))
    elif request.param == "memory":
        name = f"out-{uuid.uuid4().hex}"
        yield AuditStore(f"memory://{name}")
        fsspec.filesystem("memory").rm(f"/{name}", recursive=True)
    else:
        with at(request.getfixturevalue(request.param)) as server:
            yield AuditStore(f"s3://{new_bucket(server)}/audit")


def test_a_batch_from_opening_to_commit(store):
    store.check_writable()
    assert store.open_batch("k1", "run-a") == "run-a"
    assert store.commit_of("k1") is None and store.committed() == {}
    path = store.write_table("media", media("a", "b"), DAY, "k1")
    assert path == "media/batch_date=2024-05-03/k1.parquet"
    assert store.committed_files("media") == [] and store.read("media").num_rows == 0, "rows count before the commit"
    assert finish(store, "k1", "a", "b")
    assert store.committed_keys() == {"k1"} and list(store.committed()) == ["k1"]
    assert store.committed_files("media") == [path]
    assert store.read("media", ["media_id"])["media_id"].to_pylist() == ["a", "b"]
    assert done_media(store, "m", "c").ids.has(["a", "b", "c"]).tolist() == [True, True, False]
    assert len(done_media(store, "other", "c")) == len(done_media(store, "m", "other")) == 0


def test_the_first_writer_stands_and_the_second_adopts(store):
    assert store.open_batch("k1", "run-a") == "run-a"
    assert store.open_batch("k1", "run-b") == "run-a"
    assert finish(store, "k1", "a")
    assert store.write_table("media", media("other"), DAY, "k1").endswith("k1.parquet")
    assert not finish(store, "k1", "other")
    assert store.read("media")["media_id"].to_pylist() == ["a"]


def test_kept_shards_come_back_equal_and_go_with_the_commit(store):
    rows = media("a", "b")
    assert load_shard(store, "k1", "classify", "s1") is None
    save_shard(store, "k1", "classify", "s1", rows)
    save_shard(store, "k2", "classify", "s1", media("z"))
    assert load_shard(store, "k1", "classify", "s1").equals(rows)
    assert load_shard(store, "k1", "mask", "s1") is None
    drop_work(store, "k1")
    assert load_shard(store, "k1", "classify", "s1") is None
    assert load_shard(store, "k2", "classify", "s1").num_rows == 1


def test_of_two_runs_that_saw_other_things_the_first_ones_shard_is_what_both_go_on_with(store):
    mine, theirs = media("a"), media("b")
    assert save_shard(store, "k1", "media", "s1", theirs).equals(theirs)
    assert save_shard(store, "k1", "media", "s1", mine).equals(theirs)
    assert save_shard(store, "k1", "media", "s1", theirs).equals(theirs)
    assert load_shard(store, "k1", "media", "s1").equals(theirs)


def test_the_commit_of_another_run_can_be_told(store):
    assert store.commit_of("k1") is None
    finish(store, "k1", "a")
    assert store.commit_of("k1")["files"] == {"media": "media/batch_date=2024-05-03/k1.parquet"}


@pytest.mark.parametrize(
    "damage", [lambda d: d[:-7], lambda d: d[:60], lambda d: b"", lambda d: d[:-9] + b"x" + d[-8:]]
)
def test_a_damaged_shard_is_made_anew(store, damage):
    save_shard(store, "k1", "mask", "s1", media("a"))
    path = store.storage.path("work/k1/mask/s1.shard")
    store.storage.put(path, damage(store.storage.read(path)))
    assert load_shard(store, "k1", "mask", "s1") is None
    save_shard(store, "k1", "mask", "s1", media("a"))
    assert load_shard(store, "k1", "mask", "s1").num_rows == 1


def test_snapshots_imports_and_the_report(store):
    store.write_table("errors", table_from_rows("errors", []), DAY, "r1")
    store.write_table("labels", table_from_rows("labels", [{"import_id": "i1", "individual_id": "Ada"}]), DAY, "i1")
    assert store.committed_files("errors") == ["errors/report_date=2024-05-03/r1.parquet"]
    assert store.read("labels")["individual_id"].to_pylist() == ["Ada"]
    store.put_file("report/index.html", b"one")
    store.put_file("report/index.html", b"two")
    assert store.storage.read(store.storage.path("report/index.html")) == b"two"
    assert not store.create_file("report/index.html", b"three")


def test_equal_rows_make_equal_bytes(tmp_path):
    files = [AuditStore(str(tmp_path / name)).write_table("media", media("a"), DAY, "k") for name in "xy"]
    assert (tmp_path / "x" / files[0]).read_bytes() == (tmp_path / "y" / files[1]).read_bytes()


@pytest.mark.parametrize("table", sorted(TABLES))
def test_every_table_keeps_its_schema_and_descriptions(table, tmp_path):
    store = AuditStore(str(tmp_path))
    path = store.write_table(table, table_from_rows(table, []), DAY, "k")
    found = pq.read_schema(tmp_path / path)
    expected = table_schema(table)
    assert found.equals(expected) and found.metadata == expected.metadata
    assert [field.metadata for field in found] == [field.metadata for field in expected]
    assert pq.ParquetFile(tmp_path / path).metadata.num_rows == 0


def test_rows_of_another_shape_are_refused(tmp_path):
    store = AuditStore(str(tmp_path))
    wrong = media("a").drop_columns(["width"]).append_column("colour", pa.array(["red"]))
    with pytest.raises(ValueError, match=r"table media: .*width: absent, expected int32.*colour: not a column"):
        store.write_table("media", wrong, DAY, "k")
    assert not list(tmp_path.rglob("*.parquet"))


def test_a_file_of_an_older_schema_reads_with_nulls(tmp_path):
    store = AuditStore(str(tmp_path))
    finish(store, "k", "a")
    path = tmp_path / store.committed_files("media")[0]
    sink = io.BytesIO()
    pq.write_table(pq.read_table(path, partitioning=None).drop_columns(["sharpness"]), sink)
    path.write_bytes(sink.getvalue())
    assert store.read("media")["sharpness"].to_pylist() == [None]


def test_a_commit_names_only_files_that_are_there(tmp_path):
    store = AuditStore(str(tmp_path))
    content = {
        "model_digest": "m",
        "config_digest": "c",
        "batch_date": "2024-05-03",
        "files": {"media": "media/x.parquet"},
    }
    with pytest.raises(RunError, match="media is not at"):
        store.commit("k", content)
    with pytest.raises(ValueError, match="content lacks files"):
        store.commit("k", {name: "" for name in content if name != "files"})
    assert store.commit_of("k") is None


@pytest.mark.parametrize("name", ["../k", "a/b", "/etc", "", "..", "a\0b", "x" * 200, "~", "k\n"])
def test_no_key_leads_outside_out(tmp_path, name):
    store = AuditStore(str(tmp_path / "out"))
    for write in (
        lambda: store.write_table("media", media("a"), DAY, name),
        lambda: save_shard(store, name, "mask", "s", media("a")),
        lambda: save_shard(store, "k", "mask", name, media("a")),
        lambda: store.open_batch(name, "r"),
        lambda: store.commit(name, {"model_digest": "", "config_digest": "", "batch_date": "", "files": {}}),
        lambda: drop_work(store, name),
        lambda: store.put_file(f"report/{name.replace('a/b', '../b')}", b"x"),
    ):
        with pytest.raises(ValueError, match="no plain file name"):
            write()
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_plain_glob_reads_with_duckdb_and_never_sees_work_or_temporary_files(tmp_path):
    store = AuditStore(str(tmp_path))
    finish(store, "k1", "a", "b")
    save_shard(store, "k2", "media", "s", media("c"))
    found = duckdb.sql(f"select count(*) from read_parquet('{tmp_path}/**/*.parquet')").fetchall()
    assert found == [(2,)]
    names = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    assert names == {"k1.parquet", "k1.json", "s.shard"}


def test_out_on_a_read_only_or_missing_place_is_one_clear_line(tmp_path, ceph):
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match=r"OUT file://.*cannot be written"):
        AuditStore(str(tmp_path / "file" / "out")).check_writable()
    with pytest.raises(InputError, match="cannot be written"):
        AuditStore("/proc/trapaudit-out").check_writable()
    with at(ceph):
        with pytest.raises(InputError, match="there is no bucket absent-bucket"):
            AuditStore("s3://absent-bucket/out").check_writable()
        bucket = new_bucket(ceph)
    refused = pytest.raises(InputError, match=f"AccessDenied: bucket {bucket}; needs s3:PutObject")
    with at(replace(ceph, key="other", secret="other123")), refused:
        AuditStore(f"s3://{bucket}/out").check_writable()


def test_a_server_that_ignores_create_only_puts_is_refused(tmp_path, monkeypatch):
    store = AuditStore(str(tmp_path))
    monkeypatch.setattr(store.storage, "create", lambda path, data: True)
    with pytest.raises(InputError, match="ignores If-None-Match"):
        store.check_writable()


def test_left_over_parts_of_killed_runs_are_swept(tmp_path):
    (tmp_path / ".tmp").mkdir()
    for name, age in (("old.part", 200_000), ("new.part", 10)):
        (tmp_path / ".tmp" / name).write_bytes(b"x")
        moment = Path(tmp_path / ".tmp" / name).stat().st_mtime - age
        os.utime(tmp_path / ".tmp" / name, (moment, moment))
    AuditStore(str(tmp_path)).check_writable()
    assert [path.name for path in (tmp_path / ".tmp").iterdir()] == ["new.part"]


def test_a_shard_is_kept_while_another_run_tidies_its_folder(tmp_path):
    """Two runs at once on a disk: the one that committed removes the empty folders that the other one writes to."""
    mine, theirs = AuditStore(str(tmp_path)), AuditStore(str(tmp_path))
    done = threading.Event()

    def tidy():
        while not done.is_set():
            drop_work(theirs, "k1")

    other = threading.Thread(target=tidy)
    other.start()
    try:
        for number in range(300):
            save_shard(mine, "k1", "mask", f"s{number % 3}", media("a"))
    finally:
        done.set()
        other.join()
