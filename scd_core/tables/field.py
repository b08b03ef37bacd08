"""What a column of the audit tables is, and the types that several columns have."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import pyarrow as pa

__all__ = ["CANDIDATES", "TIME", "Field"]


@dataclass(frozen=True)
class Field:
    """A column: its Arrow type, what it means, its unit where it has one, and the values it may have."""

    type: pa.DataType
    description: str
    unit: str = ""
    values: type[StrEnum] | None = None  # the only values allowed, of the column or of the items of a list
    is_required: bool = False  # never null


TIME = pa.timestamp("us", tz="UTC")
"""A moment."""

CANDIDATES = pa.list_(pa.struct([("individual_id", pa.string()), ("probability", pa.float32())]))
"""Names with their probabilities."""
