"""A disk that is full or read-only: a clear error, nothing half-written, and a clean finish once there is room."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.services.pictures import encode, photo
from tests.services.servers import unavailable

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

STEPS = """
set -e
mount -t tmpfs -o size={small} none {out}
run() {{ {python} -m tests.services.storage_run {card} {out}; }}
run > {result}.full
find {out} -type f > {result}.files
cp -r {out} {result}.copy
mount -o remount,ro {out}
run > {result}.read_only
mount -o remount,rw,size=20m {out}
run > {result}.room
cp -r {out} {result}.end
"""


@pytest.mark.parametrize("small", ["16k", "48k", "80k"])
def test_full_then_read_only_then_room(tmp_path, small):
    card, out, result = tmp_path / "card", tmp_path / "out", tmp_path / "result"
    card.mkdir()
    out.mkdir()
    for n in range(40):
        (card / f"{n:02}.jpg").write_bytes(encode(photo(32, 24, seed=n)))
    steps = STEPS.format(small=small, out=out, card=card, result=result, python=sys.executable)
    if shutil.which("unshare") is None or subprocess.run(["unshare", "-rm", "true"], check=False).returncode:
        unavailable("a mount namespace of one's own is not allowed here")
    subprocess.run(["unshare", "-rm", "bash", "-c", steps], check=True, env=os.environ.copy(), timeout=3000)

    def said(step: str) -> dict:
        return json.loads(Path(f"{result}.{step}").read_text())

    full = said("full")
    assert "the disk is full" in full["error"] and str(out) in full["error"] and "\n" not in full["error"]
    assert not [name for name in Path(f"{result}.files").read_text().split() if name.endswith(".part")]
    for path in Path(f"{result}.copy").rglob("*.parquet"):
        pq.read_table(path, partitioning=None)
    assert said("read_only")["exit_code"] == 2 and "Read-only" in said("read_only")["error"]
    assert "error" not in said("room")
    end = [pq.read_table(path, partitioning=None).num_rows for path in Path(f"{result}.end").rglob("*.parquet")]
    assert sum(end) == 40
