"""Impossible travel and known confusions: flagged rows, and those that say nothing."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from typing import Any

import pytest

from scd_core.config import TriageConfig
from scd_core.triage import triage
from scd_core.triage.travel import distance_km, impossible_travel

NOON = datetime(2025, 6, 1, 12)


def sighting(
    number: int, name: str = "Luna", hours: float = 0.0, longitude: float | None = 0.0, **more: Any
) -> tuple[Any, Any]:
    row = {
        "media_id": f"m{number}", "target_id": f"t{number}", "prediction_status": "ok", "predicted_id": name, "probability": 0.9,
        "margin": 0.8, "topk": [{"individual_id": name, "probability": 0.9}, {"individual_id": "Nyx", "probability": 0.05}],
    }  # fmt: skip
    frame = {
        "media_id": f"m{number}", "file": f"{number}.jpg", "uri": "", "event_id": f"e{number}", "latitude": 0.0,
        "longitude": longitude, "captured_at": NOON + timedelta(hours=hours), "deployment_id": f"d{longitude}",
    }  # fmt: skip
    return row, frame | more


def found(*sightings: tuple[Any, Any], speed: float = 80.0) -> set[str]:
    return impossible_travel([row for row, _ in sightings], {frame["media_id"]: frame for _, frame in sightings}, speed)


def test_one_degree_of_the_equator() -> None:
    assert distance_km(0, 0, 0, 1) == pytest.approx(111.195, abs=0.01)
    assert distance_km(52.5, 13.4, 48.1, 11.6) == pytest.approx(504, abs=3)


@pytest.mark.parametrize(("hours", "flagged"), [(1.3, {"t0", "t1"}), (1.5, set())])
def test_a_degree_in_little_more_than_an_hour_is_too_fast(hours: float, flagged: set[str]) -> None:
    assert found(sighting(0), sighting(1, hours=hours, longitude=1.0)) == flagged


def test_what_says_nothing_is_not_flagged() -> None:
    assert found(sighting(0), sighting(1, "Tara", longitude=5.0)) == set()
    assert found(sighting(0, "unknown"), sighting(1, "unknown", longitude=5.0)) == set()
    assert found(sighting(0), sighting(1, longitude=None)) == set()
    assert found(sighting(0), sighting(1, longitude=5.0, captured_at=None)) == set()
    assert found(sighting(0), sighting(1, hours=0.1)) == set()


def test_offsets_from_utc_are_taken_into_account() -> None:
    far = sighting(1, hours=2.0, longitude=1.0, utc_offset_minutes=120)
    assert found(sighting(0, utc_offset_minutes=0), far) == {"t0", "t1"}
    assert (
        found(sighting(0, utc_offset_minutes=0), sighting(1, hours=2.0, longitude=1.0, utc_offset_minutes=0)) == set()
    )


def test_triage_flags_travel_and_known_confusions() -> None:
    rows, media = zip(sighting(0), sighting(1, hours=0.5, longitude=1.0), sighting(2, "Tara"))
    config = TriageConfig(control_rate=0.0)
    done = triage(rows, media, 3, config, known_confusions=[("Nyx", "Tara"), ("Odin", "Luna")])
    assert [row["flag_reasons"] for row in done] == [["impossible_travel"], ["impossible_travel"], ["known_confusion"]]


def test_what_the_budget_cut_is_recorded_and_its_probability_is_the_control_rate() -> None:
    rows, media = zip(*(sighting(number, probability=0.1) for number in range(30)))
    rows = [row | {"probability": 0.1 + number / 100} for number, row in enumerate(rows)]
    rate, seed = 0.3, 7
    done = triage(rows, media, 3, TriageConfig(control_rate=rate, budget=10, seed=seed))
    for number, row in enumerate(done):
        digest = hashlib.sha256(f"{seed}:{row['target_id']}".encode()).digest()
        is_control = int.from_bytes(digest[:8], "big") / 2**64 < rate
        within = number < 10
        assert row["is_selected"] == (within or is_control)
        assert row["inclusion_probability"] == (1.0 if within else rate)
        assert ("cut_by_budget" in row["flag_reasons"]) == (not within)
        assert row["is_flagged"]
