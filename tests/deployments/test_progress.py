"""How far a batch is, as Prefect shows it: seldom updated, and never at the cost of the run."""

from __future__ import annotations

import logging
from typing import Any
from uuid import UUID

import pytest

import flows.flow_progress as module
from flows.flow_progress import FlowProgress
from scd_core.names import Stage


@pytest.fixture
def updates(monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, str]]:
    """Percent and words of each artifact made or updated."""
    calls: list[tuple[float, str]] = []

    def create(progress: float, key: str, description: str) -> UUID:
        assert key == "audit-progress"
        calls.append((progress, description))
        return UUID(int=1)

    def update(artifact: UUID, progress: float, description: str) -> None:
        assert artifact == UUID(int=1)
        calls.append((progress, description))

    monkeypatch.setattr(module, "create_progress_artifact", create)
    monkeypatch.setattr(module, "update_progress_artifact", update)
    monkeypatch.setattr(module, "get_run_logger", lambda: logging.getLogger("run"))
    return calls


def work(progress: FlowProgress) -> None:
    for name in Stage:
        with progress.stage(name, 100) as advance:
            for _ in range(10):
                advance(10)


def test_a_quick_batch_is_updated_twice(updates: list[tuple[float, str]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.time, "monotonic", lambda: 1000.0)
    work(FlowProgress())
    assert updates == [(0.0, "ingest"), (100.0, "reclassify")]


def test_a_slow_one_goes_up_to_a_hundred(updates: list[tuple[float, str]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_UPDATE_SECONDS", 0.0)
    work(FlowProgress())
    percents = [percent for percent, _ in updates]
    assert percents == sorted(percents)
    assert (percents[0], percents[-1]) == (0.0, 100.0)
    assert 30.0 in percents  # half of the second of five stages
    assert len(updates) == 5 * 12


def test_a_server_that_is_away_costs_a_line_and_no_more(
    updates: list[tuple[float, str]], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def away(*_: Any, **__: Any) -> UUID:
        raise ConnectionError("All connection attempts failed\nmore")

    monkeypatch.setattr(module, "create_progress_artifact", away)
    with caplog.at_level(logging.WARNING, "run"):
        work(FlowProgress())
    assert set(caplog.messages) == {"progress artifact not updated: All connection attempts failed"}


def test_a_stage_that_fails_keeps_its_error(updates: list[tuple[float, str]]) -> None:
    with pytest.raises(ValueError, match="broken"), FlowProgress().stage(Stage.MASK, 5):
        raise ValueError("broken")
    assert updates == [(60.0, "mask")]


def test_throughput_of_each_stage_is_pictures_by_seconds() -> None:
    from flows.throughput import throughput_rows

    counts = {"n_media": 100, "n_ok": 90, "n_predictions": 90, "n_masks": 8}
    commit = {
        "batch_key": "b1",
        "counts": counts,
        "seconds": {"ingest": 4.0, "classify": 9.0, "mask": 16.0, "triage": 0.0},
    }
    rows = throughput_rows([commit, {"batch_key": "of an earlier version", "counts": counts}])
    assert [(row["stage"], row["pictures"], row["pictures_per_second"]) for row in rows] == [
        ("ingest", 100, 25.0), ("classify", 90, 10.0), ("mask", 8, 0.5), ("triage", 90, None),
    ]  # fmt: skip
