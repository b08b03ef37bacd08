"""What a person should know of the times of a batch, a line each."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["time_notes"]


def time_notes(media: pa.Table) -> list[str]:
    """Times that could not be read, pictures without a time, and clocks in doubt, each with how many and the first.

    Args:
        media: rows of the table ``media`` of a batch.
    """
    notes = []
    if (n := len(odd := _with(media, "time_not_understood"))) > 0:
        text, file = odd.column("time_not_understood")[0].as_py(), odd.column("file")[0].as_py()
        notes.append(f"{_n(n, 'time', 'times')} not understood, first {text!r} in {file}")
    usable = media.filter(pc.is_valid(media.column("width")))
    without = usable.filter(pc.is_null(usable.column("captured_at")))
    if (n := len(without)) > 0:
        first = without.column("file")[0].as_py()
        notes.append(
            f"{n} of {_n(len(usable), 'picture', 'pictures')} {'has' if n == 1 else 'have'} no time, first {first}; those of one "
            "deployment and folder are one event"
        )
    if (n := len(doubted := _with(media, "clock_doubt"))) > 0:
        why, file = doubted.column("clock_doubt")[0].as_py(), doubted.column("file")[0].as_py()
        notes.append(f"{_n(n, 'time is', 'times are')} in doubt, first {file}: {why}")
    return notes


def _with(media: pa.Table, column: str) -> pa.Table:
    return media.filter(pc.is_valid(media.column(column)))


def _n(n: int, one: str, more: str) -> str:
    return f"{n} {one if n == 1 else more}"
