"""The two small transformers: what each is shown, and that late masking leaves the rest of the picture out."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from benchmarks.reclassify.vit import SIZE, Settings, build_vit, logits_of, place_pictures
from scd_core.scenes import make_world

SETTINGS = replace(Settings(), width=32, depth=1, n_events=6, n_test_events=6)


def test_the_test_shows_one_frame_of_each_burst_and_is_the_same_again() -> None:
    world = make_world(5, n_individuals=5, n_cameras=5)
    pictures = place_pictures(world, SETTINGS, is_test=True, habit=0.5, seed=3)
    again = place_pictures(world, SETTINGS, is_test=True, habit=0.5, seed=3)
    assert len(pictures.classes) == 6, "one frame of each burst"
    assert torch.equal(pictures.images, again.images)
    assert pictures.images.shape[1:] == (3, *SIZE)
    assert 0.03 < float(pictures.animal.mean()) < 0.4


@pytest.mark.parametrize("pool", ["gap", "cls"])
def test_early_masking_hides_what_is_not_the_animal(pool: str) -> None:
    pytest.importorskip("timm")
    torch.manual_seed(0)
    model = build_vit(pool, SETTINGS).eval()
    animal = torch.zeros(1, *SIZE)
    animal[:, 20:50, 30:70] = 1
    images = torch.randn(1, 3, *SIZE)
    other = torch.where(animal[:, None] > 0, images, torch.randn_like(images))
    shown = [logits_of(model, picture, animal, "early") for picture in (images, other)]
    torch.testing.assert_close(*shown)
    assert not torch.allclose(*(logits_of(model, picture, animal, "original") for picture in (images, other)))


def test_late_masking_averages_the_animals_tokens_and_needs_an_average() -> None:
    pytest.importorskip("timm")
    torch.manual_seed(0)
    model, images = build_vit("gap", SETTINGS).eval(), torch.randn(2, 3, *SIZE)
    animal = torch.zeros(2, *SIZE)
    animal[:, 24:48, 32:64] = 1
    tokens = model.forward_features(images).unflatten(1, (SIZE[0] // 8, SIZE[1] // 8))
    expected = model.head(model.fc_norm(tokens[:, 3:6, 4:8].mean((1, 2))))
    torch.testing.assert_close(logits_of(model, images, animal, "late"), expected)
    torch.testing.assert_close(logits_of(model, images, torch.ones_like(animal), "late"), model(images))
    with pytest.raises(ValueError, match="class token"):
        logits_of(build_vit("cls", SETTINGS), images, animal, "late")
