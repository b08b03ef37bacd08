"""Heads that keep something of the model as it is run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from scd_core.identify import load_model
from scd_core.identify.class_means import NEVER, Head
from scd_core.improve.keeping import Heads, kept_heads, own_head, spread
from scd_core.improve.names import View
from scd_core.improve.show import Shown
from tests.improve import world


def head(seed: int) -> Head:
    rng = np.random.default_rng(seed)
    return Head(rng.normal(size=(3, 4)).astype(np.float32), rng.normal(size=3).astype(np.float32))


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
    nobody = np.full((3, 6), NEVER, np.float32)
    assert spread(np.concatenate([never, nobody])) == pytest.approx(spread(scores), rel=1e-4)
    assert spread(nobody) == 1


@pytest.mark.parametrize("own", [Heads(head(1), None), Heads(None, head(2)), Heads(head(1), head(2))])
def test_scores_beside_a_new_head_are_the_sum(own: Heads) -> None:
    rng = np.random.default_rng(1)
    of_view = {view: rng.normal(size=(5, 4)).astype(np.float32) for view in (View.WHOLE, View.BOX_CROP)}
    blank = np.zeros(0, np.float32)
    shown = Shown({}, of_view, {}, blank.astype(bool), blank)
    expected = head(0).scores(of_view[View.BOX_CROP]) + 0.6 * own.scores(View.BOX_CROP, shown)
    found = own.beside(head(0), 0.6).scores(View.BOX_CROP, shown)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_a_model_of_whole_frames_is_kept_by_the_whole_frame(tmp_path: Path) -> None:
    classifier = load_model(world.pack(tmp_path))
    beside = kept_heads(classifier, world.NAMES, View.WHOLE, View.WIDE_CROP)
    assert beside is not None and beside.shown is None and beside.frame is not None
    whole = kept_heads(classifier, world.NAMES, View.WHOLE, View.WHOLE)
    assert whole is not None and whole.frame is None and whole.shown is not None


def test_a_model_of_boxes_is_kept_where_its_own_crop_is_seen(tmp_path: Path) -> None:
    classifier = load_model(world.pack(tmp_path))
    assert kept_heads(classifier, world.NAMES, View.BOX_CROP, View.WIDE_CROP) is None
    same = kept_heads(classifier, world.NAMES, View.BOX_CROP, View.BOX_CROP)
    assert same is not None and same.frame is None
    own = own_head(classifier, world.NAMES)
    assert own is not None
    classifier.frame_head = replace(own, bias=own.bias + 1)
    both = kept_heads(classifier, world.NAMES, View.BOX_CROP, View.BOX_CROP)
    assert both is not None and both.frame is not None
    np.testing.assert_allclose(both.frame.weight, own.weight, atol=1e-6)
