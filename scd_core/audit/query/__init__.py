"""Queries: DuckDB over every table, pandas frames, and ready views."""

from __future__ import annotations

from scd_core.audit.query.connection import connect, read_table

__all__ = ["connect", "read_table"]
