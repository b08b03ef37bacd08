"""Writes ``docs/tables.md`` from the schema: ``python -m scd_core.audit.tables_page > docs/tables.md``."""

from __future__ import annotations

import pyarrow as pa

from scd_core.audit.errors.causes import CAUSE_RULES
from scd_core.audit.errors.suspicion import SUSPICION_REASONS
from scd_core.tables.fields import FIELDS
from scd_core.tables.schema import PARTITION, SCHEMA_VERSION, TABLES, description

__all__ = ["tables_markdown"]

_ROWS = {
    "media": "object seen",
    "predictions": "image or detection, classified",
    "masks": "masked prediction",
    "reclassifications": "masked prediction and strategy",
    "labels": "human label, as imported",
    "errors": "prediction that is labelled or suspected, in one report",
    "error_slices": "slice tested in one report",
    "runs": "committed run",
    "embeddings": "image or detection that was named, as the network sees it",
    "candidates": "unknown image or detection, one per merge of two candidates, and one per picture that leaves a candidate",
}


def tables_markdown() -> str:
    """The whole page: every table with its columns, types, units and meaning, and the rules of causes and suspicions."""
    lines = [
        "# Tables",
        "",
        "Generated from `scd_core/tables/fields.py` and `scd_core/tables/schema.py` by "
        "`python -m scd_core.audit.tables_page`; do not edit.",
        "",
        f"Schema version {SCHEMA_VERSION}, written into each file (`trapaudit.schema_version`). Files lie under "
        "`OUT/<table>/<partition>=YYYY-MM-DD/`; the partition is a column of each view. A batch's files count once",
        "`OUT/commits/<batch_key>.json` is there; of `errors` and `error_slices` the newest report counts.",
        "",
    ]
    for table, columns in TABLES.items():
        lines += [f"## {table}", "", f"One row per {_ROWS[table]}; partitioned by `{PARTITION[table]}`.", ""]
        lines += ["| column | type | unit | what it is |", "|---|---|---|---|"]
        for name in columns:
            field = FIELDS[name]
            lines.append(f"| `{name}` | {_type(field.type)} | {field.unit} | {_meaning(table, name)} |")
        lines.append("")
    lines += ["## Causes", "", "Rules in the order in which they are tried; the numbers are settings of `slices`.", ""]
    lines += [f"- `{cause}`: {rule}" for cause, rule in CAUSE_RULES.items()]
    lines += [
        "- `unexplained`: none of these.",
        "",
        "## Suspicions",
        "",
        "Reasons to doubt a name that nobody labelled.",
        "",
    ]
    lines += [f"- `{reason}`: {words}." for reason, words in SUSPICION_REASONS.items()]
    return "\n".join(lines) + "\n"


def _meaning(table: str, column: str) -> str:
    text, values = description(table, column).replace("|", "/"), FIELDS[column].values
    return text if values is None else f"{text}: {', '.join(f'`{value}`' for value in values)}"


def _type(kind: pa.DataType) -> str:
    if pa.types.is_list(kind):
        return f"list of {_type(kind.value_type)}"
    if pa.types.is_struct(kind):
        return (
            "("
            + ", ".join(f"{kind.field(place).name} {_type(kind.field(place).type)}" for place in range(kind.num_fields))
            + ")"
        )
    if pa.types.is_map(kind):
        return f"map of {_type(kind.key_type)} to {_type(kind.item_type)}"
    if pa.types.is_timestamp(kind):
        return "timestamp UTC" if kind.tz else "timestamp"
    return {"halffloat": "float16", "float": "float32", "double": "float64", "bool": "boolean"}.get(
        str(kind), str(kind)
    )


if __name__ == "__main__":
    print(tables_markdown(), end="")
