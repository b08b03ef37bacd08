"""Calibration: the temperature against a search by hand, ECE against the definition, the package that is written."""

from __future__ import annotations

import csv
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from scd_core.errors import InputError
from scd_core.identify import load_model, read_package
from scd_core.identify.calibrate import (
    expected_calibration_error,
    fit_temperature,
    fit_unknown_threshold,
    quality,
    store_calibration,
)
from scd_core.scenes import packaged_model, write_scenes


@pytest.fixture
def package(tmp_path: Path) -> Path:
    return Path(shutil.copytree(packaged_model("clean"), tmp_path / "model"))


def test_ece_by_hand() -> None:
    confidence = np.array([0.55, 0.58, 0.95, 0.97, 0.99])
    right = np.array([True, False, True, True, False])
    expected = 2 / 5 * abs(0.5 - 0.565) + 3 / 5 * abs(2 / 3 - 0.97)
    assert expected_calibration_error(confidence, right, bins=10) == pytest.approx(expected)


def test_the_temperature_of_overconfident_logits_is_found(package: Path) -> None:
    """Truth drawn from softmax(z): logits 3 z need a temperature of 3."""
    classifier = load_model(str(package))
    generator = torch.Generator().manual_seed(1)
    z = 2 * torch.randn(6000, len(classifier.names), generator=generator, dtype=torch.float64)
    truth = torch.multinomial(torch.softmax(z, 1), 1, generator=generator)[:, 0]
    names = [classifier.names[place] for place in truth.tolist()]
    temperature = fit_temperature(classifier, 3 * z, names)
    assert temperature == pytest.approx(3.0, rel=0.05)
    loss = float(-torch.log_softmax(3 * z / temperature, 1)[torch.arange(len(truth)), truth].mean())
    found = quality(classifier, 3 * z, names, temperature)
    assert found.log_loss == pytest.approx(loss)
    assert found.ece < quality(classifier, 3 * z, names, 1.0).ece / 3


def test_too_few_pictures_are_refused(package: Path) -> None:
    classifier = load_model(str(package))
    with pytest.raises(InputError, match="at least 10"):
        fit_temperature(classifier, torch.randn(3, len(classifier.names)), list(classifier.names[:3]))


@pytest.mark.parametrize("rate", [0.0, 0.05, 0.1, 0.5])
def test_the_threshold_lets_no_more_unknowns_pass_than_stated(rate: float) -> None:
    confidence = np.random.default_rng(3).random(200)
    threshold = fit_unknown_threshold(confidence, rate)
    assert (confidence >= threshold).mean() <= rate
    assert (confidence >= threshold - 0.02).mean() > rate - 1e-9


def test_a_stored_calibration_is_a_new_package_and_the_old_weights(package: Path) -> None:
    before = read_package(str(package))
    digest = store_calibration(str(package), 1.25, 0.4)
    after = read_package(str(package))
    assert after.digest == digest != before.digest
    assert (after.spec.temperature, after.spec.unknown_threshold) == (1.25, 0.4)
    assert after.weights == before.weights
    assert sorted(path.name for path in package.iterdir() if path.name.startswith(".")) == []


def test_a_remote_package_is_not_changed() -> None:
    with pytest.raises(InputError, match="local disk"):
        store_calibration("s3://bucket/model", 1.0, None)


def test_the_command_calibrates_on_scenes(package: Path, tmp_path: Path) -> None:
    from flows.cli_model import model_app

    store_calibration(str(package), 6.0, None)
    write_scenes(str(tmp_path / "scenes"), world="clean", n_events=12, seed=5, split="audit")
    labels = tmp_path / "scenes" / "labels.csv"
    arguments = [
        "calibrate",
        str(package),
        str(tmp_path / "scenes" / "images"),
        "--labels",
        str(labels),
        "--device",
        "cpu",
    ]
    result = CliRunner().invoke(model_app, arguments)
    assert result.exit_code == 0, result.output
    with labels.open() as handle:
        n_labels = len(list(csv.DictReader(handle)))
    assert f"{n_labels} pictures" in result.output
    assert 0.02 < read_package(str(package)).spec.temperature < 3
    words = next(line.split() for line in result.output.splitlines() if line.strip().startswith("log_loss"))
    assert float(words[2]) < float(words[1])
    assert math.isfinite(float(words[2]))
