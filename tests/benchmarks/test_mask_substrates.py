"""Maps on several substrates: who is better on how many measures, the empty place, and RISE on a network that is known."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from benchmarks.masks.others import RULES, find_methods, rise
from benchmarks.masks.substrates import MEASURES, PLACE_MEASURES, compare_methods, empty_places, measure


class Corner(nn.Module):
    """Sure of class 1 as far as the upper left quarter of the picture is bright."""

    def forward(self, images: Tensor) -> Tensor:
        bright = images[:, :, :28, :28].mean((1, 2, 3))
        return torch.stack([torch.zeros_like(bright), 8 * bright], dim=1)


def test_rise_finds_the_only_part_that_counts():
    found = rise(Corner().eval(), torch.ones(1, 3, 56, 56), torch.tensor([1]), torch.tensor([0]))
    assert found.shape == (1, 56, 56)
    assert found[0, :28, :28].mean() > found[0].mean() > found[0, 28:, 28:].mean()


def test_a_map_of_the_part_that_counts_is_better_on_all_five_measures():
    torch.manual_seed(0)
    images = 0.2 * torch.randn(2, 3, 56, 56)
    images[:, :, :28, :28] += 1
    groups = [(Corner().eval(), images, torch.tensor([1, 1]), torch.zeros(2, 3, 56, 56))]

    def quarter(model: nn.Module, images: Tensor, targets: Tensor, seeds: Tensor) -> Tensor:
        maps = torch.zeros(len(images), 56, 56)
        maps[:, :28, :28] = 1
        return maps

    found = {"default": measure(quarter, groups), "chance": measure(RULES["chance"], groups)}
    rows = compare_methods(found)
    assert [row["default_better"] for row in rows] == [0, 5]
    assert all(len(found["default"][name]) == 2 for name in (*MEASURES, *PLACE_MEASURES, "seconds"))
    assert rows[0]["deletion_place"] < rows[1]["deletion_place"]


def test_means_and_intervals_by_hand():
    """Two pictures, .2 and .4: mean .3, standard error .1. Less is better for deletion, more for the others."""
    flat = {key: [0.2, 0.4] for key in (*MEASURES, "seconds")} | {key: [] for key in PLACE_MEASURES}
    better = flat | {"deletion_blur": [0.1, 0.1], "road": [0.5, 0.5]}
    rows = compare_methods({"default": flat, "other": better})
    assert rows[0]["road"] == pytest.approx(0.3)
    assert rows[0]["road_error"] == pytest.approx(0.196)
    assert rows[1]["default_better"] == 0
    assert "deletion_place" not in rows[0]
    assert compare_methods({"default": better, "other": flat})[1]["default_better"] == 2


def test_the_empty_place_is_the_median_of_its_own_frames():
    images = torch.tensor([0.0, 5.0, 1.0, 9.0]).view(4, 1, 1, 1).expand(4, 3, 2, 2)
    found = empty_places(images, ["A", "B", "A", "B"])
    assert found[:, 0, 0, 0].tolist() == [0.0, 5.0, 0.0, 5.0]
    found = empty_places(images, ["A", "A", "A", "B"])
    assert found[:, 0, 0, 0].tolist() == [1.0, 1.0, 1.0, 9.0]


def test_methods_of_libraries_that_are_not_installed_are_left_out(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert find_methods() == RULES
