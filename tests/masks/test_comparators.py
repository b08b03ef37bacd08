"""Comparators: their equations on networks small enough to work out, any architecture, and the model afterwards."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torchvision import models

from scd_core.masks.comparators.cf_cam import cf_cam, channel_weights
from scd_core.masks.comparators.fido import fido
from scd_core.masks.comparators.grad_cam import grad_cam
from scd_core.masks.comparators.norm_grad import _step, norm_grad
from scd_core.masks.feature_layer import find_feature_layer
from scd_core.masks.metrics import class_sensitivity, energy_in_region
from scd_core.masks.preserve import borrowed

COMPARATORS = {
    "grad_cam": grad_cam,
    "norm_grad": norm_grad,
    "norm_grad_selective": lambda *args: norm_grad(*args, selective=True),
    "cf_cam": cf_cam,
    "fido": lambda *args: fido(*args, steps=3, samples=2, mask_size=8),
}


class Quadrants(nn.Module):
    """Two classes: bright upper left is class 0, bright lower right class 1."""

    def __init__(self, size: int = 16) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 2, 1, bias=False), nn.BatchNorm2d(2), nn.ReLU(inplace=True))
        nn.init.ones_(self.features[0].weight)
        self.half = size // 2

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features, half = self.features(images), self.half
        upper = features[:, 0, :half, :half].mean(dim=(1, 2))
        lower = features[:, 1, half:, half:].mean(dim=(1, 2))
        return 8.0 * torch.stack([upper - lower, lower - upper], dim=1)


@pytest.fixture
def images() -> torch.Tensor:
    return torch.rand(3, 3, 16, 16, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def targets() -> torch.Tensor:
    return torch.tensor([0, 1, 0])


def quadrant(target: int) -> torch.Tensor:
    region = torch.zeros(16, 16)
    region[slice(0, 8) if target == 0 else slice(8, 16), slice(0, 8) if target == 0 else slice(8, 16)] = 1
    return region


def test_the_package_gives_the_functions_whatever_was_imported_before():
    from scd_core import masks

    assert [masks.cf_cam, masks.fido, masks.grad_cam, masks.norm_grad] == [cf_cam, fido, grad_cam, norm_grad]


class TestShape:
    @pytest.mark.parametrize("name", COMPARATORS)
    def test_maps_are_pictures_in_the_unit_range(self, name, images, targets):
        masks = COMPARATORS[name](Quadrants(), images, targets)
        for maps in (masks.sufficient, masks.destroying, masks.joint):
            assert maps.shape == (3, 16, 16) and maps.dtype == torch.float32
            assert maps.min() >= 0 and maps.max() <= 1
        for values in (masks.ssr_probability, masks.sdr_probability):
            assert values.shape == (3,) and ((values >= 0) & (values <= 1)).all()
        torch.testing.assert_close(masks.area, masks.joint.mean(dim=(1, 2)))
        assert not masks.failures

    @pytest.mark.parametrize("name", COMPARATORS)
    def test_evaluations_are_the_images_that_went_through(self, name, images, targets):
        model, seen = Quadrants(), []
        model.features[0].register_forward_hook(lambda _module, inputs, _output: seen.append(len(inputs[0])))
        masks = COMPARATORS[name](model, images, targets)
        # Two probes of the classes for the call, and where a layer is looked for one more.
        assert sum(seen) - int(masks.evaluations.sum()) == (2 if name == "fido" else 3)

    def test_non_square_input(self):
        torch.manual_seed(0)
        model = models.mobilenet_v2(num_classes=3)
        with torch.no_grad():
            model.classifier[
                1
            ].weight.abs_()  # features are not negative behind a ReLU6, so every map has positive evidence
        masks = grad_cam(model, torch.rand(2, 3, 96, 160), torch.tensor([0, 2]))
        assert masks.joint.shape == (2, 96, 160) and masks.joint.amax(dim=(1, 2)).tolist() == [1.0, 1.0]


class TestGradCam:
    def test_equation_on_a_linear_head(self):
        generator = torch.Generator().manual_seed(1)
        body = nn.Sequential(nn.Conv2d(3, 5, 3, padding=1), nn.ReLU())
        model = nn.Sequential(body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, 4)).eval()
        image = torch.randn(1, 3, 9, 9, generator=generator)
        with torch.no_grad():
            # Behind a mean the gradient of the logit is the head's weight over the number of cells.
            expected = (model[3].weight[2][:, None, None] / 81 * body(image)[0]).sum(dim=0).clamp_min(0)
        found = grad_cam(model, image, torch.tensor([2])).joint[0]
        torch.testing.assert_close(found, expected / expected.max())

    def test_no_positive_evidence_is_an_empty_map(self):
        model = nn.Sequential(nn.Conv2d(3, 2, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 2))
        with torch.no_grad():
            model[4].weight[0], model[4].weight[1] = -1.0, 1.0
        masks = grad_cam(model, torch.rand(1, 3, 8, 8), torch.tensor([0]))
        assert masks.joint.abs().sum() == 0


class TestNormGrad:
    def test_is_the_norm_of_the_outer_product(self, images, targets):
        model = Quadrants().eval()
        features = model.features(images)
        probe = features.detach().requires_grad_(True)
        half = model.half
        upper, lower = probe[:, 0, :half, :half].mean(dim=(1, 2)), probe[:, 1, half:, half:].mean(dim=(1, 2))
        logits = 8.0 * torch.stack([upper - lower, lower - upper], dim=1)
        (gradient,) = torch.autograd.grad(nn.functional.cross_entropy(logits, targets, reduction="sum"), probe)
        outer = torch.einsum("nchw,ndhw->nhwcd", gradient, features)
        expected = outer.flatten(3).norm(dim=3)
        found = norm_grad(model, images, targets).joint
        torch.testing.assert_close(found, expected / expected.amax(dim=(1, 2), keepdim=True), rtol=1e-4, atol=1e-5)

    def test_of_a_confident_model_does_not_vanish(self, images):
        model = Quadrants().eval()
        with torch.no_grad():
            model.features[0].weight.mul_(1e4)
            targets = model(images).argmax(dim=1)
            assert (model(images).softmax(dim=1).amax(dim=1) == 1).all()
        assert (norm_grad(model, images, targets).joint.amax(dim=(1, 2)) == 1).all()

    def test_a_step_of_length_zero_is_the_plain_form(self, images, targets):
        model = Quadrants()
        plain, stepped = (
            norm_grad(model, images, targets),
            norm_grad(model, images, targets, selective=True, step_size=0),
        )
        torch.testing.assert_close(plain.joint, stepped.joint)

    def test_the_step_has_its_length_and_goes_down_the_loss(self):
        torch.manual_seed(0)
        model = models.resnet18(num_classes=5).eval()
        image, target = torch.randn(1, 3, 64, 64), torch.tensor([3])
        stepped = _step(model, image, target, 0.01)
        before, after = dict(model.named_parameters()), torch.func.functional_call(model, stepped, (image,))
        moved = sum((stepped[name] - value).square().sum() for name, value in before.items()).sqrt()
        length = sum(value.square().sum() for value in before.values()).sqrt()
        assert (moved / length).item() == pytest.approx(0.01, rel=1e-3)
        loss = nn.functional.cross_entropy
        assert loss(after, target) < loss(model(image), target) - 0.1

    def test_the_selective_form_listens_to_the_class_where_the_plain_form_does_not(self):
        torch.manual_seed(0)
        model = models.resnet18(num_classes=5).eval()
        images = torch.randn(3, 3, 64, 64)
        plain = class_sensitivity(model, images, lambda *args: norm_grad(*args).joint)
        stepped = class_sensitivity(model, images, lambda *args: norm_grad(*args, selective=True, step_size=0.05).joint)
        assert plain.min() > 0.99 and stepped.mean() < 0.95


class TestCfCam:
    def test_softmax_over_tiny_weights_is_nearly_uniform_and_linear_weights_are_not(self):
        generator = torch.Generator().manual_seed(0)
        activations = torch.rand(64, 7, 7, generator=generator)
        gradients = 0.01 * torch.randn(64, 7, 7, generator=generator)
        softmax = channel_weights(activations, gradients, "softmax", dominant_share=1.0)
        linear = channel_weights(activations, gradients, "linear", dominant_share=1.0)
        assert softmax.sum().item() == pytest.approx(1, abs=1e-5)
        assert (softmax * 64 - 1).abs().max() < 0.02
        torch.testing.assert_close(linear, gradients.mean(dim=(1, 2)))

    def test_noise_channels_are_dropped_and_members_share_the_weight_of_their_cluster(self):
        activations = torch.zeros(12, 6, 6)
        activations[:5, :3] = 1.0  # a cluster of five
        activations[5:10, 3:] = 1.0  # another
        activations[10], activations[11] = 30.0, -30.0  # far from everything
        activations += 1e-3 * torch.rand(activations.shape, generator=torch.Generator().manual_seed(0))
        gradients = torch.arange(12.0)[:, None, None].expand(12, 6, 6)
        weights = channel_weights(activations, gradients, "linear", dominant_share=0.0, filter_sigma=0.0)
        assert weights.tolist() == pytest.approx([2.0] * 5 + [7.0] * 5 + [0.0] * 2)

    def test_published_form_is_class_blind_where_the_linear_form_is_not(self):
        torch.manual_seed(0)
        model = models.resnet18(num_classes=10).eval()
        images = torch.randn(4, 3, 96, 96)
        published = class_sensitivity(model, images, lambda *args: cf_cam(*args).joint)
        linear = class_sensitivity(model, images, lambda *args: cf_cam(*args, weighting="linear").joint)
        assert published.min() > 0.95 and linear.mean() < 0.6

    @pytest.mark.parametrize("setting", [{"weighting": "other"}, {"dominant_share": 1.5}, {"filter_sigma": -1.0}])
    def test_refuses_settings_out_of_range(self, setting, images, targets):
        with pytest.raises(ValueError, match=next(iter(setting))):
            cf_cam(Quadrants(), images, targets, **setting)


class TestFido:
    def test_finds_the_evidence(self, targets):
        torch.manual_seed(0)
        images = torch.zeros(3, 3, 16, 16)
        for image, target in zip(images, targets, strict=True):
            image += torch.randn(3, 16, 16) * quadrant(int(target)) * 0.3
        model = Quadrants().eval()
        model.features[2] = nn.LeakyReLU(-1.0)  # |x|: what the infill's blur takes away
        masks = fido(
            model, images, targets, steps=60, samples=4, mask_size=8, learning_rate=0.5, area_weight=0.02,
            variation_weight=0.01,
        )  # fmt: skip
        regions = torch.stack([quadrant(int(target)) for target in targets])
        assert (energy_in_region(masks.joint, regions) > 0.6).all()
        assert (masks.ssr_probability > masks.sdr_probability).all()

    def test_a_mask_does_not_depend_on_what_shares_its_batch(self, images, targets):
        seeds = torch.tensor([5, 6, 7])
        together = fido(Quadrants(), images, targets, seeds=seeds, steps=5, samples=2, mask_size=8)
        alone = fido(Quadrants(), images[1:2], targets[1:2], seeds=seeds[1:2], steps=5, samples=2, mask_size=8)
        torch.testing.assert_close(together.joint[1:2], alone.joint, rtol=0, atol=1e-5)
        assert not torch.allclose(together.joint[0], together.joint[2])

    def test_settings_are_the_published_ones(self):
        defaults = fido.__kwdefaults__
        published = {"steps": 300, "mask_size": 56, "temperature": 0.1, "learning_rate": 0.05}
        assert {name: defaults[name] for name in published} == published

    @pytest.mark.parametrize("setting", [{"steps": 0}, {"samples": 0}, {"temperature": 0.0}, {"infill": "snow"}])
    def test_refuses_settings_out_of_range(self, setting, images, targets):
        with pytest.raises(ValueError, match=next(iter(setting))):
            fido(Quadrants(), images, targets, **setting)


class TestFeatureLayer:
    @pytest.mark.parametrize(
        ("architecture", "name", "layout", "grid"),
        [
            ("mobilenet_v2", "features", "channels_first", (4, 5)),
            ("resnet18", "layer4", "channels_first", (4, 5)),
            ("mnasnet0_5", "layers", "channels_first", (4, 5)),
            ("swin_t", "permute", "channels_first", (4, 5)),
        ],
    )
    def test_is_the_last_feature_map(self, architecture, name, layout, grid):
        model = models.get_model(architecture, num_classes=4).eval()
        with borrowed(model):
            found = find_feature_layer(model, torch.rand(3, 128, 160))
        assert (found.name, found.layout, found.grid) == (name, layout, grid)

    def test_of_a_vit_is_the_input_of_the_last_attention(self):
        torch.manual_seed(0)
        model = models.VisionTransformer(64, 16, num_layers=2, num_heads=2, hidden_dim=32, mlp_dim=64, num_classes=4)
        nn.init.normal_(model.heads.head.weight)  # torchvision starts it at zero
        with borrowed(model):
            found = find_feature_layer(model, torch.rand(3, 64, 64))
        assert (found.name, found.layout, found.grid, found.prefix) == (
            "encoder.layers.encoder_layer_1.ln_1", "tokens", (4, 4), 1
        )  # fmt: skip
        output = torch.arange(17.0).view(1, 17, 1)
        assert found.as_picture(output)[0, 0].tolist() == torch.arange(1.0, 17.0).view(4, 4).tolist()
        masks = grad_cam(model, torch.rand(2, 3, 64, 64), torch.tensor([0, 3]))
        assert masks.joint.shape == (2, 64, 64) and masks.joint.max() == 1

    def test_of_a_channels_last_network(self):
        class Last(nn.Module):
            def forward(self, images):
                return images.permute(0, 2, 3, 1)

        class Pool(nn.Module):
            def forward(self, features):
                return features.mean(dim=(1, 2))

        model = nn.Sequential(nn.Conv2d(3, 7, 4, 4), Last(), nn.LayerNorm(7), Pool(), nn.Linear(7, 2))
        nn.init.normal_(model[2].weight)
        with borrowed(model):
            found = find_feature_layer(model, torch.rand(3, 32, 48))
        assert (found.name, found.layout, found.grid) == ("2", "channels_last", (8, 12))

    def test_can_be_named(self, images, targets):
        masks = grad_cam(
            models.mobilenet_v2(num_classes=2), torch.rand(1, 3, 64, 64), torch.tensor([0]), layer="features.6"
        )
        assert masks.joint.shape == (1, 64, 64)
        with pytest.raises(ValueError, match="no module 'features\\.99'"):
            grad_cam(
                models.mobilenet_v2(num_classes=2), torch.rand(1, 3, 64, 64), torch.tensor([0]), layer="features.99"
            )

    def test_a_model_without_places_is_refused(self, images, targets):
        model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 16, 2))
        with pytest.raises(ValueError, match="spatial features"):
            grad_cam(model, images, targets)


class FailsLate(Quadrants):
    """Fails when it has been called a few times, in the middle of a method."""

    calls = 0

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        if self.calls == 3:
            raise RuntimeError("injected")
        return super().forward(images)


class TestModelAfterwards:
    @pytest.mark.parametrize("name", COMPARATORS)
    @pytest.mark.parametrize("architecture", [Quadrants, FailsLate])
    def test_is_as_it_was(self, name, architecture, images, targets):
        model = architecture().train()
        model.features[1].eval()
        model.features[0].weight.requires_grad_(False)
        state = {key: value.clone() for key, value in model.state_dict().items()}
        if architecture is FailsLate:
            with pytest.raises(RuntimeError, match="injected"):
                COMPARATORS[name](model, images, targets)
        else:
            COMPARATORS[name](model, images, targets)
        assert model.training and not model.features[1].training
        assert [parameter.requires_grad for parameter in model.parameters()] == [False, True, True]
        assert all(parameter.grad is None for parameter in model.parameters())
        for module in model.modules():
            assert not module._forward_hooks and not module._backward_hooks and not module._forward_pre_hooks
        for key, value in model.state_dict().items():
            torch.testing.assert_close(value, state[key], rtol=0, atol=0)

    @pytest.mark.parametrize("name", COMPARATORS)
    def test_works_inside_no_grad(self, name, images, targets):
        with torch.no_grad():
            outside = COMPARATORS[name](Quadrants(), images, targets)
        torch.testing.assert_close(outside.joint, COMPARATORS[name](Quadrants(), images, targets).joint)


@pytest.mark.parametrize("name", COMPARATORS)
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": torch.rand(3, 1, 16, 16)}, "images: expected \\(N, 3, H, W\\)"),
        ({"images": torch.full((3, 3, 16, 16), torch.nan)}, "image 0"),
        ({"targets": torch.tensor([0, 1, 2])}, "image 2: expected a class from 0 to 1, got 2"),
        ({"targets": torch.tensor([0.0, 1.0, 1.0])}, "targets: expected"),
        ({"model": nn.Sequential(nn.Conv2d(3, 1, 16), nn.Flatten())}, "K >= 2"),
    ],
)
def test_says_what_is_wrong_before_any_work(name, change, message, images, targets):
    arguments = {"model": Quadrants(), "images": images, "targets": targets} | change
    with pytest.raises(ValueError, match=message):
        COMPARATORS[name](arguments["model"], arguments["images"], arguments["targets"])
