"""An audit that the tests of the review copy; files with a world of their own have fixtures of the same names."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from scd_core.audit.review.session import ReviewSession
from tests.review.audit import make_audit


@pytest.fixture(scope="module")
def audit(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An audit whose queues are kept, which no test changes."""
    out = make_audit(tmp_path_factory.mktemp("audit"))
    ReviewSession(out).close()
    return out


@pytest.fixture
def out(audit: str, tmp_path: Path) -> str:
    return str(shutil.copytree(audit, tmp_path / "out"))
