"""The report's .sql files: each has a name and a header, is used, and compares with words that the tables hold."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scd_core.audit.report import content, queries
from tests.audit.test_sql import VALUES

FOLDER = Path(queries.__file__).parent / "sql"
FILES = sorted(FOLDER.glob("*.sql"))
LIGHTS = {"infrared", "day", "night", "unknown", ""}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_query_has_a_header_and_known_words(file: Path) -> None:
    text = file.read_text("utf-8")
    assert re.match(rf"-- {file.stem}: \w.*\.\n", text)
    code = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("--"))
    assert set(re.findall(r"'([^']*)'", code)) <= VALUES | LIGHTS


def test_every_query_is_used() -> None:
    code = "".join(path.read_text("utf-8") for path in Path(content.__file__).parent.glob("*.py"))
    assert FILES and [file.stem for file in FILES if f'"{file.stem}"' not in code] == []
