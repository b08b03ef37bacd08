"""Report: derive errors and slices from all committed batches, and draw the HTML page."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

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
def derive_errors(out: str, config: AuditConfig) -> str:
    """Write one snapshot of `errors` and `error_slices`; its report_id."""
    _, _, report_id = refresh_report_tables(out, config)
    return report_id


@task(name="draw report", tags=["trapaudit", "report"], cache_policy=NO_CACHE, persist_result=False)
def draw_report(out: str, config: AuditConfig) -> dict[str, Any]:
    """Write OUT/report/index.html; ``report``, its address, and the totals that the page shows."""
    address, totals = write_report(out, config)
    return {"report": address} | asdict(totals)
