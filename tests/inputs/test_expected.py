"""Files of expected individuals: what is read of them, and one clear line for what is not."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from scd_core.errors import InputError
from scd_core.inputs.expected import Expected, read_expected


def _read(tmp_path: Path, text: str) -> Expected:
    (tmp_path / "expected.csv").write_text(text)
    return read_expected(str(tmp_path / "expected.csv"))


def test_places_and_periods_are_read_and_a_last_day_is_whole(tmp_path: Path) -> None:
    found = _read(
        tmp_path,
        "Individual;Camera;Site;From;To\nAda;C01;;2026-03-01;2026-03-31\nBo;;north;2026-03-01 18:00;\nCy;;;;\n",
    )
    ada, bo, cy = found.rows
    assert (ada.individual_id, ada.camera_id, ada.site_id) == ("Ada", "C01", None)
    assert ada.start == datetime(2026, 3, 1) and ada.end is not None
    assert datetime(2026, 3, 31, 23, 59, 59) < ada.end < datetime(2026, 4, 1)
    assert (bo.site_id, bo.start, bo.end) == ("north", datetime(2026, 3, 1, 18), None)
    assert (cy.camera_id, cy.site_id, cy.start, cy.end) == (None, None, None, None)


def test_lines_that_cannot_be_used_are_counted_with_their_reason(tmp_path: Path) -> None:
    text = (
        "individual_id,camera_id,from,to\nAda,C01,,\nAda,C01,1.3.2026,\nAda,C01,2026-05-01,2026-04-01\n,C01,,\n"
        "Ada,C99,,\nZoe,C01,,\nAda,C01,2026-05-01T00:00Z,\n"
    )
    counts = _read(tmp_path, text).of_names(["Ada", "Bo"]).counts([("C01", None)])
    assert (counts.rows, counts.joined, counts.waiting, counts.unusable) == (7, 1, 1, 5)
    line = counts.line()
    for words in (
        "line 3: from '1.3.2026' is no date such as 2026-03-01",
        "line 4: from '2026-05-01' is later than to '2026-04-01'",
        "line 5: individual_id is empty",
        "line 8: from '2026-05-01T00:00Z' is no date",
        "line 7: 'Zoe' is no name of the model",
    ):
        assert words in line
    alone = _read(tmp_path, "individual_id,camera_id,site_id\nAda,C99,\nAda,,x\nAda,C01,y\n")
    counts = alone.of_names(["Ada"]).counts([("C01", None), ("C02", "y")])
    assert counts.waiting == 3
    assert counts.examples == (
        "line 2: no picture is of camera 'C99'",
        "line 3: no picture is of site 'x'",
        "line 4: camera 'C01' is not at site 'y'",
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no column individual_id"),
        ("camera_id,from\nC01,\n", "no column individual_id; expected individual_id, camera_id, site_id, from, to"),
        ("individual_id\n", "no row can be used"),
        ("individual_id,to\nAda,soon\n", "no row can be used; line 2: to 'soon' is no date"),
    ],
)
def test_a_file_of_which_nothing_can_be_used_is_refused_in_one_line(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(InputError) as caught:
        _read(tmp_path, text)
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_a_list_of_individuals_that_the_model_does_not_name_is_refused(tmp_path: Path) -> None:
    found = _read(tmp_path, "individual_id\nZoe\n")
    with pytest.raises(InputError, match=r"no row is of an individual that the model names; line 2: 'Zoe'"):
        found.of_names(["Ada"])


def test_the_digest_is_of_what_the_rows_mean(tmp_path: Path) -> None:
    one = _read(tmp_path, "individual_id,camera_id\nAda,C01\nBo,C02\n")
    same = _read(tmp_path, "individual;camera\nBo;C02\nAda;C01\n")
    other = _read(tmp_path, "individual_id,camera_id\nAda,C02\nBo,C01\n")
    assert one.digest == same.digest != other.digest
