"""How slices changed since the report before: new, growing, steady, shrinking, gone."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

__all__ = ["add_trend"]


def add_trend(rows: list[dict[str, Any]], previous: pa.Table | None, report_id: str) -> list[dict[str, Any]]:
    """Add ``trend`` to the slices that are or were systematic, and a row for each that is no longer tested.

    ``new``: systematic now, not in the report before. ``growing`` and ``shrinking``: systematic in both, and the rate now
    lies above, or below, the interval it had. ``steady``: systematic in both, inside it. ``gone``: systematic in the report
    before, not now; one that is not listed any more keeps the statistics it had last, without p- and q-value.

    Args:
        rows: rows of ``error_slices`` of this report.
        previous: rows of the report before; None where there is none, then nothing is new and ``trend`` stays null.
        report_id: this report.

    Returns:
        The rows, those of slices that are gone from the list behind them.
    """
    if previous is None:
        return rows
    old = {row["slice_id"]: row for row in previous.to_pylist() if row["is_systematic"]}
    for row in rows:
        before = old.pop(row["slice_id"], None)
        if row["is_systematic"]:
            row["trend"] = _trend(row, before)
        elif before is not None:
            row["trend"] = "gone"
    now = {"report_id": report_id, "is_systematic": False, "trend": "gone"}
    untested = dict.fromkeys(("p_value", "q_value", "n_tests", "tested_within", "folded_into"))
    return rows + [before | now | untested for before in old.values()]


def _trend(row: dict[str, Any], before: dict[str, Any] | None) -> str:
    if before is None:
        return "new"
    if row["error_rate"] > before["ci_high"]:
        return "growing"
    return "shrinking" if row["error_rate"] < before["ci_low"] else "steady"
