"""Whole runs while SOURCE changes under them: what vanished or changed has its row, and is picked up next time."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass

import fsspec
import pytest

import flows.audit as flow
from scd_core.tables.store import AuditStore
from tests.faults.conftest import FAST, MODEL
from tests.services.audits import audit
from tests.services.pictures import encode, photo
from tests.services.servers import at, new_bucket

pytestmark = pytest.mark.timeout(1800)
NAMES = ("a b+c.jpg", "100%25#1?.jpg", "🐆/café.jpg", "gone.jpg", "changed.jpg")


@dataclass
class Place:
    """A SOURCE and an OUT, and how another program writes and removes objects there."""

    root: str
    put: Callable[[str, bytes], object]
    remove: Callable[[str], object]


@pytest.fixture(params=["memory", "ceph", *(pytest.param(name, marks=pytest.mark.slow) for name in ("disk", "moto"))])
def place(request, tmp_path):
    if request.param in ("memory", "disk"):
        fs = fsspec.filesystem("memory" if request.param == "memory" else "file")
        top = f"/{uuid.uuid4().hex}" if request.param == "memory" else str(tmp_path)

        def put(name, data):
            fs.makedirs(f"{top}/{name}".rpartition("/")[0], exist_ok=True)
            fs.pipe_file(f"{top}/{name}", data)

        root = f"memory:/{top}" if request.param == "memory" else f"file://{top}"
        yield Place(root, put, lambda name: fs.rm_file(f"{top}/{name}"))
        if request.param == "memory":
            fs.rm(top, recursive=True)
        return
    with at(request.getfixturevalue(request.param)) as server:
        bucket, client = new_bucket(server), server.client()
        yield Place(
            f"s3://{bucket}",
            lambda name, data: client.put_object(Bucket=bucket, Key=name, Body=data),
            lambda name: client.delete_object(Bucket=bucket, Key=name),
        )


def test_what_vanished_or_changed_under_a_run_has_its_row_and_is_audited_next_time(place, monkeypatch):
    for number, name in enumerate(NAMES):
        place.put(f"card/{name}", encode(photo(96, 64, seed=number)))
    source, out = f"{place.root}/card", f"{place.root}/out"

    def run() -> flow.AuditResult:
        return audit(source, MODEL, out, FAST, report=False)

    def rows() -> list[tuple[str, str]]:
        return sorted(zip(*(AuditStore(out).read("media")[name].to_pylist() for name in ("file", "status"))))

    real = flow.plan_job

    def meanwhile(job, objects):
        planned = real(job, objects)
        place.remove("card/gone.jpg")
        place.put("card/changed.jpg", encode(photo(128, 64, seed=50)))
        return planned

    with monkeypatch.context() as patch:
        patch.setattr(flow, "plan_job", meanwhile)
        assert run().batches[0]["counts"]["n_quarantined"] == 2
    odd = [(name, "ok") for name in NAMES[:3]]
    first = sorted([*odd, ("gone.jpg", "missing"), ("changed.jpg", "missing")])
    assert rows() == first
    assert run().batches[0]["counts"]["n_media"] == 1
    assert rows() == sorted([*first, ("changed.jpg", "ok")])
    assert run().batches == [], "and then there is nothing to do"
    place.put("card/gone.jpg", encode(photo(96, 64, seed=3)))
    assert run().batches[0]["counts"]["n_ok"] == 1
    assert rows() == sorted([*first, ("changed.jpg", "ok"), ("gone.jpg", "ok")])
    named = AuditStore(out).read("predictions")["media_id"].to_pylist()
    assert len(named) == len(set(named)) == 5
