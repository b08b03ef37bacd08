"""Nights of uploads: each audits what is complete and not committed yet, and a late file makes a small batch."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from scd_core.tables.store import AuditStore
from tests.faults.conftest import FAST, MODEL
from tests.services.audits import audit
from tests.services.pictures import encode, photo

pytestmark = pytest.mark.timeout(1800)
UPLOADS = {"batch_template": "{site_id}/{deployment_id}/{card}", "quiet_seconds": 3600.0}
CONFIG = {**FAST, "media": {**FAST["media"], **UPLOADS}}


def write(path: Path, data: bytes, minutes_ago: float) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    moment = time.time() - 60 * minutes_ago
    os.utime(path, (moment, moment))


def test_three_nights_of_uploads(tmp_path):
    source, out = tmp_path / "cards", str(tmp_path / "audit")

    def night() -> tuple[list[int], int]:
        result = audit(source, MODEL, out, CONFIG, only_complete=True)
        return sorted(commit["counts"]["n_media"] for commit in result.batches), result.n_waiting

    for number in range(3):
        write(source / f"A/d1/c1/{number}.jpg", encode(photo(96, 64, seed=number)), minutes_ago=20)
    write(source / "A/d1/c1/_SUCCESS", b"", minutes_ago=10)
    for number in range(2):
        write(source / f"A/d2/c1/{number}.jpg", encode(photo(96, 64, seed=10 + number)), minutes_ago=20)
    write(source / "B/d3/c1/0.jpg", encode(photo(96, 64, seed=20)), minutes_ago=120)
    assert night() == ([1, 3], 2), "the quiet one, the marked one, and one that is still written to"

    write(source / "A/d2/c1/batch.json", b"{}", minutes_ago=5)
    write(source / "A/d1/c1/late.jpg", encode(photo(96, 64, seed=30)), minutes_ago=1)
    assert night() == ([2], 1), "the late file came after its folder's marker"

    write(source / "A/d1/c1/_SUCCESS", b"", minutes_ago=0)
    assert night() == ([1], 0)
    assert night() == ([], 0)
    media = AuditStore(out).read("media")
    assert sorted(media["file"].to_pylist()) == sorted(str(path.relative_to(source)) for path in source.rglob("*.jpg"))
    assert set(media["status"].to_pylist()) == {"ok"}
