"""Folders in which nothing is expected are not listed every night, and nothing is lost for it."""

from __future__ import annotations

import gzip
import json
import os
import time
from pathlib import Path

import pytest

import scd_core.tables.closed as closed
from scd_core.job import Job, Listed, list_job, plan_job, prepare_job
from scd_core.tables.batches import Batch
from scd_core.tables.schema import table_from_rows
from scd_core.tables.store import AuditStore
from tests.services.audits import request_of

MODEL = Path(__file__).resolve().parents[2] / "scd_core" / "scenes" / "models" / "clean"
AT_ONCE = {"media": {"closed_after": 1e-7}}
"""A folder is closed once nothing was written for 9 ms."""


def put(source: Path, name: str, days_ago: float = 0.0) -> None:
    (source / name).parent.mkdir(parents=True, exist_ok=True)
    (source / name).write_bytes(name.encode())
    moment = time.time() - 86_400 * days_ago
    os.utime(source / name, (moment, moment))


def commit(job: Job, batch: Batch, status: str = "ok") -> None:
    """Commit the media of a batch, as a run would in the end."""
    store = AuditStore(job.request.out)
    rows = [{"media_id": item.media_id, "file": item.file, "status": status} for item in batch.objects]
    path = store.write_table("media", table_from_rows("media", rows), batch.batch_date, batch.batch_key)
    digests = {"model_digest": job.model_digest, "config_digest": job.config_digest}
    store.commit(batch.batch_key, {**digests, "batch_date": batch.batch_date.isoformat(), "files": {"media": path}})


def night(source: object, out: object, settings: dict | None = None, status: str = "ok", **given) -> Listed:
    """List, plan and commit what is new; what was listed."""
    job = prepare_job(request_of(source, MODEL, out, settings, **given))
    listed = list_job(job)
    for batch in plan_job(job, listed.objects):
        commit(job, batch, status)
    return listed


def files(listed: Listed) -> list[str]:
    return [item.file for item in listed.objects]


def test_a_folder_is_closed_by_age_once_all_in_it_is_committed_and_opened_by_hand_or_by_the_week(tmp_path, monkeypatch):
    source, out = tmp_path / "cards", tmp_path / "out"
    for name in ("C1/d1/a.jpg", "C1/d1/sub/b.jpg", "C1/d2/a.jpg", "C2/d1/a.jpg", "C1/flat.jpg"):
        put(source, name, days_ago=0.5 if name.startswith("C1/d2") else 40)
    assert len(night(source, out).objects) == 5
    second = night(source, out)
    assert (second.n_objects, second.n_done, second.n_closed, files(second)) == (5, 5, 0, [])
    assert second.closed_line() is None
    third = night(source, out)
    assert (third.n_objects, third.n_closed, third.n_closed_folders) == (5, 3, 2), "C1/d1 and C2/d1"
    assert third.closed_line() == "2 closed folders were not listed, with 3 committed objects; --all-prefixes lists all"

    for name in ("C1/d1/late.jpg", "C1/d1/sub/deep.jpg"):
        put(source, name, days_ago=39)
    put(source, "C1/d2/late.jpg")
    put(source, "C3/d1/new.jpg", days_ago=100)
    put(source, "C2/loose.jpg", days_ago=100)
    assert files(night(source, out)) == ["C1/d2/late.jpg", "C2/loose.jpg", "C3/d1/new.jpg"]
    assert files(night(source, out, all_prefixes=True)) == ["C1/d1/late.jpg", "C1/d1/sub/deep.jpg"]
    put(source, "C2/d1/very-late.jpg", days_ago=38)
    assert files(night(source, out)) == []
    monkeypatch.setattr(closed, "CHECK_DAYS", 0.0)
    assert files(night(source, out)) == ["C2/d1/very-late.jpg"]
    monkeypatch.setattr(closed, "CHECK_DAYS", 7.0)
    night(source, out)
    last = night(source, out)
    assert last.n_objects == 11 and last.n_closed_folders == 3


def test_a_marker_closes_after_a_quiet_day_and_not_what_came_after_it(tmp_path):
    source, out = tmp_path / "cards", tmp_path / "out"
    for name, picture, marker in (("old", 3.0, 2.0), ("fresh", 0.2, 0.1), ("late", 2.0, 3.0), ("none", 3.0, None)):
        put(source, f"{name}/d/a.jpg", picture)
        if marker is not None:
            put(source, f"{name}/d/_SUCCESS", marker)
    put(source, "deep/d/x/a.jpg", 3.0)
    put(source, "deep/d/x/batch.json", 2.0)
    for _ in range(2):
        night(source, out)
    assert night(source, out).n_closed_folders == 1, "a marker deeper down is of a part of the folder"
    put(source, "old/d/b.jpg")
    put(source, "late/d/b.jpg")
    assert files(night(source, out)) == ["late/d/b.jpg"]


