"""Rows of a query as people and programs get them."""

from __future__ import annotations

import csv
import io
import json

import duckdb
import pyarrow as pa
import pytest

from deployments.cli.answers import print_rows
from scd_core.inputs.csv import safe_path
from scd_core.inputs.joining import path_as_joined
from scd_core.inputs.pairs import name_lines, pair_lines


@pytest.fixture
def rows() -> pa.Table:
    return duckdb.sql(
        """
        select * from (values
            (1, 'C01, north', 0.25::double, timestamptz '2026-03-29 01:30:00+00', 'x'::blob, ['1.5'::float, 'nan'::float]),
            (null, null, 'inf'::double, null::timestamptz, null::blob, null)
        ) t(n, station, score, taken, png, bbox), (select sum(x) as total from range(5) r(x))
        """
    ).to_arrow_table()


def test_csv_is_what_was_asked_for(rows: pa.Table, capsys: pytest.CaptureFixture[str]) -> None:
    print_rows(rows, "csv")
    head, first, second = csv.reader(io.StringIO(capsys.readouterr().out))
    assert head == ["n", "station", "score", "taken", "png", "bbox", "total"]
    assert first == ["1", "C01, north", "0.25", "2026-03-29T01:30:00+00:00", "eA==", "[1.5, null]", "10"]
    assert second == ["", "", "", "", "", "", "10"]


def test_json_is_what_was_asked_for(rows: pa.Table, capsys: pytest.CaptureFixture[str]) -> None:
    print_rows(rows, "json")
    first, second = json.loads(capsys.readouterr().out)
    assert first == {
        "n": 1, "station": "C01, north", "score": 0.25, "taken": "2026-03-29T01:30:00+00:00", "png": "eA==",
        "bbox": [1.5, None], "total": 10,
    }  # fmt: skip
    assert set(map(type, first.values())) == {int, str, float, list}
    assert second == dict.fromkeys(first) | {"total": 10}


def test_what_has_parts_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    """Lists, structs and maps, whatever their keys are, in JSON and in a cell of CSV."""
    answer = duckdb.sql(
        """
        select map {'camera': 'C01', 'name': 'Émile'} as slice, map {date '2026-03-29': 2} as days,
            {'id': 'Ada', 'p': 'nan'::double} as top, map {} as nothing, [map {'a': [1, 2]}] as deep
        """
    ).to_arrow_table()
    expected = {
        "slice": {"camera": "C01", "name": "Émile"}, "days": {"2026-03-29": 2}, "top": {"id": "Ada", "p": None},
        "nothing": {}, "deep": [{"a": [1, 2]}],
    }  # fmt: skip
    print_rows(answer, "json")
    assert json.loads(capsys.readouterr().out) == [expected]
    print_rows(answer, "csv")
    head, cells = csv.reader(io.StringIO(capsys.readouterr().out))
    assert {name: json.loads(cell) for name, cell in zip(head, cells, strict=True)} == expected


def test_a_table_shows_nothing_where_there_is_nothing(
    rows: pa.Table, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "140")
    print_rows(rows, "table")
    lines = capsys.readouterr().out.splitlines()
    cells = [[cell.strip() for cell in line.split("│")[1:-1]] for line in lines if line.startswith("│")]
    assert cells == [
        ["1", "C01, north", "0.25", "2026-03-29T01:30:00+00:00", "<1 bytes>", "[1.5, None]", "10"],
        ["", "", "inf", "", "", "", "10"],
    ]


def _many_columns() -> pa.Table:
    ids = [f"candidate-{place:012x}" for place in range(3)]
    return pa.table({"individual_id": ids, **{f"a_column_{n}": ["seen", "Ada 0.4", None] for n in range(9)}})


def test_a_narrow_terminal_cuts_no_id(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """`individuals list` in 80 columns showed `can...` in place of the id that `individuals add` needs."""
    monkeypatch.setenv("COLUMNS", "80")
    print_rows(_many_columns(), "table")
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert [line.split() for line in lines if line.startswith("individual_id")] == [
        ["individual_id", f"candidate-{place:012x}"] for place in range(3)
    ]
    assert ["a_column_8", "Ada", "0.4"] in [line.split() for line in lines]
    assert sum("a_column_8" in line for line in lines) == 3, "also where it is empty"
    print_rows(_many_columns().slice(0, 2).select(["individual_id", "a_column_0"]), "table")
    assert "│ candidate-000000000001 │ Ada 0.4" in capsys.readouterr().out, "what fits is a table"
    print_rows(_many_columns().slice(0, 0), "table")
    assert "a_column_8" in capsys.readouterr().out, "without rows the names of the columns stand alone"


def test_a_pipe_gets_each_row_whole_in_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    print_rows(_many_columns(), "table")
    rows = [line.split("│")[1:-1] for line in capsys.readouterr().out.splitlines() if line.startswith("│")]
    assert [row[0].strip() for row in rows] == [f"candidate-{place:012x}" for place in range(3)]
    assert {len(row) for row in rows} == {10}


def test_brackets_of_a_value_are_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    print_rows(pa.table({"[red]": ["[bold]7[/bold]"]}), "table")
    shown = capsys.readouterr().out
    assert "[red]" in shown
    assert "[bold]7[/bold]" in shown


@pytest.mark.parametrize(
    "text",
    ['=HYPERLINK("http://a")', "+1+1", "-1+cmd", "@SUM(A1)", "\t=1", "\r=1", "\uff1d1", " =1", "\ufeff=1", "\u200b@a"],
)
def test_no_cell_of_a_csv_is_a_formula(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Names of files and of individuals come from strangers, and a spreadsheet runs what begins so."""
    print_rows(pa.table({text: [text]}), "csv")
    cells = [line.strip('"') for line in capsys.readouterr().out.split("\n") if line]
    assert cells == [f"'{text}".replace('"', '""')] * 2
    print_rows(pa.table({"a": [text]}), "json")
    assert json.loads(capsys.readouterr().out) == [{"a": text}], "JSON is read by programs, as it is"


def test_no_file_to_fill_in_has_a_formula_and_its_paths_still_mean_their_pictures() -> None:
    made = pair_lines([("t1", "t2")], {"t1": "=cmd.jpg", "t2": "C01/b.jpg"})
    assert made.splitlines()[1] == "t1,t2,./=cmd.jpg,C01/b.jpg,"
    assert name_lines(["@a.jpg"]).splitlines()[1] == "./@a.jpg,"
    assert path_as_joined(safe_path("=cmd.jpg")) == "=cmd.jpg"


def test_numbers_stay_numbers_in_a_csv(capsys: pytest.CaptureFixture[str]) -> None:
    print_rows(pa.table({"n": [-1], "x": [-0.5], "t": ["-1.5"], "e": ["+2e-3"]}), "csv")
    assert capsys.readouterr().out == "n,x,t,e\n-1,-0.5,-1.5,+2e-3\n"
