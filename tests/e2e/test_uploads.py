"""Cards put into a bucket, and nothing else done: tables and a report appear, whatever dies meanwhile.

The tests share one stack and go on where the one before stopped, in the order of this file.
"""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from scd_core.audit import read_table

from .conftest import CONFIG, MODEL, OUT, SOURCE, Stack

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]
AUDITS = ("audit-uploads", "nightly-audit")
Scenes = Callable[[int, int], Path]


def media_of(out: str = OUT) -> pd.DataFrame:
    return read_table(out, "media", ["media_id", "file", "status", "batch_key", "run_id"])


def ended(stack: Stack, *deployments: str) -> list[dict[str, Any]]:
    return [run for run in stack.runs(*deployments) if run["end_time"]]


def lines_of(log: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.splitlines() if line.startswith('{"time"')]


@pytest.mark.usefixtures("storage")
def test_a_card_in_the_bucket_becomes_tables_and_a_report(stack: Stack, scenes: Scenes) -> None:
    files = stack.upload("card-1", scenes(10, 11))
    stack.until("report of the card", lambda: "report/index.html" in stack.keys("report/"))
    media = media_of()
    assert sorted(media["file"]) == sorted(files)
    assert set(media["status"]) == {"ok"}
    predictions = read_table(OUT, "predictions")
    assert sorted(predictions["media_id"]) == sorted(media["media_id"])
    selected = set(predictions.loc[predictions["is_selected"], "target_id"])
    assert 0 < len(selected) < len(files)
    assert set(read_table(OUT, "masks", ["target_id"])["target_id"]) == selected
    assert set(read_table(OUT, "reclassifications", ["target_id"])["target_id"]) == selected
    (commit,) = stack.commits().values()
    (run,) = stack.until("end of the audit's run", lambda: ended(stack, "audit-uploads"))
    assert run["state_type"] == "COMPLETED"
    assert run["parameters"]["event"]["prefix"] == "s3://cards/2026/card-1"
    assert run["parameters"]["event"]["n_notifications"] == len(files) + 1
    assert commit["counts"]["n_media"] == len(files)
    page = stack.s3.get_object(Bucket="audit", Key="report/index.html")["Body"].read().decode()
    assert commit["batch_key"][:8] in page or f"{len(files)}" in page
    (report,) = stack.until("end of the report's run", lambda: ended(stack, "refresh-error-report"))
    assert report["state_type"] == "COMPLETED"
    said = [line for line in lines_of(stack.services.log("worker")) if line.get("batch_key") == commit["batch_key"]]
    assert {"ingest", "classify", "mask"} <= {line["message"].split(":")[0] for line in said}
    assert all(line["flow_run_id"] for line in said)


@pytest.mark.usefixtures("storage")
def test_files_that_come_late_while_server_and_relay_are_away(stack: Stack, scenes: Scenes) -> None:
    """Ceph keeps the notifications, the relay keeps the upload, and a small batch of its own is made of it.

    The gateway is started again once the relay is back, as docs/deploying.md asks for: in Ceph 16 it may wait for ever for
    the end of a request that was refused, and tries thousands of them while the relay is away.
    """
    first = set(stack.commits())
    before = media_of()
    stack.services.kill("relay")
    stack.services.kill("prefect")
    late = _late(stack, scenes(2, 12))
    stack.start_relay()
    stack.ceph.restart_gateway()
    stack.until("word that the server is away", lambda: "does not take events" in stack.services.log("relay"))
    assert set(stack.commits()) == first
    stack.start_server()
    stack.until("commit of the late files", lambda: len(stack.commits()) == 2)
    media = media_of()
    assert sorted(media["file"]) == sorted([*before["file"], *late])
    assert media["media_id"].is_unique
    new = media[~media["media_id"].isin(before["media_id"])]
    assert new["batch_key"].nunique() == 1
    assert sorted(new["file"]) == sorted(late)


