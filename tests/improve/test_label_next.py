"""Which pictures to label next: those that would move the head, no two alike; as a file that `labels import` reads."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from scd_core.identify.class_means import Head
from scd_core.improve.label_next import choose_next
from scd_core.improve.labelled import read_unlabelled
from tests.improve import world

HEAD = Head(np.array([[4.0, 0], [-4.0, 0]], np.float32), np.zeros(2, np.float32))


def test_a_doubtful_picture_comes_first_and_its_copies_do_not_follow():
    known = np.array([[1.0, 0], [-1, 0], [1, 0.1], [-1, 0.1]], np.float32)
    doubtful, copy, other, sure = [0.0, 1], [0.0, 1], [0.0, -1], [1.0, 0.05]
    features = np.array([sure, doubtful, copy, other], np.float32)
    assert set(choose_next(features, known, HEAD, 2).tolist()) in ({1, 3}, {2, 3})
    assert (
        choose_next(features, known, HEAD, 9).tolist()[-1] in (0, 1, 2)
        and len(choose_next(features, known, HEAD, 9)) == 4
    )


def test_the_length_of_the_expected_gradient_is_that_of_the_loss():
    """By hand: two names at .5 each move the head by the same length, |p - e| = sqrt(.5), times that of the features."""
    known = np.zeros((0, 2), np.float32)
    features = np.array([[0.0, 1], [0, -1], [2, 0.5], [-2, -0.5]], np.float32)
    assert set(choose_next(features, known, HEAD, 2).tolist()) == {0, 1}


def test_the_list_is_of_unlabelled_pictures_and_its_answers_are_kept_apart(
    trapaudit: Callable[..., Any], tmp_path: Path
) -> None:
    seen = world.plain(60)
    out = world.build(
        tmp_path, [*seen, *(replace(one, label="", visit=one.visit + 500) for one in world.plain(40, seed=3))]
    )
    unlabelled = {row["file"] for row in read_unlabelled(out, 192).rows}
    assert len(unlabelled) == 40
    done = trapaudit("improve", out, "--model", world.pack(tmp_path), "--label-next", tmp_path / "next.csv")
    assert done.code == 0 and "30 pictures to label next" in done.err, done.err
    with (tmp_path / "next.csv").open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert len({row["file"] for row in rows}) == 30 and {row["file"] for row in rows} <= unlabelled
    assert {row["review_queue"] for row in rows} == {"improve"} and {row["new_id"] for row in rows} <= set(world.NAMES)
    with (tmp_path / "named.csv").open("w", newline="") as handle:
        writer = csv.DictWriter(handle, rows[0])
        writer.writeheader()
        writer.writerows(row | {"individual_id": "Ada"} for row in rows)
    assert trapaudit("labels", "import", out, tmp_path / "named.csv").code == 0
    found = trapaudit("sql", out, "select count(*) as n from labels where review_queue = 'improve'")
    assert "30" in found.out.split()


def test_a_list_that_is_no_csv_is_refused(trapaudit: Callable[..., Any], tmp_path: Path) -> None:
    done = trapaudit("improve", tmp_path, "--model", tmp_path, "--label-next", "next.txt")
    assert done.code == 2 and "ends in .csv" in done.err
