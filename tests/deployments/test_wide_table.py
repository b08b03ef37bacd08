"""Tables of figures in a narrow terminal: every number and id whole, in a row that begins with whose it is."""

from __future__ import annotations

import re

import pytest

from deployments.cli.wide_table import columns_together, print_figures

NAMES = ("way", "in new places", "gain, new", "where MODEL is right", "kept", "worst individual", "needs")
WAYS = ("whole (MODEL)", "class_means+0.6:wider_crop *")
WORDS = "boxes of the animals at each run; the network is shown each of them twice"
ROWS = [
    (WAYS[0], "15 % (8-25)", "", "", "", "jaguar-female-0017 0 % (0-30)", ""),
    (WAYS[1], "67 % (42-85)", "+52 (+20 to +71)", "-1", "98 %", "jaguar-female-0017 20 % (3-50)", WORDS),
]


@pytest.mark.parametrize("room", [60, 80, 100, 140])
def test_no_cell_is_cut_or_folded_in_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    """`improve` printed 140 columns whatever the terminal had, so each line was folded in the middle of numbers."""
    monkeypatch.setenv("COLUMNS", str(room))
    print_figures(NAMES, ROWS)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= room
    for row in ROWS:
        own = [re.split(r"  +", line.strip()) for line in lines if line.startswith(row[0])]
        found = [cell for cells in own for cell in cells[1:]]
        for cell in filter(None, row[1:-1]):
            assert cell in found
    said = " ".join(lines)
    assert all(word in said for word in WORDS.split()) and "in new" in said


def test_columns_stay_in_their_order_and_each_table_begins_with_the_first() -> None:
    tables = columns_together(NAMES, ROWS, 80)
    assert len(tables) > 1 and all(places[0] == 0 for places in tables)
    assert [place for places in tables for place in places[1:]] == list(range(1, len(NAMES)))


def test_a_pipe_gets_each_row_in_one_line(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    print_figures(NAMES, ROWS)
    head, *lines = capsys.readouterr().out.splitlines()
    assert re.split(r"  +", head.strip()) == list(NAMES)
    assert [re.split(r"  +", line.strip()) for line in lines] == [[cell for cell in row if cell] for row in ROWS]


def test_what_is_wider_than_the_terminal_is_whole_too(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    print_figures(NAMES, [(way, *rest[:-1], "[red]x\x1b[2J") for way, *rest in ROWS])
    lines = capsys.readouterr().out.splitlines()
    for cell in (*WAYS, "67 % (42-85)", "+52 (+20 to +71)", "jaguar-female-0017 20 % (3-50)", "[red]x\\x1b[2J"):
        assert any(cell in line for line in lines), cell
