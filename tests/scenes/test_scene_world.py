"""Worlds: made from a seed, refused where a plant names what is not there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from scd_core.scenes import CAUSES, PRESETS, Plant, make_world, preset_world, with_new_cameras
from scd_core.scenes.coat import coat_texture


def _marks(coat) -> np.ndarray:
    return np.asarray(coat_texture(coat, 128)[0]) > 127


def _overlap(first: np.ndarray, second: np.ndarray) -> float:
    return float((first & second).sum() / (first | second).sum())


def test_world_is_made_from_its_seed():
    assert make_world(5) == make_world(5)
    assert make_world(5).individuals != make_world(6).individuals
    assert make_world(5).cameras != make_world(6).cameras


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_no_two_flanks_of_a_world_have_the_same_marks(seed):
    world = make_world(seed, n_individuals=10)
    textures = [_marks(animal.coat(flank)) for animal in world.individuals for flank in ("left", "right")]
    overlaps = [_overlap(a, b) for i, a in enumerate(textures) for b in textures[:i]]
    assert max(overlaps) < 0.6


def test_near_twins_share_what_the_rate_says():
    worlds = {
        rate: make_world(3, plants=(Plant("near_twins", individual_id="Luna", other_id="Nyx", rate=rate),))
        for rate in (0.9, 0.3)
    }
    shared = {
        rate: np.mean(
            [
                _overlap(_marks(world.individual("Luna").coat(flank)), _marks(world.individual("Nyx").coat(flank)))
                for flank in ("left", "right")
            ]
        )
        for rate, world in worlds.items()
    }
    plain = make_world(3)
    stranger = _overlap(_marks(plain.individual("Luna").left), _marks(plain.individual("Nyx").left))
    assert 0.95 > shared[0.9] > shared[0.3] > stranger


def test_other_cameras_keep_individuals_and_plants():
    world = preset_world("demo")
    moved = with_new_cameras(world, 4)
    assert moved.individuals == world.individuals and moved.plants == world.plants
    assert all(a.seed != b.seed and a.prop == b.prop for a, b in zip(world.cameras, moved.cameras))


def test_presets():
    demo, clean = (preset_world(name) for name in PRESETS)
    assert {plant.kind for plant in demo.plants} == set(CAUSES)
    assert not clean.plants
    assert demo.cameras == clean.cameras
    assert demo.individual("Luna") == clean.individual("Luna")
    with pytest.raises(ValueError, match="no preset 'dmeo'"):
        preset_world("dmeo")


@pytest.mark.parametrize(
    ("plant", "message"),
    [
        ({"kind": "object", "camera_id": "C01"}, "individual_id is missing"),
        ({"kind": "quality"}, "camera_id is missing"),
        ({"kind": "quality", "camera_id": "C01", "rate": 0.0}, "rate must be"),
        ({"kind": "quality", "camera_id": "C99"}, "no camera 'C99'"),
        (
            {"kind": "labels", "camera_id": "C01", "individual_id": "Luna", "other_id": "Nobody"},
            "no individual 'Nobody'",
        ),
    ],
)
def test_plants_that_cannot_be_are_refused(plant, message):
    with pytest.raises(ValueError, match=message):
        make_world(0, plants=(Plant(**plant),))


def test_worlds_that_cannot_be_are_refused():
    world = make_world(0)
    with pytest.raises(ValueError, match="all different"):
        replace(world, individuals=world.individuals + world.individuals[:1])
    with pytest.raises(ValueError, match="has no prop"):
        replace(world, plants=(Plant("object", camera_id="C01", individual_id="Luna"),))
    with pytest.raises(ValueError, match="one strip style only"):
        replace(world, plants=(Plant("overlay", camera_id="C01", individual_id="Luna"),))
    with pytest.raises(ValueError, match="64 x 48"):
        make_world(0, width=10)
    with pytest.raises(KeyError):
        world.camera("C99")
