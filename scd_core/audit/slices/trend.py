"""How slices changed since the report before: new, growing, steady, shrinking, gone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import pyarrow as pa
import pyarrow.compute as pc

from scd_core.audit.slices.tested import TestedSlice
from scd_core.names import Trend
from scd_core.tables.rows import SliceRow

__all__ = ["set_trends"]


def set_trends(tested: list[TestedSlice], previous: pa.Table | None, report_id: str) -> list[SliceRow]:
    """Set ``trend`` of the slices that are or were systematic, and make a row for each that is no longer tested.

    ``new``: systematic now and announced (:func:`scd_core.audit.slices.announce.announce`), in the report before not announced.
    ``growing`` and ``shrinking``: in both, and the rate now lies above, or below, the interval it had. ``steady``: in
    both, inside it. ``gone``: systematic in the report before, not now; one that is not listed any more keeps the
    statistics it had last, without p- and q-value. One that is systematic by this look alone, and neither was so before nor is
    announced, has no trend yet.

    Args:
        tested: slices of this report; changed in place.
        previous: rows of the report before; None where there is none, then nothing is new and ``trend`` stays null.
        report_id: this report.

    Returns:
        Rows of the slices that are gone from the list.
    """
    if previous is None:
        return []
    # Of thousands of rows, those alone that were systematic or are.
    looked_up = pa.array([one.slice_id for one in tested if one.is_systematic], pa.string())
    is_used = pc.or_(pc.fill_null(previous["is_systematic"], False), pc.is_in(previous["slice_id"], looked_up))
    rows = {row["slice_id"]: row for row in previous.filter(is_used).to_pylist()}
    old = {key: row for key, row in rows.items() if row["is_systematic"]}
    for one in tested:
        before = old.pop(one.slice_id, None)
        if one.is_systematic:
            one.trend = _trend(one, rows.get(one.slice_id), before is not None)
        elif before is not None:
            one.trend = Trend.GONE
    now = {"report_id": report_id, "is_systematic": False, "trend": Trend.GONE}
    untested = dict.fromkeys(("p_value", "q_value", "n_tests", "tested_within", "folded_into", "labels_needed"))
    return [cast(SliceRow, {**before, **now, **untested}) for before in old.values()]


def _trend(now: TestedSlice, before: Mapping[str, Any] | None, was_systematic: bool) -> Trend | None:
    was_announced = before is not None and _is_announced(before)
    if now.announced_at is not None and not was_announced:
        return Trend.NEW
    if before is None or not (was_systematic or was_announced):
        return None
    if now.error_rate > before["ci_high"]:
        return Trend.GROWING
    return Trend.SHRINKING if now.error_rate < before["ci_low"] else Trend.STEADY


def _is_announced(row: Mapping[str, Any]) -> bool:
    """Whether a row of an earlier report was announced; in a report of an older version, what was systematic was."""
    if row.get("e_value") is None:
        return bool(row["is_systematic"])
    return row.get("announced_at") is not None
