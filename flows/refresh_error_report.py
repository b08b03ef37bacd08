"""Rebuild errors, error slices and the HTML report from everything that is committed."""

from __future__ import annotations

from typing import Any

from prefect import flow
from prefect.artifacts import create_markdown_artifact
from prefect.logging import get_run_logger

from flows.audit import run_report
from flows.prefect_runner import PrefectRunner
from flows.progress import current_bars
from scd_core.config import AuditConfig
from scd_core.request import settings_of
from scd_core.tables.store import AuditStore

__all__ = ["refresh_error_report"]

_DEFAULTS = AuditConfig()


@flow(name="refresh-error-report", flow_run_name="report {out}", persist_result=False)
def refresh_error_report(out: str, config: str | None = None, settings: AuditConfig = _DEFAULTS) -> dict[str, Any]:
    """Write one snapshot of the derived tables and draw the report.

    Args:
        out: URL or path of the audit tables.
        config: URL of a YAML or JSON file of settings.
        settings: settings given here; they win over those of the file.

    Returns:
        As :func:`flows.audit.run_report`; empty where OUT holds no audit yet, as after a first night without a complete upload.
    """
    if not AuditStore(out).committed():
        get_run_logger().warning("no report: nothing is audited in %s yet", out)
        return {}
    result = run_report(out, settings_of(config, settings), PrefectRunner(current_bars()))
    text = "\n".join(f"- {name}: {value}" for name, value in result.items() if name != "report")
    create_markdown_artifact(key="error-report", markdown=f"# Error report\n\n{text}\n\n{result['report']}\n")
    return result
