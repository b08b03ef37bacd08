"""The typed rows and the allowed values come from the one schema."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from scd_core.audit.tables_page import tables_markdown
from scd_core.names import MediaStatus
from scd_core.tables import rows
from scd_core.tables.fields import FIELDS
from scd_core.tables.finding_fields import FINDING_FIELDS
from scd_core.tables.picture_fields import PICTURE_FIELDS
from scd_core.tables.rows_source import rows_source
from scd_core.tables.run_fields import RUN_FIELDS
from scd_core.tables.schema import DERIVED, SCHEMA_VERSION, TABLES, table_from_rows


def test_the_typed_rows_are_those_of_the_schema() -> None:
    assert Path(rows.__file__).read_text() == rows_source(), "run make docs"


def test_a_value_that_its_column_does_not_allow_is_refused() -> None:
    with pytest.raises(ValueError, match="table media, column status: 'fine' is none of"):
        table_from_rows("media", [{"media_id": "a", "status": "fine"}])
    with pytest.raises(ValueError, match="column flag_reasons: 'mood' is none of"):
        table_from_rows("predictions", [{"target_id": "a", "flag_reasons": ["control", "mood"]}])
    assert len(table_from_rows("media", [{"media_id": "a", "status": MediaStatus.OK}])) == 1


def test_the_page_lists_the_allowed_values() -> None:
    page = tables_markdown()
    for name, field in FIELDS.items():
        if field.values is not None:
            (line,) = {line for line in page.splitlines() if line.startswith(f"| `{name}` |")}
            assert all(f"`{value}`" in line for value in field.values)


def test_other_columns_of_a_batch_are_another_schema_version() -> None:
    """Files are only searched for columns that they lack where a commit is of an older version."""
    columns = {table: list(names) for table, names in TABLES.items() if table not in {*DERIVED, "labels"}}
    digest = hashlib.sha256(json.dumps(columns).encode()).hexdigest()[:12]
    assert (SCHEMA_VERSION, digest) == (3, "0247aaa9b74e"), "columns changed: raise SCHEMA_VERSION and note both here"


def test_no_column_is_described_twice() -> None:
    """Of two descriptions in two files the later one would count, unseen."""
    assert len(FIELDS) == len(PICTURE_FIELDS) + len(FINDING_FIELDS) + len(RUN_FIELDS)
