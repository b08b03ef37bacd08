"""Splits: cameras and visits are left out whole, with all that is like them; what is lost with a camera does not count."""

from __future__ import annotations

import numpy as np
import pytest

from scd_core.improve.split import Split, split_by_camera, split_by_place, split_by_visit


def worlds() -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Random individuals, cameras and groups; half of the groups lie at one camera, the others anywhere."""
    found = []
    for seed in range(5):
        rng = np.random.default_rng(seed)
        n_groups, n = 80, 200
        group = rng.integers(0, n_groups, n)
        truth = rng.integers(0, 6, n_groups)[group]
        camera = np.where(group % 2 == 0, (group * 7) % 13, rng.integers(0, 13, n))
        found.append((truth, camera, group))
    return found


@pytest.mark.parametrize("world", worlds())
@pytest.mark.parametrize("make", [split_by_camera, split_by_place, split_by_visit])
def test_no_group_is_learnt_from_and_left_out_at_once(world, make):
    truth, camera, group = world
    split: Split = make(truth, camera, group)
    for learnt, out in split:
        assert not set(group[learnt]) & set(group[out])
    assert sorted(np.concatenate([out for _, out in split])) == list(range(len(truth)))


@pytest.mark.parametrize("world", worlds())
def test_a_camera_is_left_out_whole(world):
    truth, camera, group = world
    for learnt, out in split_by_camera(truth, camera, group):
        assert not set(camera[learnt]) & set(camera[out])


@pytest.mark.parametrize("world", worlds())
def test_an_individual_is_left_out_at_a_camera_whole_where_others_are_learnt(world):
    truth, camera, group = world
    n_others = 0
    for learnt, out in split_by_place(truth, camera, group):
        assert not set(zip(truth[learnt], camera[learnt], strict=True)) & set(zip(truth[out], camera[out], strict=True))
        n_others += len(set(camera[learnt]) & set(camera[out]))
    assert n_others


def test_an_individual_that_is_known_from_one_camera_alone_judges_nothing_there():
    # 0 is at camera 0 eight times and at camera 1 twice; 1 is at both, half and half
    truth = np.array([0] * 10 + [1] * 8)
    camera = np.array([0] * 8 + [1] * 2 + [0, 1] * 4)
    split = split_by_camera(truth, camera, np.arange(18))
    assert split.counts.tolist() == [False] * 8 + [True] * 2 + [True] * 8


def test_at_home_only_what_is_learnt_at_the_same_camera_counts():
    truth, camera = np.zeros(10, int), np.array([0] * 9 + [1])
    assert split_by_visit(truth, camera, np.arange(10)).counts.tolist() == [True] * 9 + [False]


def test_pictures_that_are_nearly_one_are_not_learnt_from_where_the_other_is_left_out():
    truth, camera = np.zeros(6, int), np.array([0, 0, 0, 1, 1, 1])
    group = np.array([0, 1, 2, 0, 3, 4])
    for learnt, out in split_by_camera(truth, camera, group):
        assert (3 in learnt) <= (0 in learnt or 0 not in out)
        assert not (3 in learnt and 0 in out)
