"""The gradient of the naming pass: the map of Grad-CAM, names as without it, a share by hand, and what has none."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import nn

from scd_core.config import AuditConfig
from scd_core.identify import Classifier, load_model
from scd_core.identify.architectures import build_network
from scd_core.identify.classify import classify_media
from scd_core.identify.packing import pack_gallery, pack_model
from scd_core.masks.feature_layer import find_feature_layer, layer_signals
from scd_core.masks.gradient import GradientNaming, share_outside
from scd_core.media import list_source
from scd_core.scenes import packaged_model
from scd_core.tables.schema import table_from_rows

BOX = (0.2, 0.3, 0.4, 0.5)
LOCATED = {"detection_id": None} | dict(
    zip(("bbox_x_min", "bbox_y_min", "bbox_width", "bbox_height"), BOX, strict=True)
)
WHOLE = {"detection_id": None, "bbox_x_min": None}
CROP = {"detection_id": "d1"} | {key: value for key, value in LOCATED.items() if key != "detection_id"}


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return load_model(str(packaged_model("clean")))


def _pictures(classifier: Classifier, count: int) -> torch.Tensor:
    return torch.rand(count, 3, *classifier.spec.input.size, generator=torch.Generator().manual_seed(3))


def _expected(model: nn.Module, images: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
    """Positive Grad-CAM maps of the log-odds, from the model itself instead of the copy that names."""
    layer = find_feature_layer(model, images[0])
    activations, gradients = layer_signals(model, layer, images, classes, "log_odds")
    return (gradients.mean(dim=(2, 3), keepdim=True) * activations).sum(dim=1).clamp_min(0)


@pytest.mark.parametrize("architecture", ["scd_core/small_cnn", "torchvision/mobilenet_v2", "torchvision/resnet18"])
def test_names_stay_and_the_share_is_that_of_grad_cam(tmp_path: Path, architecture: str) -> None:
    torch.manual_seed(1)
    weights = tmp_path / "w.pth"
    torch.save(build_network(architecture, 4).state_dict(), weights)
    pack_model(tmp_path / "m", architecture=architecture, weights=weights, labels=list("abcd"), size=(96, 96))
    classifier = load_model(str(tmp_path / "m"))
    images = _pictures(classifier, 9)  # more than one pass
    plain = classifier.logits(images)  # first, as where masks are made before the next batch is named
    logits, columns = GradientNaming(classifier)(images, [LOCATED] * 9)  # type: ignore[list-item]
    torch.testing.assert_close(logits, plain, rtol=1e-5, atol=1e-6)
    maps = _expected(classifier.model, images, logits.argmax(dim=1))
    for found, own in zip(columns, maps, strict=True):
        expected = share_outside(own, BOX, images.shape[-2:])
        assert found["gradient_outside"] == pytest.approx(expected, abs=1e-4)
        assert found["gradient_region"] == ("flat" if expected is None else "box")
    assert any(found["gradient_outside"] for found in columns)


def test_a_planted_patch_is_found_outside_and_inside_a_box() -> None:
    """A network whose score is the brightness of one corner: all of its gradient map lies there."""
    found = torch.zeros(6, 8)
    found[1:3, 1:3] = 1.0
    assert share_outside(found, (0.0, 0.0, 0.6, 0.7), (60, 80)) == pytest.approx(0.0, abs=1e-6)
    assert share_outside(found, (0.6, 0.6, 0.3, 0.3), (60, 80)) == pytest.approx(1.0)
    assert share_outside(found, None, (60, 80)) == pytest.approx(0.0, abs=1e-6)  # compact, wherever it is
    assert share_outside(torch.ones(6, 8), None, (60, 80)) == pytest.approx(0.75)  # everywhere
    assert share_outside(torch.zeros(6, 8), BOX, (60, 80)) is None
    # A gradient too small to add up in single precision still has a place.
    assert share_outside(found * 1e-38, (0.6, 0.6, 0.3, 0.3), (60, 80)) == pytest.approx(1.0)


def test_what_has_no_outside_or_no_layer_has_a_reason(classifier: Classifier, monkeypatch: pytest.MonkeyPatch) -> None:
    images = _pictures(classifier, 3)
    _, columns = GradientNaming(classifier)(images, [CROP, WHOLE, LOCATED])  # type: ignore[list-item]
    assert [row["gradient_region"] for row in columns] == ["picture_is_box", "window", "box"]
    assert [row["gradient_outside"] is None for row in columns] == [True, False, False]
    flat = nn.Sequential(nn.Flatten(), nn.Linear(3 * images.shape[2] * images.shape[3], len(classifier.spec.labels)))
    monkeypatch.setitem(classifier.__dict__, "naming_network", flat.requires_grad_(False).eval())
    logits, columns = GradientNaming(classifier)(images, [LOCATED] * 3)  # type: ignore[list-item]
    torch.testing.assert_close(logits, flat(images))
    assert columns == [{"gradient_outside": None, "gradient_region": "no_layer"}] * 3


def test_a_gallery_is_measured_by_the_likeness_to_the_individual(tmp_path: Path) -> None:
    weights = packaged_model("clean") / "weights.safetensors"
    spec = load_model(str(packaged_model("clean"))).spec
    for first, name in enumerate(("Luna", "Nyx")):
        (tmp_path / name).mkdir()
        for number in range(2):
            pixels = torch.rand(120, 160, 3, generator=torch.Generator().manual_seed(10 * first + number))
            Image.fromarray((pixels.numpy() * 255).astype("uint8")).save(tmp_path / name / f"{number}.png")
    pictures = {name: sorted((tmp_path / name).glob("*.png")) for name in ("Luna", "Nyx")}
    pack_gallery(
        tmp_path / "m", architecture=spec.architecture, weights=weights, pictures=pictures,
        architecture_args=spec.architecture_args, size=spec.input.size, mean=spec.input.mean, std=spec.input.std,
    )  # fmt: skip
    gallery = load_model(str(tmp_path / "m"))
    images = _pictures(gallery, 3)
    gallery.embed(images)
    logits, columns = GradientNaming(gallery)(images, [LOCATED] * 3)  # type: ignore[list-item]
    torch.testing.assert_close(logits, gallery.logits(images), rtol=1e-4, atol=1e-5)
    known: Any = gallery.model
    prototypes = torch.stack([known.embeddings[known.classes == place].mean(0) for place in range(2)])

    class Likeness(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.known = known

        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            return self.known.embed(pixels) @ nn.functional.normalize(prototypes, dim=1).T

    model, classes = Likeness(), logits.argmax(dim=1)
    activations, gradients = layer_signals(model, find_feature_layer(model, images[0]), images, classes, "logit")
    maps = (gradients.mean(dim=(2, 3), keepdim=True) * activations).sum(dim=1).clamp_min(0)
    for found, own in zip(columns, maps, strict=True):
        assert found["gradient_outside"] == pytest.approx(share_outside(own, BOX, images.shape[-2:]), abs=1e-4)


def test_threads_that_share_a_network_do_not_mix_their_maps(classifier: Classifier) -> None:
    images = _pictures(classifier, 16)
    alone = GradientNaming(classifier)(images, [LOCATED] * 16)[1]  # type: ignore[list-item]
    with ThreadPoolExecutor(4) as pool:
        together = list(
            pool.map(lambda _: GradientNaming(classifier)(images, [LOCATED] * 16)[1], range(8))  # type: ignore[list-item]
        )
    for found in together:
        assert [row["gradient_outside"] for row in found] == pytest.approx([row["gradient_outside"] for row in alone])
    assert not any(module._forward_hooks for module in classifier.naming_network.modules())


def test_classified_pictures_have_the_columns_and_the_same_names(tmp_path: Path, classifier: Classifier) -> None:
    for number in range(3):
        pixels = torch.rand(120, 160, 3, generator=torch.Generator().manual_seed(number)).numpy()
        Image.fromarray((pixels * 255).astype("uint8")).save(tmp_path / f"{number}.png")
    (tmp_path / "3.png").write_bytes(b"no picture")
    names = ("media_id", "file", "uri", "etag", "size_bytes")
    objects = list_source(str(tmp_path), AuditConfig().media).objects
    media: list[Any] = [{name: getattr(item, name) for name in names} for item in objects]
    plain = classify_media(media, classifier, str(tmp_path), AuditConfig())
    measured = classify_media(media, classifier, str(tmp_path), AuditConfig(), naming=GradientNaming(classifier))
    assert [row.get("predicted_id") for row in plain] == [row.get("predicted_id") for row in measured]
    assert [row.get("gradient_region") for row in measured] == ["window"] * 3 + [None]
    assert all(0 <= row["gradient_outside"] <= 1 for row in measured[:3])
    assert table_from_rows("predictions", [{**row, "run_id": "r", "batch_key": "b", "model_digest": "m", "is_flagged": False,
        "is_control": False, "is_selected": False} for row in measured]).num_rows == 4  # fmt: skip
