"""Broken files of every kind: none ends the run, each has a row with its reason, memory stays bounded."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

BOUND_MEGABYTES = 2_000
"""What a task may use for decoding, whatever the files claim to be (docs/operations.md)."""


@pytest.mark.parametrize("number", [150, pytest.param(2_000, marks=[pytest.mark.slow, pytest.mark.timeout(3600)])])
def test_mutated_files_all_get_a_row(tmp_path, number):
    command = [sys.executable, "-m", "tests.services.fuzz", str(tmp_path), str(number), "20261122"]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ.copy(), timeout=3500, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["rows"] == number and found["in_order"]
    assert found["without_reason"] == [] and found["ok_but_unreadable"] == 0
    assert found["statuses"]["corrupt"] > number / 5 and found["statuses"]["ok"] > number / 20, found["statuses"]
    assert found["megabytes"] < BOUND_MEGABYTES, found
