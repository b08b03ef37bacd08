"""Which frames of a batch are used to find the strips of a deployment."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pyarrow as pa

from scd_core.masks.overlay_frames import choose_overlay_frames, of_deployments
from scd_core.tables.schema import table_from_rows


def _batch(frames: list[tuple[str, str | None, dict[str, Any]]]) -> tuple[pa.Table, pa.Table]:
    """Predictions and media of frames (event, deployment, other columns)."""
    names = [f"{number:032x}" for number in range(len(frames))]
    predictions = [
        {"target_id": name, "media_id": name, "event_id": event, "prediction_status": "ok"} | other
        for name, (event, _, other) in zip(names, frames)
    ]
    media = [{"media_id": name, "deployment_id": place} for name, (_, place, _) in zip(names, frames)]
    return table_from_rows("predictions", predictions), table_from_rows("media", media)


def test_one_frame_of_an_event_spread_over_the_deployment() -> None:
    predictions, media = _batch([(f"e{number // 3:02}", "d", {}) for number in range(90)])
    found = choose_overlay_frames(predictions, media)
    events = found.column("event_id").to_pylist()
    assert len(set(events)) == len(events) == 12
    assert {"e00", "e29"} <= set(events)
    places = sorted(int(event[1:]) for event in events)
    assert max(after - before for before, after in pairwise(places)) <= 3


def test_boxes_failures_and_frames_of_no_deployment_tell_nothing() -> None:
    predictions, media = _batch([
        ("e1", "d", {"detection_id": "0"}),
        ("e2", "d", {"prediction_status": "failed"}),
        ("e3", None, {}),
        ("e4", "d", {}),
        ("e5", "other", {}),
    ])  # fmt: skip
    found = choose_overlay_frames(predictions, media)
    assert found.column("event_id").to_pylist() == ["e4", "e5"]
    assert found.column("deployment_id").to_pylist() == ["d", "other"]
    assert of_deployments(found, media.slice(0, 3)).column("event_id").to_pylist() == ["e4"]
    assert len(of_deployments(found, media.slice(2, 1))) == 0


def test_a_batch_without_frames_has_no_overlay_frames() -> None:
    predictions, media = _batch([])
    assert len(choose_overlay_frames(predictions, media)) == 0
