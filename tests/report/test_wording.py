"""Every fixed word of the tables has a plain one on the page; the page and the messages are in plain English."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path

import pytest

import scd_core
from scd_core.audit import wording
from scd_core.audit.report.write import write_report
from scd_core.label_names import LabelStatus
from scd_core.names import (
    Cause,
    ErrorType,
    FlagReason,
    MediaStatus,
    PredictionStatus,
    Strategy,
    Stratum,
    SuspicionReason,
    TimeSource,
    Trend,
)
from tests.report.world import build_world, planted_frames

WORDINGS: list[tuple[type[StrEnum], Mapping[str, object]]] = [
    (Cause, wording.CAUSE_WORDS),
    (Trend, wording.TREND_WORDS),
    (ErrorType, wording.ERROR_WORDS),
    (Strategy, wording.STRATEGY_WORDS),
    (MediaStatus, wording.STATUS_WORDS),
    (PredictionStatus, wording.PREDICTION_WORDS),
    (TimeSource, wording.TIME_WORDS),
    (LabelStatus, wording.LABEL_WORDS),
]
ODD = re.compile(
    r"\b(told|tells?|asked|witness(es)?|speaks? (for|against)|borne out|bears? out|heard|hold no word|at the door"
    r"|look around|hand(ed)? in)\b",
    re.IGNORECASE,
)
"""Words that this project's first texts used in odd senses."""


@pytest.mark.parametrize(("kind", "words"), WORDINGS, ids=lambda value: getattr(value, "__name__", ""))
def test_each_value_has_words_and_no_word_is_left_over(kind: type[StrEnum], words: Mapping[str, object]) -> None:
    assert set(words) == set(kind) and all(words.values())


def test_each_reason_has_words() -> None:
    assert set(wording.REASON_WORDS) == {*FlagReason, *SuspicionReason, *Stratum}
    assert wording.reason("of_another_version") == "of another version"


def test_the_page_is_in_plain_english(page: Path, tmp_path: Path) -> None:
    unlabelled = build_world(tmp_path, planted_frames(n_events=20, label_share=0), broken=False, has_pictures=False)
    write_report(unlabelled.out, unlabelled.config)
    for path in (page, Path(unlabelled.out) / "report" / "index.html"):
        text = re.sub(r"<style>.*?</style>|data:image[^\"]*", "", path.read_text("utf-8"), flags=re.DOTALL)
        assert [found.group() for found in ODD.finditer(text)] == []


def test_the_messages_are_in_plain_english() -> None:
    """Every text in the library that is no docstring: messages, descriptions of settings and columns, SQL."""
    found = []
    root = Path(scd_core.__file__).parent
    for path in sorted(root.rglob("*.sql")):
        found += [(path.name, match.group()) for match in ODD.finditer(path.read_text("utf-8"))]
    for path in sorted(root.rglob("*.py")):
        tree = ast.parse(path.read_text("utf-8"))
        docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
                found += [(f"{path.name}:{node.lineno}", match.group()) for match in ODD.finditer(node.value)]
    assert found == []
