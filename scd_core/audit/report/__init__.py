"""The morning's page: one self-contained HTML file on what the classifier keeps getting wrong, with pictures."""

from __future__ import annotations

from scd_core.audit.report.write import write_report

__all__ = ["write_report"]
