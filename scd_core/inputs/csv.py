"""CSV files that a user hands over: one reader, whatever their separator, byte-order mark and spelling of columns; and cells of
files that a user opens in a spreadsheet."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from scd_core.errors import InputError
from scd_core.inputs.limits import in_time

__all__ = ["Line", "column_names", "has_column", "read_csv", "safe_cell", "safe_path"]

_SEPARATORS = ",;\t"
_FIRST_LINE = re.compile(r"[^\r\n]*")
_FORMULA = re.compile(r"[\t\r\n]|[\s\x00-\x1f\u200b-\u200f\u2028-\u202e\u2060\ufeff]*[=+\-@\uff0b\uff0d\uff1d\uff20]")
"""How a cell begins that spreadsheets take for a formula, wide forms included, and what they pass over before it."""
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?")


def safe_cell(value: object) -> object:
    """A cell of a CSV file that no spreadsheet runs: a text may come from a file's name, and a file from anybody.

    >>> print(safe_cell("=1+1"), safe_cell("-1.5"), safe_cell("a=b"))
    '=1+1 -1.5 a=b
    """
    return f"'{value}" if isinstance(value, str) and _is_formula(value) else value


def safe_path(path: str) -> str:
    """A path in a cell that no spreadsheet runs, and that still means the same picture.

    >>> safe_path("=1.jpg"), safe_path("C01/a.jpg")
    ('./=1.jpg', 'C01/a.jpg')
    """
    return f"./{path}" if _is_formula(path) else path


def _is_formula(text: str) -> bool:
    return _FORMULA.match(text) is not None and not _NUMBER.fullmatch(text)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a table: text by column, whatever the case of the column's name."""

    file: str
    """Name of the file in messages."""
    number: int
    """In the file, counted from 1; the last one, where a quoted value has line breaks."""
    values: Mapping[str, str]
    """Column in lower case -> text without blanks around it."""

    def __getitem__(self, column: str) -> str:
        """Text of a column; empty where the line or the table lacks it."""
        return self.values.get(column.lower(), "")

    def first(self, *columns: str) -> str | None:
        """Text of the first of some columns that holds any."""
        return next((text for column in columns if (text := self[column])), None)

    @property
    def where(self) -> str:
        """File and line, for messages."""
        return f"{self.file}: line {self.number}"


def read_csv(text: str, file: str, required: Sequence[str] = (), *, is_strict: bool = False) -> Iterator[Line]:
    """Lines of a CSV file; those without any text are left out, as spreadsheets write them below a table.

    The separator is the most frequent of comma, semicolon and tab in the first line. Case of column names and blanks around
    names and values are ignored; a short line has empty columns.

    Args:
        text: the whole file.
        file: its name in messages, such as ``labels cards/labels.csv``.
        required: columns that must be there, once.
        is_strict: refuse a value without a column, and a misplaced quote, instead of passing over them.

    Raises:
        InputError: a column is missing or there twice, a line cannot be read, whose number the message gives, or the lines take
            longer than `files.max_seconds`.

    >>> [line["file"] for line in read_csv("File ; x\\na.jpg;1\\n", "flags f.csv", ["file"])]
    ['a.jpg']
    """
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_separator(text), strict=is_strict)
    try:
        names = [name.strip() for name in next(reader, [])]
        columns = [name.lower() for name in names]
        for column in required:
            if column.lower() not in columns:
                raise InputError(
                    f"{file}: line 1: no column {column}; expected {', '.join(required)}, "
                    f"got {', '.join(names) or 'an empty file'}"
                )
            if columns.count(column.lower()) > 1:
                raise InputError(f"{file}: line 1: column {column} is there twice, whatever its case; keep one of them")
        for values in in_time(reader, file):
            if not any(text.strip() for text in values):
                continue
            pairs = [(column, text.strip()) for column, text in zip_longest(columns, values, fillvalue="")]
            if is_strict and any(text and not column for column, text in pairs):
                raise InputError(
                    f"{file}: line {reader.line_num}: more values than the {len(columns)} columns; "
                    "quote values that hold the separator"
                )
            yield Line(file, reader.line_num, {column: text for column, text in pairs if column})
    except csv.Error as error:
        raise InputError(f"{file}: line {reader.line_num}: {error}") from error


def has_column(text: str, *columns: str) -> bool:
    """Whether the first line of a CSV file names one of some columns."""
    return not {column.lower() for column in columns}.isdisjoint(name.lower() for name in column_names(text))


def column_names(text: str) -> list[str]:
    """Columns that the first line of a CSV file names, as written, without blanks around them."""
    try:
        return [name.strip() for name in next(csv.reader([_first_line(text)], delimiter=_separator(text)), [])]
    except csv.Error:  # reading the file gives the message
        return []


def _separator(text: str) -> str:
    return max(_SEPARATORS, key=_first_line(text).count)


def _first_line(text: str) -> str:
    return _FIRST_LINE.match(text)[0]  # type: ignore[index]  # it matches anything
