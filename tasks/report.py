"""Report: derive errors and slices from all committed batches, and draw the HTML page."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pyarrow.compute as pc
from prefect import task
from prefect.cache_policies import NO_CACHE

from scd_core.audit.report import write_report
from scd_core.audit.report.refresh import refresh_report_tables
from scd_core.config import AuditConfig

__all__ = ["derive_errors", "draw_report"]


@task(
    name="derive errors",
    tags=["trapaudit", "report"],
    retries=1,
    retry_delay_seconds=5,
    cache_policy=NO_CACHE,
    persist_result=False,
)
def derive_errors(out: str, config: AuditConfig) -> dict[str, Any]:
    """Write one snapshot of `errors` and `error_slices`; their counts."""
    errors, slices, report_id = refresh_report_tables(out, config)
    kinds = Counter(errors.column("error_type").to_pylist())
    return {
        "report_id": report_id,
        "labelled": sum(count for kind, count in kinds.items() if kind is not None),
        "errors": sum(count for kind, count in kinds.items() if kind not in (None, "correct")),
        "recovered": pc.sum(errors.column("is_recovered")).as_py() or 0,
        "broken": pc.sum(errors.column("is_broken")).as_py() or 0,
        "suspected": pc.sum(errors.column("is_suspected")).as_py() or 0,
        "slices": len(slices),
        "systematic": pc.sum(slices.column("is_systematic")).as_py() or 0,
    }


@task(name="draw report", tags=["trapaudit", "report"], cache_policy=NO_CACHE, persist_result=False)
def draw_report(out: str, config: AuditConfig) -> str:
    """Write OUT/report/index.html; its address."""
    return write_report(out, config)
