"""docs/conventions.md is how the schema's columns are named."""

from __future__ import annotations

import pyarrow as pa
import pytest

from scd_core.tables.fields import FIELDS

MOMENTS = ("first_seen", "last_seen", "onset", "onset_low", "onset_high")
"""Of slices; other tools know them by these names."""


@pytest.mark.parametrize("name", FIELDS)
def test_a_column_is_named_by_what_it_is(name: str) -> None:
    kind = FIELDS[name].type
    assert pa.types.is_boolean(kind) == name.startswith(("is_", "has_"))
    assert pa.types.is_timestamp(kind) == (name.endswith("_at") or name in MOMENTS)
    assert pa.types.is_date(kind) == name.endswith("_date")
    if name.startswith("n_") and name != "n_effective":
        assert pa.types.is_integer(kind)
    if name.endswith(("_id", "_key", "_digest")):
        assert pa.types.is_string(kind)
    if name.endswith("_status"):
        assert FIELDS[name].values is not None
