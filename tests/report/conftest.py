"""Audits with a report, and a browser to look at it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from scd_core.audit.report.write import write_report
from tests.report.browser import Page, chromium
from tests.report.world import World, build_world


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """The planted error, with two reports so far."""
    return build_world(tmp_path_factory.mktemp("world"), reports=2)


@pytest.fixture(scope="session")
def page(world: World) -> Path:
    """The report of the planted error."""
    write_report(world.out, world.config)
    return Path(world.out) / "report" / "index.html"


@pytest.fixture(scope="session")
def browser() -> Iterator[Page]:
    """One headless Chromium for all tests."""
    with chromium() as tab:
        yield tab
