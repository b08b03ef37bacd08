"""A run that is killed at any point and run again gives the tables of a run that was left alone."""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scd_core.audit import read_table
from scd_core.audit.report.state import is_report_current
from scd_core.tables.store import AuditStore
from tests.faults.conftest import FAST
from tests.faults.tables import check_whole, rows_of

pytestmark = pytest.mark.timeout(3600)

SEED = int(os.environ.get("KILL_SEED", "20261122"))
POINTS = int(os.environ.get("KILL_POINTS", "48"))
STAGES = (
    "fetch",
    "decode",
    "network",
    "put",
    "create",
    "link",
    "replace",
    "shard",
    "table",
    "commit",
    "delete",
)


def points(calls: dict[str, int], number: int, seed: int) -> list[dict]:
    """Kill points drawn by seed: every hook in turn, at any of its calls, before or after it."""
    rng = random.Random(seed)
    hooks = [name for name in STAGES if calls.get(name)]
    drawn: dict[tuple, dict] = {}
    turn = 0
    while len(drawn) < number and turn < 50 * number:
        hook = hooks[turn % len(hooks)]
        point = {"hook": hook, "n": rng.randint(1, calls[hook]), "when": rng.choice(["before", "after"])}
        drawn[tuple(point.values())] = point
        turn += 1
    return list(drawn.values())


@pytest.mark.slow
def test_killed_at_any_step_and_run_again_the_tables_are_those_of_an_undisturbed_run(runner, scenes, tmp_path):
    status, calls, said = runner.run(str(scenes), str(tmp_path / "calm"))
    assert status == 0, said
    expected = rows_of(str(tmp_path / "calm"))
    assert len(expected["media"]) == 14 and expected["masks"], "the run to compare with must have work of every stage"
    assert all(calls.get(name) for name in STAGES), f"a hook no longer meets the code: {calls}"
    chosen = points(calls, POINTS, SEED)
    assert len(chosen) == POINTS
    repeated = []
    for number, point in enumerate(chosen):
        out = tmp_path / f"killed-{number}"
        status, done, said = runner.run(str(scenes), str(out), kill=point)
        while status == 0 and point["n"] > 1:
            # Threads that race for the model load it once or twice, so one run reads more often than another, and the last of
            # these reads may not have returned when the run is done.
            point["n"] = min(done[point["hook"]], point["n"] - 1)
            shutil.rmtree(out)
            status, done, said = runner.run(str(scenes), str(out), kill=point)
        assert status == -9, f"{point}: was not killed: {said}"
        assert not _half_written(out), f"{point}: a reader of the plain glob meets {_half_written(out)}"
        status, again, said = runner.run(str(scenes), str(out))
        assert status == 0, f"{point}: {said}"
        check_whole(str(out), expected)
        assert not list(out.glob("work/*/*/*")), f"{point}: work is left over"
        repeated.append((point, again.get("network", 0)))
        shutil.rmtree(out)
    # What was finished is not done again: a run killed at its commit has no image to name or mask any more.
    late = [network for point, network in repeated if point["hook"] in ("commit", "table", "delete")]
    assert max(late) == 0, repeated


@pytest.mark.slow
def test_killed_again_and_again_it_still_gets_there(runner, scenes, tmp_path):
    status, calls, said = runner.run(str(scenes), str(tmp_path / "calm"))
    assert status == 0, said
    expected = rows_of(str(tmp_path / "calm"))
    out = tmp_path / "killed"
    kills = 0
    # At the first call of each step, in the order of a run: every run gets a little further than the one before. After
    # its commit a run is done, so the later steps are killed before they are.
    rng = random.Random(SEED + 1)
    order = [name for name in STAGES if calls.get(name)]
    early = order[: order.index("table")]
    chosen = [{"hook": hook, "n": 1, "when": rng.choice(["before", "after"])} for hook in early]
    chosen += [{"hook": hook, "n": 1, "when": "before"} for hook in ("table", "commit", "delete")]
    for point in chosen:
        status, _, said = runner.run(str(scenes), str(out), kill=point, report=True)
        assert status in (0, -9), said
        kills += status == -9
    assert kills >= 6, kills
    status, _, said = runner.run(str(scenes), str(out), report=True)
    assert status == 0, said
    check_whole(str(out), expected)
    assert is_report_current(str(out)), "the page covers what was committed, whichever run committed it"


