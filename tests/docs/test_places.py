"""Places in the repository that a page names are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.commands import ROOT, pages

PLACE = re.compile(
    r"`((?:scd_core|tasks|flows|deployments|benchmarks|tests|docker|docs)(?:/[\w.*-]+)+|\w+\.(?:py|toml))`"
)

OTHERS = ("scd_core/small_cnn",)
"""Names of architectures."""


@pytest.mark.parametrize("page", pages(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_places_exist(page: Path) -> None:
    for place in PLACE.findall(page.read_text()):
        assert place in OTHERS or any(ROOT.glob(place)) or any((ROOT / "scd_core").rglob(place)), place


def test_a_place_that_is_gone_is_noticed() -> None:
    (gone,) = PLACE.findall("see `scd_core/audit/sql_files.py` and `tasks`")
    assert not any(ROOT.glob(gone))
