"""Rebuild errors, error slices and the HTML report from everything that is committed."""

from __future__ import annotations

from typing import Any

from prefect import flow
from prefect.artifacts import create_markdown_artifact

from scd_core.audit.report.state import mark_report, report_state
from scd_core.config import AuditConfig
from scd_core.inputs.config import load_config
from tasks.report import derive_errors, draw_report

__all__ = ["refresh_error_report"]


@flow(name="refresh-error-report", flow_run_name="report {out}", persist_result=False)
def refresh_error_report(out: str, config: str | dict[str, Any] | None = None) -> dict[str, Any]:
    """Write one snapshot of the derived tables and draw the report.

    Args:
        out: URL or path of the audit tables.
        config: URL of a YAML or JSON file, or the settings themselves.

    Returns:
        ``report_id``, ``report`` (the page's address), and the totals that the page shows
        (:class:`scd_core.audit.report.totals.Totals`).
    """
    settings = AuditConfig.from_mapping(config, "config") if isinstance(config, dict) else load_config(config)
    state = report_state(out)
    report_id = derive_errors(out, settings)
    summary = {"report_id": report_id} | draw_report(out, settings)
    mark_report(out, state)
    text = "\n".join(f"- {name}: {value}" for name, value in summary.items())
    create_markdown_artifact(key="error-report", markdown=f"# Error report\n\n{text}\n")
    return summary
