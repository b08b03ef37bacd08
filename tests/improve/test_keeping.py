"""Heads that keep something of the model's own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from scd_core.identify import load_model
from scd_core.identify.class_means import NEVER, Head
from scd_core.improve.keeping import blend_heads, own_head, spread
from tests.improve import world


def test_the_models_own_head_names_as_the_model_does(tmp_path: Path) -> None:
    classifier = load_model(world.pack(tmp_path))
    picture = torch.randn(4, 3, 64, 96)
    own = own_head(classifier, ("Cy", "Ada", "Zoe"))
    assert own is not None
    logits = classifier.logits(picture).numpy()
    scores = own.scores(classifier.features(picture).numpy())
    centred = logits - logits.mean(1, keepdims=True)
    np.testing.assert_allclose(scores[:, :2], centred[:, [2, 0]], atol=1e-4)
    np.testing.assert_allclose(scores[:, 2], 0, atol=1e-6)


def test_classes_that_share_a_name_are_not_kept(tmp_path: Path) -> None:
    assert own_head(load_model(world.pack(tmp_path, labels=("Ada", "Ada", "Bo"))), ("Ada", "Bo")) is None


def test_names_that_were_never_learnt_do_not_spread() -> None:
    scores = np.random.default_rng(0).normal(0, 2, (200, 5)).astype(np.float32)
    never = np.concatenate([scores, np.full((200, 1), NEVER, np.float32)], axis=1)
    assert spread(never) == pytest.approx(spread(scores), rel=1e-4)


def test_scores_of_a_blend_are_the_sum() -> None:
    rng = np.random.default_rng(1)
    new, own = (
        Head(rng.normal(size=(3, 4)).astype(np.float32), rng.normal(size=3).astype(np.float32)) for _ in range(2)
    )
    features = rng.normal(size=(5, 4)).astype(np.float32)
    expected = new.scores(features) + 0.6 * own.scores(features)
    np.testing.assert_allclose(blend_heads(new, own, 0.6).scores(features), expected, rtol=1e-5)
