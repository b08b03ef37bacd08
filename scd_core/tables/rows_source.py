"""Writes ``rows.py`` from the schema, for ``make docs``."""

from __future__ import annotations

import pyarrow as pa

from scd_core.tables.fields import FIELDS
from scd_core.tables.schema import TABLES, is_required

__all__ = ["rows_source"]

_NAMES = {
    "media": "MediaRow",
    "predictions": "PredictionRow",
    "masks": "MaskRow",
    "reclassifications": "ReclassificationRow",
    "labels": "LabelRow",
    "errors": "ErrorRow",
    "error_slices": "SliceRow",
    "runs": "RunRow",
    "embeddings": "EmbeddingRow",
    "candidates": "CandidateRow",
}

_HEAD = '''"""A row of each table as a typed dictionary, for mypy; `make docs` writes it from ``fields.py`` and ``schema.py``.

Rows are built in steps, so no key is required; a value may be null unless its column never is by the schema.
"""

from __future__ import annotations

from datetime import datetime
from typing import TypedDict
'''

_STRUCTS = {
    ("individual_id", "probability"): "Candidate",
    ("x_min", "y_min", "width", "height"): "HiddenBox",
}


def rows_source() -> str:
    """The module ``scd_core.tables.rows``: one ``TypedDict`` for each table."""
    exported = sorted([*_NAMES.values(), *_STRUCTS.values()])
    lines = [_HEAD, "__all__ = ["]
    lines += [f'    "{name}",' for name in exported]
    lines += ["]", ""]
    lines += ["", "class Candidate(TypedDict):", '    """A name that the model gives some probability."""', ""]
    lines += ["    individual_id: str", "    probability: float", ""]
    lines += ["", "class HiddenBox(TypedDict):", '    """A box that is neither classified nor shown, in shares."""', ""]
    lines += [f"    {name}: float" for name in ("x_min", "y_min", "width", "height")]
    for table, columns in TABLES.items():
        lines += ["", "", f"class {_NAMES[table]}(TypedDict, total=False):"]
        lines += [f'    """A row of the table ``{table}``."""', ""]
        lines += [f"    {name}: {_python_type(table, name)}" for name in columns]
    return "\n".join(lines) + "\n"


def _python_type(table: str, column: str) -> str:
    return _of(FIELDS[column].type) + ("" if is_required(table, column) else " | None")


def _of(kind: pa.DataType) -> str:
    if pa.types.is_list(kind):
        return f"list[{_of(kind.value_type)}]"
    if pa.types.is_struct(kind):
        return _STRUCTS[tuple(kind.field(place).name for place in range(kind.num_fields))]
    if pa.types.is_map(kind):
        return f"list[tuple[{_of(kind.key_type)}, {_of(kind.item_type)}]]"
    for test, name in (
        (pa.types.is_timestamp, "datetime"),
        (pa.types.is_floating, "float"),
        (pa.types.is_integer, "int"),
        (pa.types.is_boolean, "bool"),
        (pa.types.is_binary, "bytes"),
    ):
        if test(kind):
            return name
    return "str"


if __name__ == "__main__":
    print(rows_source(), end="")
