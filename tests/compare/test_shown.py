"""Two models side by side: each line in a world where it is false, and the page, which has the command's lines or none."""

from __future__ import annotations

from collections.abc import Callable
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from scd_core.audit.compare.models import compare_models
from scd_core.audit.compare.sentences import comparison_lines
from tests.audit.audit_builder import AuditBuilder, label
from tests.compare.test_compare import NAMES, NEW, OLD, audit, of

Call = Callable[..., Any]
HEAD = "Two models side by side"


def page_of(out: str) -> str:
    return unescape((Path(out) / "report" / "index.html").read_text())


def lines(folder: Path, kinds: list[tuple[str, str]], n_unlabelled: int = 0) -> list[str]:
    return comparison_lines(compare_models(audit(folder, kinds, n_unlabelled), OLD, NEW))


def has(found: list[str], words: str) -> bool:
    return any(words in line for line in found)


def test_a_line_stands_where_it_is_true_and_not_where_it_is_false(tmp_path: Path) -> None:
    better = lines(tmp_path / "a", [*of(30, "both"), *of(14, "new"), *of(14, "both", "C02")])
    worse = lines(tmp_path / "b", [*of(30, "both", "C02"), *of(14, "old"), *of(14, "both")])
    equal = lines(tmp_path / "c", of(30, "both"), n_unlabelled=12)
    for words, where in (
        ("better: Camera C01: 14 mended, 0 spoilt of 44 visits", better),
        ("better: no group, proved", worse),
        ("worse: no group, proved", better),
        ("worse: Camera C01: 0 mended, 14 spoilt of 28 visits", worse),
        ("promote: it errs less", better),
        ("do not promote: it errs more", worse),
        ("these 12 of 12 pictures are named differently", equal),
        ("label: u", equal),
        ("label: 2 more; --out FILE.csv", equal),
    ):
        assert [has(found, words) for found in (better, worse, equal)] == [
            found is where or (words == "better: no group, proved" and found is equal)
            or (words == "worse: no group, proved" and found is equal)
            for found in (better, worse, equal)
        ], words  # fmt: skip
    assert has(
        better, "58 labelled pictures in 58 visits named by both; 0 by the old model alone, 0 by the new one alone"
    )
    assert has(better, "  only new right      14 visits ") and has(worse, "  only old right      14 visits ")
    assert has(equal, "  only new right       0 visits ") and has(equal, "  both right          30 visits ")


def test_systematic_errors_stand_with_what_becomes_of_them(tmp_path: Path) -> None:
    kinds = [
        *of(40, "both"),
        *of(12, "new", "C02"),
        *of(2, "both", "C02"),
        *of(12, "old", "C03"),
        *of(2, "both", "C03"),
    ]
    found = lines(tmp_path / "a", kinds)
    assert has(found, "systematic error gone: Camera C02; of 14 visits the old model errs on 12, the new one on 0")
    assert has(
        found, "systematic error new: Camera C03, night pictures without infrared; of 12 visits the old model errs on 0"
    )
    assert len([line for line in found if line.startswith("better: Camera C02:")]) == 1, "a slice is no second group"
    assert not has(lines(tmp_path / "b", of(40, "both")), "systematic error")


@pytest.mark.parametrize("name", ["unknown", "Luna", None])
def test_unknowns_and_calibration_are_of_each_model(tmp_path: Path, name: str | None) -> None:
    for key, model, called in (("b1", OLD, name), ("b2", NEW, "Luna")):
        builder = AuditBuilder(tmp_path / "audit", key, model, individuals=NAMES)
        for place in range(4):
            builder.predict(f"{place}.jpg", called, 0.5)
        builder.predict("e.jpg", "Luna", 0.5)
        builder.write()
    label(tmp_path / "audit", tmp_path, {**{f"{place}.jpg": "Luna" for place in range(4)}, "e.jpg": "blank"})
    found = comparison_lines(compare_models(str(tmp_path / "audit"), OLD, NEW))
    n_unknown, n_unnamed = (4 if name == "unknown" else 0), (4 if name is None else 0)
    assert has(found, f"called unknown: old {n_unknown}, new 0 pictures")
    assert has(found, f"known, or no animal, called unknown: old {n_unknown}, new 0 pictures")
    assert has(found, "unknown, or no animal, called known: old 1, new 1 pictures")
    assert has(found, f"without a name: old {n_unnamed}, new 0 pictures")


def test_the_page_has_the_lines_of_the_command(tmp_path: Path, trapaudit: Call) -> None:
    out = audit(tmp_path, [*of(30, "both"), *of(14, "new")])
    assert trapaudit("report", out).code == 0
    page, command = page_of(out), trapaudit("compare", out, OLD, NEW)
    assert HEAD in page and f"<strong>{command.out.splitlines()[-1]}</strong>" in page
    for line in command.out.splitlines()[2:-1]:
        assert f"<li>{line}</li>" in page
    assert trapaudit("report", out, "--compare", NEW, OLD).code == 0
    assert "<strong>do not promote: it errs more" in page_of(out)


def test_a_shadow_is_held_against_the_model_in_use(tmp_path: Path, trapaudit: Call) -> None:
    """The shadow is the worse one and was there first; nothing else of the page has its names."""
    out = audit(tmp_path, [*of(30, "both"), *of(14, "new")], runs=({"is_shadow": True}, {}))
    assert trapaudit("report", out).code == 0
    page = page_of(out)
    assert f"old: {NEW}; new: {OLD}." in page and "<strong>do not promote: it errs more" in page
    assert "44 labelled: 0 wrong" in trapaudit("report", out).err


@pytest.mark.parametrize("kind", ["one model", "versions of one file", "nothing labelled"])
def test_a_page_of_no_two_models_compares_none(kind: str, tmp_path: Path, trapaudit: Call) -> None:
    names = {"model_name": "table of names (names.csv)"}
    if kind == "versions of one file":
        out = audit(tmp_path, of(6, "both"), runs=(names, names))
    else:
        builder = AuditBuilder(tmp_path / "audit", "b1", OLD, individuals=NAMES)
        builder.predict("a.jpg", "Luna")
        builder.write()
        if kind == "nothing labelled":
            builder = AuditBuilder(tmp_path / "audit", "b2", NEW, individuals=NAMES)
            builder.predict("a.jpg", "Luna")
            builder.write()
        out = str(tmp_path / "audit")
    assert trapaudit("report", out).code == 0
    assert HEAD not in page_of(out) and "#compared" not in page_of(out)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (OLD, OLD[:5], "are one model"),
        (OLD, "cccc", "cccc: not in this audit"),
        ("a", NEW, "model a: not in this audit"),
    ],
)
def test_two_models_that_cannot_be_compared_are_refused(
    old: str, new: str, words: str, tmp_path: Path, trapaudit: Call
) -> None:
    refused = trapaudit("report", audit(tmp_path, of(3, "both")), "--compare", old, new)
    assert refused.code == 2 and words in refused.err and refused.err.count("\n") == 1
