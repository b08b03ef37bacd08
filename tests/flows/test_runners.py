"""The runners: the same rows from threads and from Prefect, retries, failures, and no Prefect in a local run."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from flows.threads_runner import ThreadsRunner
from scd_core.audit import read_table
from scd_core.config import AuditConfig
from scd_core.errors import InputError
from scd_core.request import settings_of
from scd_core.scenes import packaged_model
from tasks.work import Work
from tests.services.audits import Silent, audit, given_names, request_of

CLEAN = packaged_model("clean")
SETTINGS = {"masks": {"steps": 2}, "triage": {"control_rate": 0.3}, "media": {"shard_size": 8}}


def test_prefect_makes_the_rows_of_threads(card: Path, tmp_path: Path, prefect_server: None) -> None:
    from flows.audit_batch import audit_batch

    one = audit(card / "images", CLEAN, tmp_path / "threads", SETTINGS, report=False)
    other = audit_batch(
        request_of(card / "images", CLEAN, tmp_path / "prefect", SETTINGS, report=False, runner="prefect")
    )
    assert [commit["counts"] for commit in one.batches] == [commit["counts"] for commit in other.batches]
    for table in ("media", "predictions", "masks", "reclassifications"):
        frames = [read_table(str(tmp_path / out), table).drop(columns="run_id") for out in ("threads", "prefect")]
        assert frames[0].equals(frames[1]), table


@pytest.mark.parametrize("model", [None, CLEAN])
def test_prefect_makes_the_rows_of_threads_from_names_that_were_given(
    model: Path | None, card: Path, tmp_path: Path, prefect_server: None
) -> None:
    from flows.audit_batch import audit_batch

    names = given_names(card, tmp_path / "names.csv")
    given: dict[str, Any] = {"predictions": str(names), "report": False}
    one = audit(card / "images", model, tmp_path / "threads", SETTINGS, **given)
    other = audit_batch(request_of(card / "images", model, tmp_path / "prefect", SETTINGS, runner="prefect", **given))
    assert [commit["counts"] for commit in one.batches] == [commit["counts"] for commit in other.batches]
    for table in ("media", "predictions", "masks", "reclassifications"):
        frames = [read_table(str(tmp_path / out), table).drop(columns="run_id") for out in ("threads", "prefect")]
        assert frames[0].equals(frames[1]), table
    masks = read_table(str(tmp_path / "prefect"), "masks")
    assert set(masks["mask_status"]) == ({"not_available"} if model is None else {"ok", "not_available"})


UNNEEDED = ("prefect", "ray", "sqlalchemy", "fastapi", "torchvision", "torch._dynamo", "sympy")
"""Packages that a run of threads with a network of our own does without; each takes part of a second or more."""


def test_a_local_run_imports_only_what_it_needs(card: Path, tmp_path: Path) -> None:
    arguments = ["run", str(card / "images"), "--model", str(CLEAN), "--out", str(tmp_path / "out")]
    code = (
        f"import sys; sys.argv = {['trapaudit', *arguments]!r}\n"
        "from deployments.cli.main import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        f"print([name for name in {UNNEEDED!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("[]"), done.stdout + done.stderr
    assert (tmp_path / "out" / "report" / "index.html").exists(), done.stderr


def test_a_call_is_tried_again_as_often_as_it_says() -> None:
    calls: list[int] = []

    def works_at_the_third(value: int) -> int:
        calls.append(value)
        if len(calls) < 3:
            raise OSError("away")
        return value

    runner = ThreadsRunner(Silent())
    assert runner.call(Work(works_at_the_third, "w", retries=2), 7) == 7
    calls.clear()
    with pytest.raises(OSError, match="away"):
        runner.call(Work(works_at_the_third, "w", retries=1), 7)
    assert len(calls) == 2


def test_results_keep_the_order_of_their_calls() -> None:
    second_is_seen = threading.Event()
    done: list[int] = []

    def slow_first(number: int) -> int:
        if number == 0:
            assert second_is_seen.wait(300)
        return number

    def note(place: int) -> None:
        done.append(place)
        second_is_seen.set()

    found = ThreadsRunner(Silent()).map(Work(slow_first, "w"), [(0,), (1,)], note)
    assert (found, done) == ([0, 1], [1, 0])


def test_the_first_failure_is_raised_once_what_began_has_ended() -> None:
    ended: list[int] = []
    failing = threading.Event()

    def second_fails(number: int) -> int:
        if number == 1:
            failing.set()
            raise ValueError("shard 1")
        assert failing.wait(300)
        ended.append(number)
        return number

    with pytest.raises(ValueError, match="shard 1"):
        ThreadsRunner(Silent()).map(Work(second_fails, "w"), [(0,), (1,)], lambda place: None)
    assert ended == [0]


def test_delays_grow_as_listed() -> None:
    work = Work(print, "w", retries=3, retry_delays=(1.0, 5.0), retry_jitter=0.5)
    delays: list[Any] = [work.delay(retry) for retry in range(3)]
    assert 1 <= delays[0] <= 1.5 and all(5 <= delay <= 7.5 for delay in delays[1:])


def test_bad_input_is_not_tried_again() -> None:
    calls: list[int] = []

    def refuses() -> None:
        calls.append(1)
        raise InputError("OUT: holds no audit")

    with pytest.raises(InputError):
        ThreadsRunner(Silent()).call(Work(refuses, "w", retries=3), *())
    assert len(calls) == 1


def test_progress_that_fails_ends_the_stage() -> None:
    def fails(place: int) -> None:
        raise BrokenPipeError

    ran: list[int] = []

    def slowly(number: int) -> None:
        ran.append(number)
        time.sleep(0.05)  # minutes for all of them: there is time to stop

    with pytest.raises(BrokenPipeError):
        ThreadsRunner(Silent()).map(Work(slowly, "w"), [(number,) for number in range(10_000)], fails)
    assert len(ran) < 10_000


def test_settings_of_a_form_that_sends_defaults_leave_those_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("triage: {control_rate: 0.5, budget: 7}\n")
    sent = AuditConfig.model_validate(AuditConfig().model_dump() | {"triage": {"budget": 9, "control_rate": 0.05}})
    merged = settings_of(str(tmp_path / "c.yaml"), sent)
    assert (merged.triage.control_rate, merged.triage.budget) == (0.5, 9)


def test_nothing_to_do_loads_no_network(card: Path, tmp_path: Path) -> None:
    audit(card / "images", CLEAN, tmp_path / "out", SETTINGS)
    (tmp_path / "c.json").write_text(json.dumps(SETTINGS))
    arguments = ["run", card / "images", "--model", CLEAN, "--out", tmp_path / "out", "--config", tmp_path / "c.json"]
    code = (
        f"import sys; sys.argv = {['trapaudit', *map(str, arguments)]!r}\n"
        "from deployments.cli.main import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print([name for name in ('torch', 'prefect', 'scipy', 'pandas') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "nothing to do" in done.stderr, done.stderr
    assert done.stdout.strip().endswith("[]"), done.stdout


def test_a_report_of_nothing_yet_is_no_failure(prefect_server: None, tmp_path: Path) -> None:
    """A first night on which no upload was complete starts a report, and that is no alarm."""
    from flows.refresh_error_report import refresh_error_report

    assert refresh_error_report(str(tmp_path / "out")) == {}
    assert not (tmp_path / "out/report").exists()
