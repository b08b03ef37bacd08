"""The generated part of docs/audit.md: how well the audit finds what is there, from the results files.

python -m benchmarks.audit.docs [--check]
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.audit.cells import share_with_interval
from benchmarks.docs_page import NO_RESULT, RESULTS, page_options, read_result, rewrite, source_line, table

__all__ = ["BEGIN", "END", "PAGE", "main"]

BEGIN = "<!-- benchmark tables: written by `python -m benchmarks.audit.docs` from benchmarks/results; do not edit -->"
END = "<!-- end of benchmark tables -->"
PAGE = "audit.md"

_REGIMES = {
    "flagged": "all flagged, nothing else",
    "controls_1": "all flagged, 1 % controls",
    "controls_5": "all flagged, 5 % controls",
    "quarter": "a quarter of the flagged, 5 % controls",
    "random_5": "5 % of the events at random",
    "random_20": "20 % of the events at random",
    "everything": "everything",
}
_METHODS = {"audit": "audit", "group_by": "group-by", "slice_line": "SliceLine"}
_LABELS = {"list": "the program's list", "lot": "20 flagged and 10 unflagged at random"}
_FOUND_BY = {"audit": "the audit", "group_by": "a group-by"}


_EARLIER = ("recall", "recall_with_cause", "false")


def main(arguments: Sequence[str] | None = None) -> int:
    """Rewrite the generated part of the page, or with ``--check`` say whether it is as the results files have it."""
    parser = page_options("Tables of docs/audit.md from results.")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the results files")
    chosen = parser.parse_args(arguments)
    pages = {PAGE: _tables(chosen.results)}
    return rewrite(chosen.docs, pages, (BEGIN, END), "python -m benchmarks.audit.docs", check=chosen.check)


def _tables(results: Path) -> str:
    parts: list[str] = []
    if found := read_result(results / "audit_places.json"):
        parts += [
            "**Real cats in real places**: causes of wrong names, and of the slices that a report shows",
            _places(found["rows"]),
            source_line(found, "benchmarks.audit.places"),
        ]
    if found := read_result(results / "audit_look_alikes.json"):
        parts += [
            "**Real look-alikes**: causes of wrong names of nyala, whose cameras have nothing to do with the names",
            _look_alikes(found["rows"]),
            source_line(found, "benchmarks.audit.look_alikes"),
        ]
    if found := read_result(results / "audit.json"):
        rows = found["rows"]
        planted, empty = ([row for row in rows if row["planted"] == has] for has in ("yes", "no"))
        earlier = {row["regime"]: row for row in (read_result(results / "audit_before.json") or {"rows": []})["rows"]}
        parts += ["**Six planted errors a world**", _planted(planted, earlier)]
        parts += [
            "**The same labels, simple methods**: named, whatever the cause; false slices a world",
            _compared(planted),
        ]
        parts += ["**Nothing planted**: slices a world; those with a true lift below 1.2", _empty(empty)]
        parts += [
            f"{source_line(found, 'benchmarks.audit')} In brackets 95 % intervals."
            + "".join(
                f" {_REGIMES[regime]}: {found['about']['notes'][regime]}."
                for regime in _REGIMES
                if regime in found["about"]["notes"]
            )
        ]
    if found := read_result(results / "audit_nights.json"):
        parts += ["**Ten nights of 30 labels**", _nights(found["rows"]), source_line(found, "benchmarks.audit.nights")]
    if found := read_result(results / "audit_season.json"):
        parts += ["**90 nights**", _season(found["rows"]), source_line(found, "benchmarks.audit.season")]
    if found := read_result(results / "audit_other.json"):
        parts += ["**The second maker**", _other(found["rows"]), source_line(found, "benchmarks.audit --maker other")]
    return "\n\n".join(parts) if parts else NO_RESULT


_SETS = {"place": "read off the place", "thing": "read off a thing beside the cat, a control"}


def _places(rows: Sequence[dict[str, Any]]) -> str:
    titles = (
        "wrong names", "called a place", "called look-alikes", "other wrong names called a place", "slices of them",
        "of these a place", "of these look-alikes",
    )  # fmt: skip
    return _table(titles, [
        (
            f"{row['home']} {_SETS[row['kind']]}",
            f"{row['home_place']}: {_with_interval(share_with_interval('place', row['home_place'], row['home']), 'place')}",
            row["home_look_alike"],
            f"{row['other_place']} of {row['other']}", row["slices"], row["slices_place"], row["slices_look_alike"],
        )
        for row in rows
    ])  # fmt: skip


def _look_alikes(rows: Sequence[dict[str, Any]]) -> str:
    titles = (
        "cameras drawn by seed",
        "labelled",
        "wrong names",
        "called look-alikes",
        "called a place",
        "slices that a report shows",
    )
    return _table(titles, [
        (
            row["seed"], row["labelled"], row["wrong"],
            *(
                f"{row[kind]}: {_with_interval(share_with_interval(kind, row[kind], row['wrong']), kind)}"
                for kind in ("look_alike", "place")
            ),
            row["slices"],
        )
        for row in rows
    ])  # fmt: skip


def _planted(rows: Sequence[dict[str, Any]], earlier: dict[str, dict[str, Any]]) -> str:
    titles = (
        "labels", "worlds", "found", "with the right cause", "of the findable (their share)", "false slices a world",
        "bias of the rate", "coverage", "before",
    )  # fmt: skip
    lines = []
    for row in rows:
        if row["method"] == "audit":
            printed = _with_interval(row, "bias", ".3f") if row["printed"] else "no rate printed"
            before = earlier.get(row["regime"], {})
            lines.append((
                _REGIMES[row["regime"]], row["n_worlds"], _with_interval(row, "recall"), _with_interval(row, "recall_with_cause"),
                f"{_with_interval(row, 'recall_findable')} ({row['findable']:.2f})", _with_interval(row, "false"), printed,
                _number(row["coverage"]), "; ".join(_number(before.get(key)) for key in _EARLIER),
            ))  # fmt: skip
    return _table(titles, lines)


def _compared(rows: Sequence[dict[str, Any]]) -> str:
    return _by_method(rows, lambda row: f"{_number(row['recall'])}; {_number(row['false'])} of {row['reported']:.0f}")


def _empty(rows: Sequence[dict[str, Any]]) -> str:
    return _by_method(rows, lambda row: f"{_number(row['reported'])}; {_with_interval(row, 'false')}")


def _by_method(rows: Sequence[dict[str, Any]], words: Callable[[dict[str, Any]], str]) -> str:
    """A line for each regime, a column for each method."""
    methods = [method for method in _METHODS if any(row["method"] == method for row in rows)]
    lines = []
    for regime in dict.fromkeys(row["regime"] for row in rows):
        of = {row["method"]: row for row in rows if row["regime"] == regime}
        lines.append((_REGIMES[regime], *(words(of[method]) if method in of else "-" for method in methods)))
    return _table(("labels", *(_METHODS[method] for method in methods)), lines)


def _nights(rows: Sequence[dict[str, Any]]) -> str:
    titles = ("labels", "counted by", "found", "share", "false slices a world", "bias of the rate")
    return _table(titles, [
        (
            _LABELS[row["labels"]], _FOUND_BY[row["found_by"]], f"{row['n_found']} of {row['n_planted']}",
            _with_interval(row, "recall"), _number(row["false"]), _with_interval(row, "bias", ".3f"),
        )
        for row in rows
    ])  # fmt: skip


def _season(rows: Sequence[dict[str, Any]]) -> str:
    titles = (
        "worlds", "n", "worlds with a false announcement", "announced of the planted", "nights later than a single look",
    )  # fmt: skip
    return _table(titles, [
        (
            row["worlds"], row["n_worlds"], _with_interval(row, "false_worlds"), _with_interval(row, "announced"),
            _with_interval(row, "nights_later", ".0f"),
        )
        for row in rows
    ])  # fmt: skip


def _other(rows: Sequence[dict[str, Any]]) -> str:
    titles = ("shape", "found", "with the right cause", "slices that name nothing planted", "slices in an empty world")
    numbers = ("recall", "recall_with_cause", "unnamed", "in_empty_worlds")
    return _table(titles, [(f"`{row['shape']}`", *(_number(row[key]) for key in numbers)) for row in rows])


def _table(titles: Sequence[str], lines: Sequence[Sequence[object]]) -> str:
    return table(titles, [dict(zip(titles, line, strict=True)) for line in lines])


def _number(value: float | None, form: str = ".2f") -> str:
    return "-" if value is None else f"{value:{form}}"


def _with_interval(row: dict[str, Any], name: str, form: str = ".2f") -> str:
    """A value and its 95 % interval."""
    if row.get(name) is None:
        return "-"
    low, high = row.get(f"{name}_low"), row.get(f"{name}_high")
    return _number(row[name], form) + (f" ({_number(low, form)} to {_number(high, form)})" if low is not None else "")


if __name__ == "__main__":
    sys.exit(main())
