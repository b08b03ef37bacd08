"""The ingest of the next batch runs beside the masks of the one before, and changes nothing but the time."""

from __future__ import annotations

import threading
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import tasks.ingest
import tasks.mask
from scd_core.audit import read_table
from scd_core.audit.query.connection import run_sql
from scd_core.errors import RunError
from scd_core.scenes import packaged_model
from scd_core.tables.store import AuditStore
from tests.services.audits import audit, request_of

CLEAN = packaged_model("clean")
SETTINGS = {"masks": {"steps": 2}, "triage": {"control_rate": 0.5}, "media": {"shard_size": 4, "batch_size": 12}}
TABLES = ("media", "predictions", "masks", "reclassifications")
TIMELINE = """
SELECT batch_key, max(begun_at) FILTER (stage = 'ingest') AS ingest, max(begun_at) FILTER (stage = 'mask') AS mask,
    any_value(finished_at) AS finished
FROM throughput JOIN runs USING (batch_key) GROUP BY batch_key ORDER BY finished
"""


def rows(out: Path, table: str) -> Any:
    return read_table(str(out), table).drop(columns="run_id").sort_values("media_id", ignore_index=True)


def three(folder: Path, card: Path) -> Path:
    """A SOURCE that makes three batches."""
    pictures = sorted((card / "images").rglob("*.JPG"))[:30]
    for path in pictures:
        place = folder / path.relative_to(card / "images")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(path.read_bytes())
    return folder


def test_a_batch_is_begun_while_the_masks_of_the_one_before_are_made_and_each_medium_is_there_once(card, tmp_path):
    source, out = three(tmp_path / "cards", card), tmp_path / "out"
    result = audit(source, CLEAN, out, SETTINGS, report=False)
    assert [commit["counts"]["n_media"] for commit in result.batches] == [12, 12, 6]
    media = AuditStore(str(out)).read("media")
    assert len(set(media["file"].to_pylist())) == len(media) == 30
    timeline = run_sql(str(out), TIMELINE).fetchall()
    for (_, _, mask, finished), (_, ingest, _, _) in pairwise(timeline):
        assert mask <= ingest < finished, timeline
    shares = run_sql(str(out), "SELECT stage, waits_for_storage, with_model, waits_for_gpu FROM throughput").fetchall()
    for stage, storage, model, slot in shares:
        assert storage + model + slot <= 1.01, shares
        assert storage > 0 and (model > 0) == (stage in ("classify", "mask", "reclassify")), (stage, shares)
    from flows.throughput import throughput_rows

    published = throughput_rows(result.batches)
    assert {row["stage"]: row["with_model"] > 0 for row in published if row["stage"] in ("ingest", "mask")} == {
        "ingest": False, "mask": True,
    }  # fmt: skip
    assert not list(out.glob("work/*/*/*"))


def test_prefect_overlaps_batches_too(card, tmp_path, prefect_server):
    from flows.audit_batch import audit_batch

    source = three(tmp_path / "cards", card)
    audit(source, CLEAN, tmp_path / "threads", SETTINGS, report=False)
    audit_batch(request_of(source, CLEAN, tmp_path / "prefect", SETTINGS, report=False, runner="prefect"))
    for table in TABLES:
        assert rows(tmp_path / "threads", table).equals(rows(tmp_path / "prefect", table)), table
    timeline = run_sql(str(tmp_path / "prefect"), TIMELINE).fetchall()
    assert all(ingest < before[3] for before, (_, ingest, _, _) in pairwise(timeline)), timeline


def test_when_masks_fail_what_was_begun_ends_and_the_next_run_goes_on(card, tmp_path, monkeypatch):
    source, out = three(tmp_path / "cards", card), tmp_path / "out"
    described = threading.Event()

    def describe(*given: Any, **named: Any) -> Any:
        described.set()
        return real(*given, **named)

    def fail(*_: Any) -> Any:
        assert described.wait(300)
        raise RunError("no masks today")

    real = tasks.ingest.describe_objects
    with monkeypatch.context() as patch:
        patch.setattr(tasks.mask, "mask_predictions", fail)
        patch.setattr(tasks.ingest, "describe_objects", describe)
        with pytest.raises(RunError, match="no masks today"):
            audit(source, CLEAN, out, SETTINGS, report=False)
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("ahead")]
    assert not AuditStore(str(out)).committed_keys()
    audit(source, CLEAN, out, SETTINGS, report=False)
    audit(source, CLEAN, tmp_path / "calm", SETTINGS, report=False)
    for table in TABLES:
        assert rows(out, table).equals(rows(tmp_path / "calm", table)), table


def test_when_the_ingest_beside_it_fails_the_batch_before_is_committed_first(card, tmp_path, monkeypatch):
    source, out = three(tmp_path / "cards", card), tmp_path / "out"
    real, seen = tasks.ingest.describe_objects, set[str]()

    def describe(objects: Any, *given: Any) -> Any:
        seen.update(item.file for item in objects)
        if len(seen) > 12:
            raise RunError("the store went away")
        return real(objects, *given)

    with monkeypatch.context() as patch:
        patch.setattr(tasks.ingest, "describe_objects", describe)
        patch.setattr("tasks.work.Work.delay", lambda self, retry: 0.0)
        with pytest.raises(RunError, match="the store went away"):
            audit(source, CLEAN, out, SETTINGS, report=False)
    assert len(AuditStore(str(out)).committed_keys()) == 1
    assert len(audit(source, CLEAN, out, SETTINGS, report=False).batches) == 2
