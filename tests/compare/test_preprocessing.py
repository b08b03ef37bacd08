"""Preprocessing that is not the one of training is found on labelled pictures, and a right one is left alone."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from scd_core.audit.compare.preprocessing import check_preprocessing
from scd_core.errors import InputError
from scd_core.identify import load_model
from scd_core.scenes import packaged_model


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Noise in colour with the names that the packaged network gives it: by its own preprocessing all are right."""
    folder = tmp_path_factory.mktemp("pictures")
    classifier, rng = load_model(str(packaged_model("clean"))), np.random.default_rng(3)
    rows = []
    for place in range(120):
        low = rng.integers(0, 255, (6, 8, 3), dtype=np.uint8)
        Image.fromarray(low).resize((700, 240), Image.Resampling.BICUBIC).save(folder / f"{place:02}.png")
        with Image.open(folder / f"{place:02}.png") as picture:
            logits = classifier.logits(classifier.preprocess(picture)[None])
        rows.append((f"{place:02}.png", classifier.names[int(classifier.probabilities(logits)[0].argmax())]))
    with (folder / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("file", "individual_id"), *rows])
    return folder


def names_of(folder: Path) -> dict[str, str]:
    with (folder / "labels.csv").open() as file:
        return {row["file"]: row["individual_id"] for row in csv.DictReader(file)}


def changed(folder: Path, **values: Any) -> str:
    """The packaged model with another preprocessing than it was labelled with."""
    for path in Path(packaged_model("clean")).iterdir():
        if path.is_file():
            (folder / path.name).write_bytes(path.read_bytes())
    content = json.loads((folder / "model.json").read_text())
    content["input"] |= values
    (folder / "model.json").write_text(json.dumps(content))
    return str(folder)


def test_the_right_preprocessing_stays(pictures: Path) -> None:
    done = check_preprocessing(str(packaged_model("clean")), str(pictures), names_of(pictures))
    assert done.n == 120 and done.variants[0].is_own and done.variants[0].n_right == 120 and not done.better
    assert done.words.startswith("120 of 120") and "no other one" in done.words


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ({"mean": [0.0, 0.0, 0.0], "std": [2.0, 2.0, 2.0]}, "--mean 0.5,0.5,0.5 --std 0.25,0.25,0.25"),
        ({"resize": "crop", "resize_size": 320}, "--resize stretch"),
    ],
)
def test_a_wrong_one_is_found_by_the_part_that_is_wrong(
    pictures: Path, tmp_path: Path, values: dict[str, Any], found: str
) -> None:
    done = check_preprocessing(changed(tmp_path, **values), str(pictures), names_of(pictures))
    best = [one.name for one in done.better if one.n_right == done.better[0].n_right]
    assert any(name.startswith(found) for name in best) and done.variants[-1].n_right < done.better[0].n_right
    assert done.better[0].mended > done.better[0].spoilt and done.better[0].p_value < 0.05
    assert "pack the model again" in done.words


def test_too_few_pictures_and_names_that_the_model_does_not_know(pictures: Path) -> None:
    few = dict(list(names_of(pictures).items())[:9])
    with pytest.raises(InputError, match=r"9 labelled pictures .* at least 10"):
        check_preprocessing(str(packaged_model("clean")), str(pictures), few | {"20.png": "Nobody", "gone.png": "Luna"})


def test_the_command(pictures: Path, trapaudit: Callable[..., Any]) -> None:
    package = packaged_model("clean")
    done = trapaudit("model", "check", package, "--pictures", pictures, "--labels", pictures / "labels.csv")
    assert done.code == 0, done.err
    assert "the package's own" in done.out and "blue, green, red" in done.out and "120 of 120 pictures" in done.out
    alone = trapaudit("model", "check", package, "--pictures", pictures)
    assert alone.code == 2 and alone.err.count("\n") == 1 and "belong together" in alone.err
