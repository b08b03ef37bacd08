"""The training script: repeatable, and it learns."""

from __future__ import annotations

import json

import pytest
import torch

from scd_core.identify import load_model
from scd_core.scenes import preset_world, sample_specs
from scd_core.scenes import train as script

TINY = script.TrainSettings(n_events=16, n_validation_events=6, n_backgrounds=2, epochs=1, batch_size=16, width=4)


def test_same_settings_same_weights_and_the_callers_random_state_is_left_alone():
    world = preset_world("demo")
    before = torch.get_rng_state()
    first, second = (script.train(world, TINY) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), before)
    assert first[1] == second[1]
    for mine, other in zip(first[0].state_dict().values(), second[0].state_dict().values()):
        assert torch.equal(mine, other)


def test_classes_are_the_labels_and_habit_is_marked():
    world = preset_world("demo")
    data = script.render_training_set(world, script.TrainSettings(n_events=40, n_backgrounds=1), seed=7)
    specs = sample_specs(world, "train", 40, 7)
    assert data.views.shape == (len(specs), 3, 3, 120, 160) and data.views.dtype == torch.uint8
    assert [world.labels[label] for label in data.classes] == [spec.labelled_as for spec in specs]
    assert data.is_habit.tolist() == [spec.labelled_as != spec.individual_id for spec in specs]
    assert data.is_habit.any() and not data.is_habit.all()


@pytest.fixture
def tiny(monkeypatch):
    monkeypatch.setattr(script, "SETTINGS", {"clean": TINY, "shortcut": TINY})


def test_command_writes_a_package_that_loads(tiny, tmp_path, capsys):
    threads, mode = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    try:
        script.main(["--out", str(tmp_path), "--models", "clean", "--audit-events", "5"])
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(mode)
    printed = json.loads(capsys.readouterr().out)
    classifier = load_model(str(tmp_path / "clean"))
    assert classifier.spec.labels == preset_world("clean").labels
    assert classifier.spec.temperature == printed["temperature"]
    assert classifier.spec.provenance["audit"]["accuracy"] == pytest.approx(printed["accuracy"], abs=1e-3)
