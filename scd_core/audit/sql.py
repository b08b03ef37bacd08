"""Queries of the audit, each in a .sql file in the folder `sql` of the package that runs it."""

from __future__ import annotations

from functools import cache
from importlib import resources

__all__ = ["load_sql"]


@cache
def load_sql(package: str, name: str) -> str:
    """Text of ``sql/<name>.sql`` in a package such as ``"scd_core.audit.report"``.

    >>> load_sql("scd_core.audit.report", "totals_slices").splitlines()[0]
    '-- totals_slices: how many slices are systematic errors of their own, and whether a better model was never tried for them.'
    """
    return resources.files(package).joinpath("sql", f"{name}.sql").read_text("utf-8")