FEW = [
    {"hook": "network", "n": 2, "when": "after"},
    {"hook": "table", "n": 3, "when": "before"},
    {"hook": "commit", "n": 1, "when": "before"},
    {"hook": "snapshot", "n": 1, "when": "after"},
]
"""The points of the ordinary suite: while an image is named, between tables, before the commit, in the report."""


def test_killed_at_a_few_steps_and_run_again(runner, scenes, tmp_path):
    status, _, said = runner.run(str(scenes), str(tmp_path / "calm"), report=True)
    assert status == 0, said
    expected = rows_of(str(tmp_path / "calm"))
    for number, point in enumerate(FEW):
        out = tmp_path / f"killed-{number}"
        status, _, said = runner.run(str(scenes), str(out), kill=point, report=True)
        assert status == -9, f"{point}: was not killed: {said}"
        assert not _half_written(out), point
        status, _, said = runner.run(str(scenes), str(out), report=True)
        assert status == 0, f"{point}: {said}"
        check_whole(str(out), expected)
        assert is_report_current(str(out)) and (out / "report" / "index.html").is_file()


@pytest.mark.slow
def test_killed_while_batches_overlap_each_picture_is_there_once(runner, scenes, tmp_path):
    """The ingest of a batch runs beside the masks of the one before, so a kill may leave work of two batches."""
    config = {**FAST, "media": {**FAST["media"], "batch_size": 5, "shard_size": 2}}
    status, calls, said = runner.run(str(scenes), str(tmp_path / "calm"), config=config)
    assert status == 0, said
    expected = rows_of(str(tmp_path / "calm"))
    assert len(AuditStore(str(tmp_path / "calm")).committed_keys()) == 3 and len(expected["media"]) == 14
    killed = 0
    for number, point in enumerate(points(calls, max(4, POINTS // 4), SEED + 2)):
        out = tmp_path / f"killed-{number}"
        status, _, said = runner.run(str(scenes), str(out), kill=point, config=config)
        killed += status == -9
        assert status in (0, -9), said  # threads that race make a late call one that is not made
        status, _, said = runner.run(str(scenes), str(out), config=config)
        assert status == 0, f"{point}: {said}"
        check_whole(str(out), expected)
        assert not list(out.glob("work/*/*/*")), f"{point}: work is left over"
        shutil.rmtree(out)
    assert killed >= 3


@pytest.mark.slow
def test_killed_in_the_report_the_next_run_draws_it(runner, scenes, tmp_path):
    calm = tmp_path / "calm"
    status, before, said = runner.run(str(scenes), str(tmp_path / "none"))
    assert status == 0, said
    status, calls, said = runner.run(str(scenes), str(calm), report=True)
    assert status == 0, said
    puts = range(before["put"] + 1, calls["put"] + 1)
    assert len(puts) >= 2 and calls["snapshot"] == 2, "the page, what it covers, and the two derived tables"
    chosen = [{"hook": "put", "n": n, "when": when} for n in puts for when in ("before", "after")]
    chosen += [{"hook": "snapshot", "n": n, "when": when} for n in (1, 2) for when in ("before", "after")]
    for number, point in enumerate(chosen):
        out = tmp_path / f"killed-{number}"
        status, _, said = runner.run(str(scenes), str(out), kill=point, report=True)
        assert status == -9, f"{point}: was not killed: {said}"
        status, again, said = runner.run(str(scenes), str(out), report=True)
        assert status == 0, f"{point}: {said}"
        check_whole(str(out), rows_of(str(calm)))
        assert is_report_current(str(out)), point
        assert (out / "report" / "index.html").is_file() and again.get("network", 0) == 0
        assert len(read_table(str(out), "error_slices")) == len(read_table(str(calm), "error_slices"))
        assert len(read_table(str(out), "errors")) == len(read_table(str(calm), "errors"))


def _half_written(out: Path) -> list[Path]:
    """Parquet files that cannot be read whole."""
    broken = []
    for path in out.rglob("*.parquet"):
        try:
            pq.read_table(path, partitioning=None)
        except (OSError, pa.ArrowException):
            broken.append(path)
    return broken
