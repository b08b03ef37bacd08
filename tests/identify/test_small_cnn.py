"""The small network: shapes, the seam between feature map and classifier, and its size."""

from __future__ import annotations

import pytest
import torch

from scd_core.identify.small_cnn import SmallCNN


@pytest.fixture
def model() -> SmallCNN:
    torch.manual_seed(0)
    return SmallCNN(5).eval()


@pytest.mark.parametrize("size", [(120, 160), (144, 192), (61, 97), (16, 16)])
def test_any_size_gives_one_logit_a_class(model, size):
    assert model(torch.rand(2, 3, *size)).shape == (2, 5)


def test_classifier_of_features_is_the_forward_pass(model):
    images = torch.rand(3, 3, 120, 160)
    torch.testing.assert_close(model.classifier(model.features(images)), model(images), rtol=0, atol=0)


def test_feature_map_is_local(model):
    images = torch.rand(1, 3, 120, 160)
    changed = images.clone()
    changed[..., :16, :16] = 0
    difference = (model.features(images) - model.features(changed)).abs().amax(1)[0]
    assert difference[:3, :3].max() > 0
    assert difference[8:, 10:].max() == 0


def test_masking_the_feature_map_before_pooling_changes_the_logits(model):
    features = model.features(torch.rand(1, 3, 120, 160))
    mask = torch.zeros(1, 1, *features.shape[2:])
    mask[..., 4:9, 5:12] = 1
    assert not torch.allclose(model.classifier(features * mask), model.classifier(features))


def test_images_of_a_batch_do_not_meet(model):
    images = torch.rand(4, 3, 64, 64)
    torch.testing.assert_close(model(images)[2:3], model(images[2:3]), rtol=1e-5, atol=1e-5)


def test_gradient_reaches_the_pixels(model):
    images = torch.rand(1, 3, 64, 64, requires_grad=True)
    model(images)[0, 1].backward()
    assert images.grad is not None and images.grad.abs().sum() > 0


def test_under_one_and_a_half_megabytes():
    count = sum(value.numel() for value in SmallCNN(64, width=24).state_dict().values())
    assert 4 * count < 1_500_000


@pytest.mark.parametrize(("arguments", "message"), [((1,), "n_classes"), ((4, 0), "width")])
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        SmallCNN(*arguments)
