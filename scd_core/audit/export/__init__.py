"""Handing an audit to other software: Camtrap DP packages, MegaDetector results, and names to check elsewhere."""

from __future__ import annotations

from scd_core.audit.export.write import export_audit

__all__ = ["export_audit"]
