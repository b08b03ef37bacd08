"""A model that names a box by the whole frame as well: its package, its names, and what cannot be done with it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from scd_core.audit.compare.preprocessing import check_preprocessing
from scd_core.config import AuditConfig
from scd_core.errors import InputError
from scd_core.identify import load_model, pack_model, read_package
from scd_core.identify.calibrate import calibrate_package
from scd_core.identify.check import check_package
from scd_core.identify.class_means import Head, read_head
from scd_core.identify.classify import classify_media
from scd_core.identify.learning import learn_name
from scd_core.identify.small_cnn import SmallCNN
from scd_core.identify.weighing import shift_again
from scd_core.improve.adapting import why_not_adapted
from scd_core.inputs.detections import Detection
from scd_core.masks.contrast import contrast_masks
from scd_core.masks.engine import fit_masks
from scd_core.masks.rows import fit_named
from scd_core.masks.settings import mask_settings
from scd_core.media import list_source
from scd_core.names import Strategy
from scd_core.reclassify.rows import reclassify_predictions
from scd_core.tables.mask_png import encode_mask

NAMES = ("Ada", "Bo")
BOXES = [(0.0, 0.0, 0.5, 0.5), (0.5, 0.25, 0.5, 0.5)]


def head(seed: int = 0, width: int = 64, scale: float = 1.0) -> Head:
    rng = np.random.default_rng(seed)
    return Head((scale * rng.normal(size=(2, width))).astype(np.float32), rng.normal(size=2).astype(np.float32))


class Added(torch.nn.Module):
    """A network with values added to its logits."""

    def __init__(self, network: torch.nn.Module, values: torch.Tensor) -> None:
        super().__init__()
        self.network, self.values = network, values

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.network(images) + self.values


def features(model: str) -> int:
    classifier = load_model(model)
    return classifier.features(torch.zeros(1, 3, 32, 48)).shape[1]


@pytest.fixture
def model(tmp_path: Path) -> str:
    """Weights of chance, and a layer of chance for the whole frame that outweighs them."""
    torch.manual_seed(0)
    weights = tmp_path / "weights.pth"
    torch.save(SmallCNN(2).state_dict(), weights)
    folder = tmp_path / "model"
    pack_model(folder, architecture="scd_core/small_cnn", weights=weights, labels=NAMES, size=(32, 48))
    with_layer(folder, head(width=features(str(folder)), scale=3))
    return str(folder)


def with_layer(folder: Path, layer: Head) -> None:
    described = json.loads((folder / "model.json").read_text())
    described["input"]["box_use"], described["frame_head"] = "classify", "frame_head.safetensors"
    (folder / "model.json").write_text(json.dumps(described))
    (folder / "frame_head.safetensors").write_bytes(layer.to_bytes())


@pytest.fixture
def audited(model, tmp_path):
    """Prediction rows of two boxes of one frame, its media row, and the frame."""
    rng = np.random.default_rng(1)
    frame = Image.fromarray(rng.integers(0, 255, (64, 96, 3), dtype=np.uint8))
    (tmp_path / "cards").mkdir()
    frame.save(tmp_path / "cards/a.png")
    (listed,) = list_source(str(tmp_path / "cards"), AuditConfig().media).objects
    row = {name: getattr(listed, name) for name in ("media_id", "file", "uri", "etag", "size_bytes")}
    row |= {"width": 96, "height": 64}
    boxes = {"a.png": [Detection(str(place), "animal", 0.9, box) for place, box in enumerate(BOXES)]}
    rows = classify_media([row], load_model(model), str(tmp_path / "cards"), AuditConfig(), boxes)
    return rows, row, frame


def test_a_box_is_named_by_its_crop_and_its_frame_together(model, audited):
    rows, _, frame = audited
    classifier = load_model(model)
    layer = read_package(model).read_frame_head()
    assert layer is not None and len(rows) == 2
    own = classifier.features(classifier.preprocess(frame)[None]).numpy() @ layer.weight.T + layer.bias
    for row, (x, y, width, height) in zip(rows, BOXES, strict=True):
        crop = frame.crop((int(96 * x), int(64 * y), int(96 * (x + width)), int(64 * (y + height))))
        logits = classifier.logits(classifier.preprocess(crop)[None]).numpy() + own
        expected = torch.softmax(torch.from_numpy(logits[0]).double(), 0)
        assert row["predicted_id"] == NAMES[int(expected.argmax())]
        assert row["probability"] == pytest.approx(float(expected.max()), abs=1e-4)
        np.testing.assert_allclose(row["frame_logits"], own[0], rtol=1e-4, atol=1e-4)
        assert len(row["embedding"]) == layer.weight.shape[1]


def test_the_name_before_the_mask_is_the_one_that_was_given(model, audited, tmp_path):
    """The layer outweighs the crops: without it both boxes would be named otherwise again."""
    rows, media, _ = audited
    mask = {"mask_status": "ok", "mask_png": encode_mask(np.full((32, 48), 0.5, np.float32)), "target_id": None}
    masks = {row["target_id"]: {**mask, "target_id": row["target_id"]} for row in rows}
    found = reclassify_predictions(
        rows, masks, {media["media_id"]: media}, load_model(model), str(tmp_path / "cards"), AuditConfig()
    )
    fused = {one["target_id"]: one for one in found if one["strategy"] == Strategy.FUSED}
    for row in rows:
        assert not fused[row["target_id"]]["is_flip"]
        assert fused[row["target_id"]]["probability"] == pytest.approx(row["probability"], abs=0.02)


def test_a_mask_is_fitted_to_the_name_by_box_and_frame(model, audited):
    """The layer outweighs the crops, so a mask fitted to the crop's own logits would have other probabilities."""
    rows, _, frame = audited
    classifier, config = load_model(model), AuditConfig.from_mapping({"masks": {"steps": 4}}, "test")
    crops = torch.stack(
        [
            classifier.preprocess(frame.crop((int(96 * x), int(64 * y), int(96 * (x + w)), int(64 * (y + h)))))
            for x, y, w, h in BOXES
        ]
    )
    found, classes = fit_named(rows, crops, classifier, config)
    for place, row in enumerate(rows):
        both = Added(classifier.model, torch.tensor(row["frame_logits"]))
        seeds = found.seeds[[place]]
        one = fit_masks(both, crops[[place]], classes[[place]], mask_settings(config.masks), seeds)
        assert torch.equal(one.joint[0], found.joint[place])
        assert float(found.ssr_probability[place]) == pytest.approx(float(one.ssr_probability[0]), abs=1e-6)
        assert float(found.sdr_probability[place]) == pytest.approx(float(one.sdr_probability[0]), abs=1e-6)
        assert NAMES[int(classes[place])] == row["predicted_id"]
        without = fit_masks(classifier.model, crops[[place]], classes[[place]], mask_settings(config.masks), seeds)
        assert abs(float(without.ssr_probability[0]) - float(one.ssr_probability[0])) > 0.05, (
            "fixture: the frame counts"
        )