def _late(stack: Stack, images: Path) -> list[str]:
    folder = images.parent / "late"
    (folder / "C99").mkdir(parents=True)
    images.rename(folder / "C99" / "late_20250401")
    return stack.upload("card-1", folder)


@pytest.mark.usefixtures("storage")
def test_a_worker_killed_in_the_middle(stack: Stack, scenes: Scenes, tmp_path: Path) -> None:
    before, committed = media_of(), set(stack.commits())
    files = stack.upload("card-2", scenes(24, 13))
    stack.until("a finished shard of masks", lambda: _kept(stack, "masks"))
    killed = stack.services.kill("worker")
    assert any("prefect worker" in line or "-m prefect" in line for line in killed)
    assert len(killed) >= 2, f"only the worker, not its run: {killed}"
    assert set(stack.commits()) == committed, "the run had ended already"
    stack.start_worker()
    lost = stack.until(
        "crashed run", lambda: [run for run in stack.runs("audit-uploads") if run["state_type"] == "CRASHED"]
    )
    assert len(lost) == 1
    assert "its worker is gone" in lost[0]["state"]["message"]
    stack.until("commit of the card", lambda: len(stack.commits()) == len(committed) + 1)

    media = media_of()
    assert media["media_id"].is_unique
    assert sorted(media["file"]) == sorted([*before["file"], *files])
    (key,) = set(stack.commits()) - committed
    new = media[media["batch_key"] == key]
    assert sorted(new["file"]) == sorted(files)
    stack.until("end of the kept work", lambda: not stack.keys(f"work/{key}/"))

    # The same work by hand, from the same bucket into another OUT, is the same batch; every row must be the same.
    stack.trapaudit("run", SOURCE, "--model", MODEL, "--config", CONFIG, "--out", str(tmp_path / "by-hand"))
    for table, ids in (
        ("media", ["media_id"]),
        ("predictions", ["target_id"]),
        ("masks", ["target_id"]),
        ("reclassifications", ["target_id", "strategy"]),
    ):
        ours, theirs = (
            read_table(out, table, filters={"batch_key": key})
            .drop(columns=["run_id"])
            .sort_values(ids, ignore_index=True)
            for out in (OUT, str(tmp_path / "by-hand"))
        )
        assert len(ours) > 0
        pd.testing.assert_frame_equal(ours, theirs, check_exact=False, rtol=1e-4, atol=1e-4)


def _kept(stack: Stack, stage: str) -> list[str]:
    return [key for key in stack.keys("work/") if f"/{stage}" in key]


@pytest.mark.usefixtures("storage")
def test_two_deployments_audit_one_source_one_after_the_other(stack: Stack) -> None:
    """Without the work queue's limit, as `prefect deploy --all` leaves it, both runs start, and one waits for the other."""
    stack.unlimit("audits")
    done, before = {run["id"] for run in ended(stack, *AUDITS)}, {part["id"] for part in stack.audits()}
    called = {stack.call(name) for name in AUDITS}
    runs = stack.until(
        "end of both runs",
        lambda: found if len(found := [r for r in ended(stack, *AUDITS) if r["id"] not in done]) == 2 else [],
    )
    assert {run["id"] for run in runs} == called
    assert {run["state_type"] for run in runs} == {"COMPLETED"}
    parts = [part for part in stack.audits() if part["id"] not in before]
    one, other = sorted(parts, key=lambda part: part["start_time"])
    assert one["end_time"] <= other["start_time"]


def test_nothing_is_left_running(stack: Stack) -> None:
    stack.until("end of all runs", lambda: not [r for r in stack.runs() if r["state_type"] in ("RUNNING", "PENDING")])
    assert "WRONG" not in stack.trapaudit("doctor")
    for name in ("relay", "worker"):
        assert stack.services.stop(name) in (0, -signal.SIGTERM), stack.services.log(name)[-1500:]
