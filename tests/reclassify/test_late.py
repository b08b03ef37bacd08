"""Late masking: features under the mask decide, and networks that it cannot apply to say so."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

from scd_core.identify import load_model
from scd_core.identify.small_cnn import SmallCNN
from scd_core.reclassify.late import late_logits, pooled_layer
from scd_core.scenes import packaged_model


class _Wrapped:
    """As much of a Classifier as late masking needs."""

    def __init__(self, model: nn.Module, size: tuple[int, int]) -> None:
        self.model, self.device = model.eval().requires_grad_(False), torch.device("cpu")
        self.spec = SimpleNamespace(input=SimpleNamespace(size=size))

    def logits(self, batch: Tensor) -> Tensor:
        return self.model(batch)


def test_late_masking_is_the_weighted_mean_of_the_features() -> None:
    model = SmallCNN(5, width=4)
    wrapped = _Wrapped(model, (48, 64))
    layer = pooled_layer(wrapped)  # type: ignore[arg-type]
    assert not isinstance(layer, str), layer
    images, keep = torch.rand(2, 3, 48, 64), torch.zeros(2, 48, 64)
    keep[0, :24], keep[1, :, 32:] = 1, 0.5
    found = late_logits(wrapped, layer, images, keep)  # type: ignore[arg-type]
    features = model.features(images)
    expected = model.head(torch.stack((features[0, :, :3].mean((1, 2)), features[1, :, :, 4:].mean((1, 2)))))
    torch.testing.assert_close(found, expected)


def test_a_mask_of_ones_changes_nothing() -> None:
    classifier = load_model(str(packaged_model("clean")))
    layer = pooled_layer(classifier)
    assert not isinstance(layer, str)
    images = torch.randn(2, 3, 120, 160)
    torch.testing.assert_close(
        late_logits(classifier, layer, images, torch.ones(2, 120, 160)), classifier.logits(images)
    )
    assert not classifier.model.get_submodule(layer.name)._forward_hooks


@pytest.mark.parametrize(("pool", "applies"), [("avg", True), ("token", False)])
def test_a_vit_must_average_its_patch_tokens(pool: str, applies: bool) -> None:
    timm = pytest.importorskip("timm")
    vit = timm.models.VisionTransformer(
        img_size=32, patch_size=8, embed_dim=32, depth=2, num_heads=2, num_classes=4, global_pool=pool
    )
    for parameter in vit.parameters():
        # At its initial weights attention is even, which makes the last block an average of its own.
        parameter.data *= 8.0 if parameter.ndim > 1 else 1.0
    wrapped = _Wrapped(vit, (32, 32))
    layer = pooled_layer(wrapped)  # type: ignore[arg-type]
    assert isinstance(layer, str) is not applies
    if isinstance(layer, str):
        assert "class token" in layer
        return
    images = torch.randn(1, 3, 32, 32)
    keep = torch.zeros(1, 32, 32)
    keep[:, :16] = 1
    assert not torch.allclose(late_logits(wrapped, layer, images, keep), wrapped.logits(images))  # type: ignore[arg-type]


def test_a_network_that_flattens_has_no_average() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3, stride=4, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 64, 3))
    found = pooled_layer(_Wrapped(model, (32, 32)))  # type: ignore[arg-type]
    assert isinstance(found, str)
    assert "average" in found


def test_a_classifier_that_names_by_a_faster_copy_of_its_network_masks_features_all_the_same() -> None:
    classifier = load_model(str(packaged_model("clean")))
    layer = pooled_layer(classifier)
    assert not isinstance(layer, str)
    images, keep = torch.randn(11, 3, 120, 160), torch.zeros(11, 120, 160)
    keep[:, :, 80:] = 1.0
    found = late_logits(classifier, layer, images, keep)
    plain = classifier.logits(images)
    assert (found - plain).abs().amax(1).min() > 1e-3, "each picture's answer changes"
    expected = torch.stack(
        [late_logits(classifier, layer, one[None], half[None])[0] for one, half in zip(images, keep)]
    )
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
