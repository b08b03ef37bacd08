"""Ready views for the usual questions, by name: the SQL behind ``docs/queries.md``."""

from __future__ import annotations

__all__ = ["READY_VIEWS"]

READY_VIEWS: dict[str, str] = {
    "systematic_errors": """
        SELECT * FROM error_slices WHERE is_systematic AND folded_into IS NULL ORDER BY n_errors DESC
    """,
}
"""View -> SELECT over the tables; every one is described in ``docs/queries.md``."""
