"""The answer to a query, written for people as a table and for programs as CSV or JSON."""

from __future__ import annotations

import base64
import csv
import json
import math
import os
import sys
from collections.abc import Sequence
from datetime import date, datetime, time
from decimal import Decimal
from typing import Literal

import pyarrow as pa
from rich.console import Console
from rich.table import Table
from rich.text import Text

from deployments.cli.printable import printable
from scd_core.inputs.csv import safe_cell

__all__ = ["Output", "plain_value", "print_rows"]

Output = Literal["table", "csv", "json"]

_NO_LIMIT = 1_000_000
"""Columns; rich measures within some width."""


def print_rows(answer: pa.Table, output: Output) -> None:
    """Print rows on standard output.

    A terminal too narrow for a table gets each row as lines of name and value, so that no id or name is cut; a file and a
    pipe get a table as wide as it needs.

    Args:
        answer: the rows. Two columns may share a name; in JSON the last of them is kept.
        output: ``table``: numbers with four figures, nulls empty, bytes as their length. ``csv``, ``json``: all figures,
            integers as such beside nulls too, nulls empty or ``null``, also for NaN and infinity; times in ISO 8601,
            bytes in base64; lists, structs and maps as JSON.
            In ``csv`` a text that a spreadsheet would take for a formula has an apostrophe before it.
    """
    # By columns, because names may repeat; not through pandas, where an integer beside a null becomes a float.
    rows = list(zip(*(column.to_pylist(maps_as_pydicts="lossy") for column in answer.columns), strict=True))
    if output == "csv":
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow([safe_cell(name) for name in answer.column_names])
        writer.writerows([safe_cell(_csv_cell(value)) for value in row] for row in rows)
    elif output == "json":
        named = [dict(zip(answer.column_names, map(plain_value, row), strict=True)) for row in rows]
        sys.stdout.write(json.dumps(named, ensure_ascii=False) + "\n")
    else:
        _print_table(
            [Text(printable(name)) for name in answer.column_names],
            [[Text(printable(_cell(value), keep="\n")) for value in row] for row in rows],
        )


def _print_table(names: Sequence[Text], rows: Sequence[Sequence[Text]]) -> None:
    table = Table()
    for name in names:
        table.add_column(name)
    for row in rows:
        table.add_row(*row)
    console = Console()
    needed = console.measure(table, options=console.options.update(max_width=_NO_LIMIT)).maximum
    if rows and needed > console.width and (console.is_terminal or "COLUMNS" in os.environ):
        for row in rows:
            lines = Table.grid(padding=(0, 2, 0, 0))
            lines.add_column(no_wrap=True)
            lines.add_column(overflow="fold")
            for name, value in zip(names, row, strict=True):
                lines.add_row(name, value)
            console.print(lines, Text())
    else:
        console.width = max(needed, console.width)
        console.print(table)


def _csv_cell(value: object) -> object:
    """A value for a cell of a CSV file: what has parts is one line of JSON, which other programs read."""
    plain = plain_value(value)
    return json.dumps(plain, ensure_ascii=False) if isinstance(plain, list | dict) else plain


def _cell(value: object) -> str:
    """What a cell of a table for people shows; nothing for a null."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, bytes):
        return f"<{len(value)} bytes>"
    return str(plain_value(value))


def plain_value(value: object) -> object:
    """A value as CSV and JSON can carry it: times in ISO 8601, bytes in base64, what is no number as null."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Decimal):  # DuckDB's sum of integers
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, list | tuple):
        return [plain_value(item) for item in value]
    if isinstance(value, dict):
        return {str(plain_value(name)): plain_value(item) for name, item in value.items()}
    return value if isinstance(value, str | int | float | None) else str(value)