def test_masks_of_a_pair_count_the_frame_as_the_name_does(model, audited, tmp_path):
    """What is printed of a pair holds the name without its region against the name: both with the frame."""
    rows, media, frame = audited
    classifier, config = load_model(model), AuditConfig.from_mapping({"masks": {"steps": 4}}, "test")
    row, (x, y, w, h) = rows[0], BOXES[0]
    rival = next(name for name in NAMES if name != row["predicted_id"])
    of_media = {media["media_id"]: media}
    given, _ = contrast_masks([row], {row["target_id"]: rival}, of_media, classifier, str(tmp_path / "cards"), config)
    crop = classifier.preprocess(frame.crop((int(96 * x), int(64 * y), int(96 * (x + w)), int(64 * (y + h)))))[None]
    both = Added(classifier.model, torch.tensor(row["frame_logits"]))
    name, other = (torch.tensor([NAMES.index(one)]) for one in (row["predicted_id"], rival))
    one = fit_masks(both, crop, name, mask_settings(config.masks), torch.tensor([given["seed"]]), other)
    assert given["sdr_probability"] == pytest.approx(float(one.sdr_probability[0]), abs=1e-6)
    assert given["ssr_probability"] == pytest.approx(float(one.ssr_probability[0]), abs=1e-6)


@pytest.mark.parametrize("batch_size", [1, 2, 7])
def test_a_frame_goes_through_the_network_once_however_many_boxes_it_has(model, audited, tmp_path, batch_size):
    _, media, _ = audited
    boxes = [Detection(str(place), "animal", 0.9, (0.03 * place, 0.0, 0.4, 0.5)) for place in range(9)]
    classifier, passes = load_model(model), []
    named = classifier.frame_logits
    classifier.frame_logits = lambda frames: passes.append(len(frames)) or named(frames)
    config = AuditConfig.from_mapping({"classify": {"batch_size": batch_size}}, "test")
    rows = classify_media([media], classifier, str(tmp_path / "cards"), config, {"a.png": boxes})
    assert sum(passes) == 1 and len(rows) == 9
    usual = classify_media([media], load_model(model), str(tmp_path / "cards"), AuditConfig(), {"a.png": boxes})
    for row, other in zip(rows, usual, strict=True):
        assert row["predicted_id"] == other["predicted_id"] and row["frame_logits"] == other["frame_logits"]
        assert row["probability"] == pytest.approx(other["probability"], abs=1e-5)


