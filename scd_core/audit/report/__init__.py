"""The morning's page: one self-contained HTML file on what the classifier keeps getting wrong, with pictures."""

from __future__ import annotations

from typing import Any

__all__ = ["write_report"]


def __getattr__(name: str) -> Any:
    """`write_report`, whose module brings SciPy, which a run with nothing new does without."""
    if name == "write_report":
        from scd_core.audit.report.write import write_report

        return write_report
    raise AttributeError(name)
