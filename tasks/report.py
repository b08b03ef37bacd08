"""Report: derive errors and slices from all committed batches, and draw the HTML page."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from scd_core.audit.report.refresh import refresh_report_tables
from scd_core.audit.report.write import write_report
from scd_core.config import AuditConfig
from tasks.work import Work

__all__ = ["DERIVE_ERRORS", "DRAW_REPORT", "derive_errors", "draw_report"]


def derive_errors(out: str, config: AuditConfig) -> str:
    """Write one snapshot of `errors` and `error_slices`; its report_id."""
    _, _, report_id = refresh_report_tables(out, config)
    return report_id


def draw_report(out: str, config: AuditConfig, models: tuple[str, str] | None = None) -> dict[str, Any]:
    """Write OUT/report/index.html; ``report``, its address, and the totals that the page shows."""
    address, totals = write_report(out, config, models=models)
    return {"report": address} | asdict(totals)


DERIVE_ERRORS = Work(derive_errors, "derive errors", retries=1, retry_delays=(5.0,), tags=("trapaudit", "report"))
DRAW_REPORT = Work(draw_report, "draw report", tags=("trapaudit", "report"))
