"""Tables of figures for a terminal: nothing in a cell is cut, and columns that find no room stand in a further table below."""

from __future__ import annotations

import os
from collections.abc import Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from deployments.cli.printable import printable

__all__ = ["columns_together", "print_figures"]

_GAP = 2
"""Blanks between columns."""
_SENTENCE = 30
"""A cell wider than this with blanks in it is a sentence, which may be folded to this width."""


def print_figures(names: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table; in a terminal (or with COLUMNS set) as several, one below the other, each begun by the first column.

    Headings and sentences are folded between words; every other cell stays in one line. Where the output goes elsewhere, the
    table is as wide as its cells.

    Args:
        names: of the columns.
        rows: a cell for each column; what would steer a terminal is escaped.
    """
    cells = [[printable(cell) for cell in row] for row in rows]
    console = Console(highlight=False)
    is_narrow = console.is_terminal or "COLUMNS" in os.environ
    widest = [max(cell_len(line) for line in (name, *column)) for name, *column in zip(names, *cells, strict=True)]
    room = console.width if is_narrow else sum(widest) + _GAP * len(widest)
    console.width = max(
        room, sum(widest) + _GAP * len(widest)
    )  # what is wider than a terminal is folded by it, not cut here
    for number, places in enumerate(columns_together(names, cells, room)):
        if number:
            console.print()
        console.print(_table(names, cells, places, room))


def columns_together(names: Sequence[str], rows: Sequence[Sequence[str]], room: int) -> list[list[int]]:
    """Which columns stand in each table: as many as find room, in order; the first column is in each.

    Args:
        names: of the columns.
        rows: a cell for each column.
        room: width of the terminal, in characters.

    >>> columns_together(["way", "gain", "kept"], [["whole", "+12 (3 to 20)", "98 %"]], 21)
    [[0, 1], [0, 2]]
    """
    narrow = _narrowest(names, rows)
    tables, used = [[0]], narrow[0]
    for place in range(1, len(names)):
        if used + _GAP + narrow[place] > room and len(tables[-1]) > 1:
            tables.append([0])
            used = narrow[0]
        tables[-1].append(place)
        used += _GAP + narrow[place]
    return tables


def _narrowest(names: Sequence[str], rows: Sequence[Sequence[str]]) -> list[int]:
    """Smallest width of each column: of its longest cell, a sentence folded, and of its heading in two lines."""

    def of_cell(cell: str) -> int:
        if cell_len(cell) <= _SENTENCE or " " not in cell:
            return cell_len(cell)
        return max(_SENTENCE, *map(cell_len, cell.split()))

    def of_heading(name: str) -> int:
        words = name.split()
        halves = [(" ".join(words[:n]), " ".join(words[n:])) for n in range(1, len(words))]
        return min((max(map(cell_len, both)) for both in halves), default=cell_len(name))

    return [max([of_heading(name), *map(of_cell, column)]) for name, *column in zip(names, *rows, strict=True)]


def _table(names: Sequence[str], rows: Sequence[Sequence[str]], places: Sequence[int], room: int) -> Table:
    """Some of the columns, each as narrow as it may be; what room is left goes to those whose text is folded, in order."""
    narrow = _narrowest(names, rows)
    widths = {place: narrow[place] for place in places}
    left = room - sum(widths.values()) - _GAP * (len(places) - 1)
    table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0))
    for place in places:
        wanted = max(cell_len(text) for text in (names[place], *(row[place] for row in rows)))
        more = min(max(left, 0), wanted - widths[place])
        left -= more
        table.add_column(Text(names[place]), width=widths[place] + more, overflow="fold")
    for row in rows:
        table.add_row(*(Text(row[place]) for place in places))
    return table
