"""The season's benchmark: worlds that are derived together have each the slices that it has alone."""

from __future__ import annotations

import pytest

from benchmarks.audit import season
from benchmarks.audit.forest.animals import Forest
from benchmarks.audit.forest.labels import REGIMES
from benchmarks.audit.forest.world import make_forest
from scd_core.config import AuditConfig, SliceConfig

SMALL = Forest(n_cameras=5, n_known=8, n_strangers=1, n_visits=300, sizes=(30.0, 60.0))
CONFIG = AuditConfig(slices=SliceConfig(families=("camera_id", "true_id"), max_depth=1))


@pytest.fixture
def last_night(monkeypatch):
    """The nights are the season's last one alone, on which all pictures of the days before are added at once."""
    monkeypatch.setattr(season, "FIRST_NIGHT", 120)
    monkeypatch.setattr(season, "NIGHTS", 1)


def test_worlds_that_are_followed_together_have_the_slices_that_they_have_alone(last_night):
    worlds = [make_forest((4, place), REGIMES["controls_5"], 2, SMALL, 1) for place in range(2)]
    ((night, together),) = season.nightly_slices(worlds, CONFIG)
    alone = [next(season.nightly_slices([world], CONFIG))[1][0] for world in worlds]
    assert night == 120 and all(together)
    for of, of_alone in zip(together, alone, strict=True):
        assert [one.slice for one in of] == [one.slice for one in of_alone]
        # The labelled share of flags, in batches without any, is common to the worlds.
        assert [one.p_value for one in of] == pytest.approx([one.p_value for one in of_alone], rel=0.1)


def test_what_is_planted_is_seen_and_announced(last_night):
    world = make_forest((4, 0), REGIMES["controls_5"], 2, SMALL, 1)
    (found,) = season.judge_seasons([world], CONFIG)
    assert len(found["planted"]) == 2 and set(found["seen"].values()) == {120}
    assert set(found["announced"]) <= set(found["planted"]) and not found["false_announced"]
