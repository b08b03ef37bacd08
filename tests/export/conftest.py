"""Audits that are exported."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.report.world import World, build_world, planted_frames


@pytest.fixture(scope="session")
def placed(tmp_path_factory: pytest.TempPathFactory) -> World:
    """An audit whose deployments and clocks are known, with two broken files."""
    return build_world(tmp_path_factory.mktemp("placed"), planted_frames(n_events=40), is_placed=True)


@pytest.fixture(scope="session")
def nowhere(tmp_path_factory: pytest.TempPathFactory) -> World:
    """An audit without coordinates, offsets, and with a picture that has no time."""
    frames = planted_frames(n_events=12)
    frames[0].taken = None
    return build_world(tmp_path_factory.mktemp("nowhere"), frames, broken=False, has_pictures=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "package"
