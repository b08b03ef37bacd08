"""The files that are started first are there, and come first."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tests.conftest import LONGEST, pytest_collection_modifyitems

TESTS = Path(__file__).resolve().parent


def test_the_longest_files_come_first_and_the_rest_stays_as_it_was() -> None:
    assert all((TESTS / name).is_file() for name in LONGEST)
    paths = [TESTS / "audit/a.py", TESTS / LONGEST[1], TESTS / "b.py", TESTS / LONGEST[0]]
    items: Any = [SimpleNamespace(path=path) for path in paths]
    pytest_collection_modifyitems(items)
    assert [item.path for item in items] == [paths[3], paths[1], paths[0], paths[2]]
