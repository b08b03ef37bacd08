"""Embeddings of every prediction: from the pass that names it, in half precision, and comparable by their space."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
import torch
from PIL import Image

from scd_core.config import ClassifyConfig
from scd_core.identify import load_model, read_package
from scd_core.identify.classify import _Waiting
from scd_core.identify.embeddings import feature_matrix, split_embeddings
from scd_core.masks.gradient import GradientNaming
from scd_core.scenes import packaged_model, preset_world, render, sample_specs
from scd_core.tables.rows import PredictionRow
from scd_core.tables.schema import table_from_rows


def _pictures(n: int) -> list[Image.Image]:
    world = preset_world("demo")
    return [Image.fromarray(render(world, spec).image) for spec in sample_specs(world, "audit", n, 5)[:n]]


@pytest.mark.parametrize("has_gradient", [False, True])
def test_every_named_row_has_the_features_that_its_name_was_read_from(has_gradient: bool) -> None:
    classifier = load_model(str(packaged_model("clean")))
    naming = (
        GradientNaming(classifier)
        if has_gradient
        else (lambda batch, rows, shifts=None: (classifier.logits(batch), [{} for _ in rows]))
    )
    rows: list[PredictionRow] = [{"target_id": str(place), "detection_id": "0"} for place in range(11)]
    waiting = _Waiting(classifier, ClassifyConfig(batch_size=11), naming)
    inputs = [classifier.preprocess(picture) for picture in _pictures(11)]
    for row, tensor in zip(rows, inputs, strict=True):
        waiting.add(row, tensor)
    waiting.finish()
    head = classifier.model.get_submodule("head")
    with torch.no_grad():
        logits = head(torch.tensor([row["embedding"] for row in rows]))
    assert torch.allclose(logits, classifier.logits(torch.stack(inputs)), atol=1e-3)


def _rows() -> pa.Table:
    more = {"media_id": "m", "is_flagged": False, "is_control": False, "is_selected": False}
    return table_from_rows(
        "predictions",
        [
            {"target_id": "a", "prediction_status": "ok", "predicted_id": "Luna", "embedding": [3.0, 4.0], **more},
            {"target_id": "b", "prediction_status": "no_animal", **more},
            {"target_id": "c", "prediction_status": "ok", "predicted_id": "unknown", "embedding": [0.0, 1e9], **more},
            {"target_id": "d", "prediction_status": "ok", "predicted_id": "unknown", "embedding": [0.0, 0.0], **more},
            {
                "target_id": "e",
                "prediction_status": "ok",
                "predicted_id": "Luna",
                "embedding": [float("nan"), 1.0],
                **more,
            },
        ],
    )


def test_known_and_unknown_go_into_the_table_and_unusable_features_do_not() -> None:
    predictions, embeddings = split_embeddings(_rows(), "space-1")
    assert embeddings["target_id"].to_pylist() == ["a", "c"]
    assert embeddings["features"].to_pylist() == [[3.0, 4.0], [0.0, 65504.0]]
    assert set(embeddings["embedding_space"].to_pylist()) == {"space-1"}
    assert predictions["embedding"].to_pylist() == [None, None, [0.0, 1.0], None, None]
    assert predictions.schema == _rows().schema


def test_a_batch_without_names_has_no_embeddings() -> None:
    predictions, embeddings = split_embeddings(_rows().slice(1, 1), "space-1")
    assert len(embeddings) == 0 and predictions.equals(_rows().slice(1, 1))
    assert feature_matrix(embeddings["features"]).shape == (0, 0)


def test_features_of_several_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="several lengths: 1 and 2"):
        feature_matrix(pa.chunked_array([pa.array([[1.0], [1.0, 2.0]])]))


def test_the_matrix_is_that_of_a_slice_not_of_the_whole_column() -> None:
    column = pa.chunked_array([pa.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])])
    assert np.array_equal(feature_matrix(column[1:]), [[3.0, 4.0], [5.0, 6.0]])


def test_the_space_is_of_weights_and_preprocessing_not_of_names_or_temperature() -> None:
    spec = read_package(str(packaged_model("clean"))).spec
    same = spec.model_copy(update={"labels": ("A", "B"), "temperature": 2.0, "unknown_threshold": 0.5})
    other = spec.model_copy(update={"input": spec.input.model_copy(update={"resize": "pad"})})
    assert same.embedding_space == spec.embedding_space != other.embedding_space
    assert read_package(str(packaged_model("shortcut"))).spec.embedding_space != spec.embedding_space
