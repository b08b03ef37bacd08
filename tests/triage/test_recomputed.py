"""Events recomputed independently with pandas."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd

from scd_core.media.groups import assign_events


def _rows(seed: int, count: int = 300) -> list[dict[str, Any]]:
    generator = np.random.default_rng(seed)
    start = datetime(2026, 3, 1)
    # Clocks that run backwards: files in name order are not in the order of time.
    seconds = generator.permutation(np.cumsum(generator.choice([1, 30, 60, 61, 600], count)))
    rows = []
    for number in range(count):
        deployment = f"d{generator.integers(3)}"
        moment = None if generator.random() < 0.05 else start + timedelta(seconds=int(seconds[number]))
        row = {"media_id": f"m{number:03d}", "file": f"c/{deployment}/{number:03d}.jpg", "captured_at": moment}
        rows.append(row | {"camera_id": "c", "deployment_id": deployment})
    return rows


def test_events_are_those_of_pandas_whatever_the_order_of_files() -> None:
    rows = _rows(4)
    found = pd.DataFrame(assign_events(rows, 60.0))
    timed = found[found.captured_at.notna()].sort_values(["deployment_id", "captured_at", "file"])
    gaps = timed.groupby("deployment_id").captured_at.diff().dt.total_seconds()
    expected = (gaps.isna() | (gaps > 60)).cumsum()
    pairs = set(zip(expected, timed.event_id, strict=True))
    assert len(pairs) == expected.nunique() == timed.event_id.nunique()
    untimed = found[found.captured_at.isna()]
    assert untimed.event_id.is_unique and not set(untimed.event_id) & set(timed.event_id)
    backwards = {row["media_id"]: row["event_id"] for row in assign_events(rows[::-1], 60.0)}
    assert backwards == dict(zip(found.media_id, found.event_id, strict=True))
