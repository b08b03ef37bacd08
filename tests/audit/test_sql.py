"""The audit's .sql files: each has a name and a header, is used, and compares with words that the tables hold."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path

import pytest

from scd_core import audit, label_names, names

ROOT = Path(audit.__file__).parent
FILES = sorted(ROOT.rglob("sql/*.sql"))
VALUES = {
    str(value)
    for module in (names, label_names)
    for kind in vars(module).values()
    if isinstance(kind, type) and issubclass(kind, StrEnum)
    for value in kind
}
WORDS = {
    "export": {
        "animal",
        "blank",
        "unclassified",
        "human",
        "machine",
        "media",
        "newest",
        "conflicting",
        "unplaced",
        "http",
        "i",
    },
    "errors": {"week"},
    "individuals": {"day"},
    "picture": {"ambiguous"},
    "labels": {"newest", "conflicting", "ambiguous", "superseded", "waiting"},
    "report": {"infrared", "day", "night", "no_name"},
    "query": {"infrared", "day", "night", "all", "key", "value"},
    "review": {"infrared", "day", "night", "somebody"},
}
"""Folder -> words of other vocabularies: Camtrap DP's, those of `label_matches`, of the page, of DuckDB's dates."""


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parts[-3]}-{file.stem}")
def test_a_file_has_a_header_and_known_words(file: Path) -> None:
    text = file.read_text("utf-8")
    assert re.match(rf"-- {file.stem}: \w.*[.?]\n", text)
    code = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("--"))
    words = set(re.findall(r"'([a-z_]+)'", code))
    assert words <= VALUES | WORDS.get(file.parts[-3], set())


def test_the_files_are_found_and_every_one_is_used() -> None:
    assert {file.parts[-3] for file in FILES} >= {"errors", "query", "export", "report"}
    code = "".join(path.read_text("utf-8") for path in ROOT.rglob("*.py"))
    # Files of `query` are ready views: test_cookbook.py queries each. Those of a queue of the review have its name.
    used = {file.stem for file in FILES if f'"{file.stem}"' in code} | set(label_names.ReviewQueue)
    assert [file.stem for file in FILES if file.parts[-3] != "query" and file.stem not in used] == []