def test_nothing_is_closed_while_a_medium_of_the_folder_waits_or_is_missing(tmp_path):
    source, out = tmp_path / "cards", tmp_path / "out"
    put(source, "C1/d1/a.jpg", 40)
    for _ in range(2):
        night(source, out, status="missing")
    job = prepare_job(request_of(source, MODEL, out))
    assert files(list_job(job)) == ["C1/d1/a.jpg"], "it is looked for again"
    assert not list((out / "closed").glob("*"))


@pytest.mark.parametrize("change", ["commit", "generation", "settings", "damage"])
def test_all_is_listed_again_when_what_it_rests_on_has_changed(tmp_path, change):
    source, out = tmp_path / "cards", tmp_path / "out"
    put(source, "C1/d1/a.jpg", 40)
    for _ in range(2):
        night(source, out)
    (note,) = (out / "closed").iterdir()
    assert night(source, out).n_closed_folders == 1
    settings: dict = {}
    if change == "commit":
        next((out / "commits").iterdir()).unlink()
    elif change == "settings":
        settings = {"media": {"path_template": "{camera_id}"}}
    elif change == "damage":
        note.write_bytes(b"\x1f\x8bhalf")
    else:
        content = json.loads(gzip.decompress(note.read_bytes()))
        note.write_bytes(gzip.compress(json.dumps(content | {"generation": 7}).encode()))
    listed = night(source, out, settings)
    assert listed.n_closed_folders == 0 and listed.n_objects == 1
    assert files(listed) == (["C1/d1/a.jpg"] if change in ("commit", "settings") else [])


def test_what_is_handed_in_is_held_against_all_media_and_no_folder_has_its_name_in_out(tmp_path):
    source, out = tmp_path / "cards", tmp_path / "out"
    put(source, "Trapcam-Nine/d1/a.jpg", 40)
    for _ in range(2):
        night(source, out)
    assert night(source, out).n_closed == 1
    text = (out / "closed").glob("*")
    assert all(b"Trapcam" not in gzip.decompress(path.read_bytes()) for path in text)
    flags = tmp_path / "flags.csv"
    flags.write_text("file,reason\nTrapcam-Nine/d1/a.jpg,look\n")
    listed = list_job(prepare_job(request_of(source, MODEL, out, flags=str(flags))))
    assert listed.n_closed_folders == 0 and listed.joined.inputs[0].joined == 1
    (source / "deployments.csv").write_text("deploymentID\nd1\n")
    assert list_job(prepare_job(request_of(source, MODEL, out))).n_closed_folders == 0
    never = {"media": {"closed_after": None}}
    (source / "deployments.csv").unlink()
    assert list_job(prepare_job(request_of(source, MODEL, out, never))).n_closed_folders == 0


@pytest.mark.parametrize("is_versioned", [False, True])
def test_in_a_bucket_too_and_a_listing_in_parts_gives_what_a_plain_one_does(
    s3_server, bucket, monkeypatch, is_versioned
):
    client = s3_server.client()
    if is_versioned:
        client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    keys = [f"c/{camera}/{place}/{n}.jpg" for camera in "ABC" for place in ("1", "1-x", "1.2") for n in range(3)]
    keys += ["c/A.jpg", "c/A//odd.jpg", "c/A/../odd.jpg", "c/B/loose.jpg", "c/A b+c/100%25#1?/é🐆.jpg", "c/empty/"]
    for key in keys:
        client.put_object(Bucket=bucket, Key=key, Body=key.encode() if not key.endswith("/") else b"")
    if is_versioned:
        client.put_object(Bucket=bucket, Key=keys[0], Body=b"another")
        client.delete_object(Bucket=bucket, Key=keys[1])
    expected = sorted(key[2:] for key in keys if key != "c/empty/" and not (is_versioned and key == keys[1]))
    monkeypatch.setattr("scd_core.storage.s3.PAGE_KEYS", 4)
    out = f"s3://{bucket}-out"
    client.create_bucket(Bucket=f"{bucket}-out")
    job = prepare_job(request_of(f"s3://{bucket}/c", MODEL, out, AT_ONCE))
    listed = list_job(job)
    assert files(listed) == expected
    assert all((item.version_id is not None) == is_versioned for item in listed.objects)
    for batch in plan_job(job, listed.objects):
        commit(job, batch)
    time.sleep(1.1)  # the server's clock counts seconds
    assert list_job(job).n_done == len(expected)
    again = list_job(job)
    n_folders = 9 + 3
    assert (again.n_closed_folders, again.n_objects, files(again)) == (n_folders, len(expected), [])
    client.put_object(Bucket=bucket, Key="c/A/1/late.jpg", Body=b"late")
    client.put_object(Bucket=bucket, Key="c/A/2/new.jpg", Body=b"new")
    assert files(list_job(job)) == ["A/2/new.jpg"]
    everything = job.request.model_copy(update={"all_prefixes": True})
    assert files(list_job(prepare_job(everything))) == ["A/1/late.jpg", "A/2/new.jpg"]
