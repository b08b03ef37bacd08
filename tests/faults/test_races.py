"""Eight processes on one SOURCE and OUT: every batch is committed once, and all see the same rows."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from scd_core.tables.store import AuditStore
from tests.services.pictures import encode, photo
from tests.services.servers import at, new_bucket
from tests.services.storage_run import rows

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]
PROCESSES = 8


@pytest.fixture(params=["disk", "moto", "ceph"])
def place(request, tmp_path):
    """Writes an object; gives the URL of the place and the environment of a process that uses it."""
    pictures = {f"card/{n:02}.jpg": encode(photo(64, 48, seed=n)) for n in range(30)}
    if request.param == "disk":
        for name, data in pictures.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_bytes(data)
        yield str(tmp_path)
        return
    with at(request.getfixturevalue(request.param)) as server:
        yield f"s3://{new_bucket(server, pictures)}"


def test_one_commit_and_equal_answers(place):
    command = [sys.executable, "-m", "tests.services.storage_run", f"{place}/card", f"{place}/out"]
    processes = [
        subprocess.Popen([*command, f"run-{n}"], stdout=subprocess.PIPE, text=True, env=os.environ.copy())
        for n in range(PROCESSES)
    ]
    answers = [json.loads(process.communicate(timeout=3000)[0]) for process in processes]
    assert not [answer for answer in answers if "error" in answer], answers
    keys = set(AuditStore(f"{place}/out").committed())
    assert len(keys) == 2, "30 pictures, 20 to a batch"
    for key in keys:
        assert sum(answer["won"].get(key, False) for answer in answers) == 1, f"{key} was won by more or less than one"
    found = rows(f"{place}/out")
    assert [row["file"] for row in found] == [f"{n:02}.jpg" for n in range(30)]
    assert {row["status"] for row in found} == {"ok"}
    for key in keys:
        assert len({row["run_id"] for row in found if row["batch_key"] == key}) == 1
