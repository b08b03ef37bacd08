"""Pictures that are forgotten are gone from every byte of OUT, whenever it is killed, and everything else is there once."""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path

import pytest

from scd_core.audit import read_table
from scd_core.tables.store import AuditStore
from tests.audit.audit_builder import label
from tests.faults.tables import BATCH_TABLES, check_whole, rows_of
from tests.forget.traces import traces

pytestmark = pytest.mark.timeout(3600)

SEED = int(os.environ.get("KILL_SEED", "20261128"))
HOOKS = ("table", "create", "link", "put", "replace", "delete")


@pytest.fixture(scope="module")
def audited(runner, scenes, tmp_path_factory) -> Path:
    """An audit with labels and a report."""
    out = tmp_path_factory.mktemp("audited") / "out"
    assert runner.run(str(scenes), str(out))[0] == 0
    media = read_table(str(out), "media")
    named = media[media["status"] == "ok"]["file"].tolist()
    label(str(out), out.parent, dict.fromkeys(named, "Ama"))
    status, _, said = runner.run(str(scenes), str(out), report=True)
    assert status == 0, said
    return out


@pytest.fixture(scope="module")
def names(audited) -> tuple[str, ...]:
    """Files and media_ids of two pictures that have masks, labels and errors, and are shown in the report."""
    media, masks = read_table(str(audited), "media"), read_table(str(audited), "masks")
    alone = ~media["media_id"].isin(media["duplicate_of"].dropna())
    chosen = media[alone & media["media_id"].isin(masks["media_id"])].sort_values("file").iloc[:2]
    where = {file.split("/")[0] for name in chosen["media_id"] for file in traces(audited, name)}
    assert {"media", "predictions", "masks", "reclassifications", "labels", "errors", "state"} <= where, where
    where = {file.split("/")[0] for name in chosen["file"] for file in traces(audited, name)}
    assert {"media", "labels", "plans", "report"} <= where, where
    return (*chosen["file"], *chosen["media_id"])


def kill_points(calls: dict[str, int], number: int) -> list[dict]:
    rng = random.Random(SEED)
    every = [
        {"hook": hook, "n": n, "when": when}
        for hook in HOOKS
        for n in range(1, calls.get(hook, 0) + 1)
        for when in ("before", "after")
    ]
    return rng.sample(every, min(number, len(every)))


def check_forgotten(runner, scenes, audited, names, tmp_path, number):
    patterns = names[:2]
    before = rows_of(str(audited))
    calm = tmp_path / "calm"
    shutil.copytree(audited, calm)
    status, calls, said = runner.forget(str(calm), *patterns)
    assert status == 0, said
    expected = rows_of(str(calm))
    assert len(expected["media"]) == len(before["media"]) - 2
    assert set(expected["media"]) < set(before["media"]), "rows of others stay as they were"
    assert not traces(calm, *names)
    points = kill_points(calls, number)
    assert len(points) == number, calls
    for turn, point in enumerate(points):
        out = tmp_path / f"killed-{turn}"
        shutil.copytree(audited, out)
        status, _, said = runner.forget(str(out), *patterns, kill=point)
        assert status == -9, f"{point}: was not killed: {said}"
        seen = rows_of(str(out))
        sizes = {table: len(seen[table]) for table in BATCH_TABLES}
        whole = [{table: len(rows[table]) for table in BATCH_TABLES} for rows in (before, expected)]
        assert sizes in whole, f"{point}: a reader sees a part of it"
        if turn % 2:  # the next night takes it up as well as the same command
            status, _, said = runner.run(str(scenes), str(out), report=True)
            if point["hook"] == "create" and point["n"] == 1 and point["when"] == "before":
                assert sizes == whole[0], "nothing was begun"
            assert status == 0, said
        status, _, said = runner.forget(str(out), *patterns)
        assert status == 0, f"{point}: {said}"
        assert not traces(out, *names), point
        status, _, said = runner.run(str(scenes), str(out), report=True)
        assert status == 0, said
        check_whole(str(out), expected)
        assert not traces(out, *names), f"{point}: came back"
        assert len(read_table(str(out), "errors")) > 0
        shutil.rmtree(out)


def test_forgotten_and_killed_at_a_few_points_it_is_gone_and_the_rest_is_there_once(
    runner, scenes, audited, names, tmp_path
):
    check_forgotten(runner, scenes, audited, names, tmp_path, 4)


@pytest.mark.slow
def test_forgotten_and_killed_at_twenty_points_it_is_gone_and_the_rest_is_there_once(
    runner, scenes, audited, names, tmp_path
):
    check_forgotten(runner, scenes, audited, names, tmp_path, int(os.environ.get("KILL_POINTS", "20")))


def test_a_copy_of_a_forgotten_picture_that_was_not_forgotten_is_audited_on_its_own(runner, scenes, audited, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(audited, out)
    media = read_table(str(out), "media").set_index("media_id")
    (copy,) = media[media["status"] == "duplicate"].index
    first = media.loc[media.loc[copy, "duplicate_of"], "file"]
    assert runner.forget(str(out), first)[0] == 0
    status, _, said = runner.run(str(scenes), str(out))
    assert status == 0, said
    after = read_table(str(out), "media").set_index("media_id")
    assert after.loc[copy, "status"] == "ok" and len(after) == len(media) - 1
    assert copy in set(read_table(str(out), "predictions")["media_id"])


def test_a_run_that_is_under_way_when_a_picture_is_forgotten_commits_nothing_of_it(
    runner, scenes, audited, names, tmp_path
):
    """The run has read its tombstones before; it is killed at its commit, and what it wrote is put beside the tombstone."""
    out, name = tmp_path / "out", names[0]
    status, _, said = runner.run(str(scenes), str(out), kill={"hook": "commit", "n": 1, "when": "before"})
    assert status == -9, said
    assert traces(out, name)
    assert runner.forget(str(out), name)[0] == 0
    assert not [file for file in traces(out, name) if not file.endswith(".parquet")], "plan and shards"
    status, _, said = runner.run(str(scenes), str(out))
    assert status == 0, said
    assert name not in set(read_table(str(out), "media")["file"])
    assert len(AuditStore(str(out)).read("media")) == 13


def test_what_was_forgotten_does_not_come_back_from_a_copy_of_the_card(runner, scenes, audited, names, tmp_path):
    out, moved = tmp_path / "out", tmp_path / "moved"
    shutil.copytree(audited, out)
    shutil.copytree(
        scenes, moved, copy_function=shutil.copy
    )  # other addresses and other times: every picture is a new one
    assert runner.forget(str(out), *names[:2])[0] == 0
    status, _, said = runner.run(str(moved), str(out))
    assert status == 0, said
    assert len(read_table(str(out), "media")) == 12 + 12
    assert not traces(out, *names)
