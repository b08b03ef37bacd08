"""The audit: tables of predictions, masks, re-classifications, errors and systematic errors, and how to ask them."""

from __future__ import annotations

from scd_core.audit.query.connection import connect, read_table

__all__ = ["connect", "read_table"]
