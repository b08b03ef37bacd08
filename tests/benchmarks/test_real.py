"""What the benchmark on real animals counts, and how it dates its pictures."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

from benchmarks.real.alone import LEVELS, sure_rows
from benchmarks.real.run import COUNTS, count_outcomes
from benchmarks.real.sets import RealSet, date_pictures

TRUE, HOME, THIRD = "appy", "leo", "mina"


def row(predicted: str, final: str, **more: Any) -> dict[str, Any]:
    start = {"individual_id": TRUE, "home_of": HOME, "is_shifted": "true", "cause": None, "suggested_id": None}
    return start | {"predicted_id": predicted, "final_id": final, "is_flagged": False, "is_masked": False} | more


@pytest.mark.parametrize(
    ("one", "counted"),
    [
        (row(TRUE, TRUE), {"right", "by_animal"}),
        (row(TRUE, TRUE, is_shifted="false", home_of=TRUE), {"right", "home_right"}),
        (
            row(TRUE, TRUE, is_shifted="false", home_of=TRUE, suggested_id=THIRD),
            {"right", "home_right", "home_right_suggested", "suggested", "right_suggested"},
        ),
        (row(TRUE, HOME), {"right", "by_animal", "broken"}),
        (row(HOME, TRUE, is_flagged=True), {"home_errors", "home_corrected", "home_flagged", "flagged"}),
        (row(HOME, HOME, cause="confusable_pair"), {"home_errors", "home_look_alike"}),
        (row(HOME, HOME, cause="place", is_masked=True), {"home_errors", "home_explained", "home_masked"}),
        (row(THIRD, THIRD, cause="background"), {"other_errors", "other_explained"}),
        (
            row(HOME, HOME, suggested_id=TRUE),
            {"home_errors", "home_suggested", "home_suggested_right", "suggested", "suggested_right"},
        ),
        (row(TRUE, TRUE, suggested_id=HOME), {"right", "by_animal", "suggested", "right_suggested"}),
        (row(TRUE, TRUE, suggested_id=float("nan")), {"right", "by_animal"}),
    ],
)
def test_each_picture_counts_by_what_is_true_of_it(one: dict[str, Any], counted: set[str]) -> None:
    assert {name for name, n in count_outcomes([one]).items() if n} == counted | {"n"}
    assert set(count_outcomes([one])) == set(COUNTS)


def test_every_picture_gets_a_day_of_its_own_in_the_pictures_and_in_the_tables(tmp_path: Path) -> None:
    found = RealSet(tmp_path)
    files = ["P00/d0/0001a.jpg", "P01/d0/0001b.jpg"]
    for file in files:
        (found.pictures / file).parent.mkdir(parents=True)
        (found.pictures / file).write_bytes(file.encode())
    for name in ("truth.csv", "labels.csv", "detections.csv"):
        found.file(name).write_text("file,individual_id\n" + "".join(f"{file},{TRUE}\n" for file in files))
    date_pictures(found)
    for name in ("truth.csv", "labels.csv", "detections.csv"):
        with found.file(name).open(newline="") as handle:
            named = [record["file"] for record in csv.DictReader(handle)]
        assert [Path(file).name for file in named] == ["20250101_0600_0001a.jpg", "20250102_0600_0001b.jpg"]
        assert [(found.pictures / file).read_bytes().decode() for file in named] == files


def test_a_level_leaves_the_suggestions_that_are_at_least_so_sure() -> None:
    rows = [row(HOME, HOME, suggested_id=TRUE, suggested_probability=sure) for sure in (0.85, 0.95)]
    counts = {level: count_outcomes(sure_rows(rows, level))["suggested"] for level in LEVELS}
    assert counts == {0.8: 2, 0.9: 1, 0.95: 1, 0.98: 0}, "the setting is one of the levels"
