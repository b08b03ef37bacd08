"""What the benchmark of the masks' noise counts."""

from __future__ import annotations

from PIL import Image

from benchmarks.real.noise import count_changes
from benchmarks.reclassify.cases import Case

BLANK = Image.new("RGB", (8, 8))


def case(true: str, called: str) -> Case:
    return Case(BLANK, true, called, None, "right" if true == called else "other")


def test_a_name_counts_as_changed_where_one_noise_gives_another() -> None:
    cases = [case("a", "a"), case("a", "b"), case("c", "b")]
    names = [["a", "a", "b"], ["b", "a", "b"], ["a", "a", "a"], ["a", "a", "b"]]
    found = count_changes(cases, names)
    assert found == {"changed": 2, "suggested": (1 + 4 + 1) / 4, "right": 1.0, "broken": 0.25}
    assert count_changes(cases, [["a", "b", "b"]] * 3) == {"changed": 0, "suggested": 0, "right": 0, "broken": 0}
