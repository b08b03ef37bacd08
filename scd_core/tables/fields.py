"""The columns of the audit tables: one dictionary of fields, from which schemas, checks and documentation are made."""

from __future__ import annotations

from scd_core.tables.field import Field
from scd_core.tables.finding_fields import FINDING_FIELDS
from scd_core.tables.picture_fields import PICTURE_FIELDS
from scd_core.tables.run_fields import RUN_FIELDS

__all__ = ["FIELDS"]

FIELDS: dict[str, Field] = PICTURE_FIELDS | FINDING_FIELDS | RUN_FIELDS
"""Column -> its field; a column that several tables have stands where it is first written."""
