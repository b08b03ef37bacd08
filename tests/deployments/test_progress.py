"""How far a batch is, as Prefect shows it: seldom told, and never at the cost of the run."""

from __future__ import annotations

import logging
from typing import Any
from uuid import UUID

import pytest

import flows.progress as module
from flows.progress import STAGES, Stages


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, str]]:
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


def work(stages: Stages) -> None:
    for name in STAGES:
        with stages.stage(name, 100) as advance:
            for _ in range(10):
                advance(10)


def test_a_quick_batch_is_told_of_twice(told: list[tuple[float, str]]) -> None:
    stages = Stages("k1")
    work(stages)
    assert told == [(0.0, "batch k1: ingest"), (100.0, "batch k1: reclassify")]
    assert set(stages.seconds) == set(STAGES)


def test_a_slow_one_goes_up_to_a_hundred(told: list[tuple[float, str]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_UPDATE_SECONDS", 0.0)
    work(Stages("k1"))
    percents = [percent for percent, _ in told]
    assert percents == sorted(percents)
    assert (percents[0], percents[-1]) == (0.0, 100.0)
    assert 30.0 in percents  # half of the second of five stages
    assert len(told) == 5 * 12


def test_a_server_that_is_away_costs_a_line_and_no_more(
    told: list[tuple[float, str]], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def away(*_: Any, **__: Any) -> UUID:
        raise ConnectionError("All connection attempts failed\nmore")

    monkeypatch.setattr(module, "create_progress_artifact", away)
    with caplog.at_level(logging.WARNING, "run"):
        work(Stages("k1"))
    assert set(caplog.messages) == {"progress not told: All connection attempts failed"}


def test_a_stage_that_fails_keeps_its_time_and_its_error(told: list[tuple[float, str]]) -> None:
    stages = Stages("k1")
    with pytest.raises(ValueError, match="broken"), stages.stage("mask", 5):
        raise ValueError("broken")
    assert stages.seconds["mask"] >= 0
    assert told == [(60.0, "batch k1: mask")]