def test_what_is_added_when_a_picture_is_named_again():
    expected = torch.tensor([1.0, 0.0])
    named = {"predicted_id": "Ada", "frame_logits": [0.5, 2.0]}
    assert shift_again(named, expected).tolist() == [1.5, 2.0]
    assert shift_again({**named, "predicted_id": "unknown"}, expected).tolist() == [0.5, 2.0]
    assert shift_again({"predicted_id": "Ada"}, expected) is expected
    assert shift_again({"predicted_id": "unknown", "frame_logits": None}, expected) is None


def test_the_layer_is_part_of_the_package(model):
    before = read_package(model)
    with_layer(Path(model), head(1, width=features(model)))
    after = read_package(model)
    assert before.digest != after.digest and before.spec.embedding_space == after.spec.embedding_space


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        (head(width=5), "does not fit the network"),
        (Head(np.zeros((3, 5), np.float32), np.zeros(3, np.float32)), "2 classes"),
    ],
)
def test_a_layer_of_another_network_is_refused(model, layer, words):
    with_layer(Path(model), layer)
    with pytest.raises(InputError, match=words):
        load_model(model)


def test_a_damaged_layer_is_refused(model):
    (Path(model) / "frame_head.safetensors").write_bytes(b"no")
    with pytest.raises(InputError, match="cannot be read"):
        load_model(model)
    with pytest.raises(InputError, match="finite"):
        read_head(Head(np.full((2, 5), np.nan, np.float32), np.zeros(2, np.float32)).to_bytes(), "x", 2)


def test_a_package_of_whole_frames_has_no_layer_beside_boxes(model):
    file = Path(model) / "model.json"
    file.write_text(file.read_text().replace('"classify"', '"locate"'))
    with pytest.raises(InputError, match="frame_head belongs to"):
        read_package(model)


def test_a_check_states_what_it_names_by(model):
    assert check_package(model)["names by"] == "the animal's box and its whole frame"
    assert "whole frame" in str(why_not_adapted(load_model(model)))


def test_it_learns_no_name_by_itself_and_is_not_calibrated_on_whole_frames(model, tmp_path):
    parent = read_package(model)
    with pytest.raises(InputError, match="then `trapaudit improve`"):
        learn_name(parent, "Cy", np.zeros((3, 64)), None, str(tmp_path / "new"))
    for judged in (calibrate_package, check_preprocessing):
        with pytest.raises(InputError, match="names an animal's box and its frame together"):
            judged(model, str(tmp_path), {"a.png": "Ada"})
