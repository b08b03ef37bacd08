"""Ready views for the usual questions: a .sql file each in the folder ``sql``, which opens with the question."""

from __future__ import annotations

from importlib import resources

from scd_core.audit.sql import load_sql

__all__ = ["READY_VIEWS"]

READY_VIEWS: dict[str, str] = {
    file.name.removesuffix(".sql"): load_sql(__package__, file.name.removesuffix(".sql"))
    for file in resources.files(__package__).joinpath("sql").iterdir()
}
"""View -> SQL over the tables, as ``docs/queries.md`` lists them."""
