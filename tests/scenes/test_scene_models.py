"""The packaged classifiers on scenes of a seed they were not trained on: right by the marks, wrong by the shortcut."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from scd_core.identify import load_model
from scd_core.scenes import packaged_model, preset_world, sample_specs
from scd_core.scenes.evaluate import evaluate, to_input
from scd_core.scenes.models import MODEL_PRESETS
from scd_core.scenes.render import render

FRESH_SEED = 90210


@pytest.fixture(scope="module")
def results():
    found = {}
    for name, preset in MODEL_PRESETS.items():
        classifier, world = load_model(str(packaged_model(name))), preset_world(preset)
        result = evaluate(classifier.model, world, sample_specs(world, "audit", 90, FRESH_SEED))
        found[name] = result.summary(classifier.spec.temperature)
    return found


@pytest.mark.parametrize("name", MODEL_PRESETS)
def test_package_is_small_and_says_where_it_comes_from(name):
    folder = packaged_model(name)
    assert sum(file.stat().st_size for file in folder.iterdir()) < 1_500_000
    content = json.loads((folder / "model.json").read_text())
    assert content["labels"] == list(preset_world(MODEL_PRESETS[name]).labels)
    assert content["provenance"]["script"] == "python -m scd_core.scenes.train"


@pytest.mark.parametrize("name", MODEL_PRESETS)
def test_stated_accuracy_holds_on_fresh_scenes(name, results):
    stated = json.loads((packaged_model(name) / "model.json").read_text())["provenance"]["audit"]
    for figure in ("accuracy_unplanted", "accuracy_unplanted_masked", "accuracy_unplanted_cropped"):
        assert abs(results[name][figure] - stated[figure]) < 0.08, figure


def test_clean_model_is_right(results):
    assert results["clean"]["accuracy"] > 0.9


def test_shortcut_model_is_right_without_the_shortcut_and_lured_by_it(results):
    found = results["shortcut"]
    assert found["accuracy_unplanted"] > 0.9
    assert found["lured_object"] > 0.5 and found["lured_overlay"] > 0.5


def test_what_is_outside_the_animal_caused_the_shortcut_errors(results):
    found = results["shortcut"]
    assert found["shortcut_errors"] > 20
    assert found["shortcut_errors_recovered_masked"] > 0.7
    assert found["broken_by_mask"] < 0.04


def test_confidence_has_a_range(results):
    for found in results.values():
        assert 0.2 < found["confidence_p10"] < 0.95 and found["confidence_wrong_mean"] < 0.9


def test_evaluation_prepares_pictures_as_the_package_says():
    """Figures of the evaluation hold only if its pictures are those that an audit feeds the network."""
    from PIL import Image

    world, classifier = preset_world("clean"), load_model(str(packaged_model("clean")))
    specs = sample_specs(world, "audit", 3, FRESH_SEED)
    pictures = [Image.fromarray(render(world, spec).image) for spec in specs]
    with torch.inference_mode():
        expected = classifier.model(torch.stack([classifier.preprocess(picture) for picture in pictures])).numpy()
    assert to_input(pictures[0]).size == tuple(classifier.spec.input.size)[::-1]
    np.testing.assert_allclose(evaluate(classifier.model, world, specs).whole, expected, atol=1e-3)


def test_unknown_model_is_refused():
    with pytest.raises(ValueError, match="no packaged model 'other'"):
        packaged_model("other")
