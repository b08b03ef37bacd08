"""Results on every device and in every number type: shape, type, place, and the values of the CPU in float64."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from scd_core.masks import Masks, SCDConfig, cf_cam, fido, fit_masks, grad_cam, norm_grad
from scd_core.masks.concrete import original_concrete, simplified_concrete
from scd_core.masks.infill import make_infill
from scd_core.masks.log_odds import log_odds
from scd_core.masks.metrics import deletion_insertion, energy_in_region, total_variation
from scd_core.masks.noise import uniform_field

TARGETS = torch.tensor([0, 2, 1])
METHODS: dict[str, Callable[[nn.Module, torch.Tensor, torch.Tensor], Masks]] = {
    "fit_masks": lambda *given: fit_masks(*given, SCDConfig(steps=3, mask_size=8)),
    "grad_cam": grad_cam,
    "norm_grad": norm_grad,
    "cf_cam": cf_cam,
    "fido": lambda *given: fido(*given, steps=2, samples=2, mask_size=8),
}


@pytest.fixture
def images(device: torch.device, dtype: torch.dtype) -> torch.Tensor:
    return torch.randn(3, 3, 24, 32, generator=torch.Generator().manual_seed(3), dtype=torch.float64).to(device, dtype)


@pytest.fixture
def model(device: torch.device, dtype: torch.dtype) -> nn.Module:
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 6, 3, 2, 1), nn.ReLU(), nn.Conv2d(6, 8, 3, 2, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(8, 3),
    )  # fmt: skip
    return network.eval().to(device, dtype)


class TestSmoke:
    @pytest.mark.parametrize("name", METHODS)
    def test_maps_are_where_the_images_are(self, name: str, model: nn.Module, images: torch.Tensor) -> None:
        masks = METHODS[name](model, images, TARGETS.to(images.device))
        assert masks.joint.shape == (3, 24, 32) and masks.joint.dtype == torch.float32
        assert masks.joint.device.type == masks.iterations.device.type == images.device.type
        assert masks.joint.isfinite().all() and not masks.failures
        assert next(model.parameters()).dtype == images.dtype

    def test_metrics_follow_the_images(self, model: nn.Module, images: torch.Tensor) -> None:
        maps = torch.rand(3, 24, 32, generator=torch.Generator().manual_seed(1)).to(images.device)
        curves = deletion_insertion(model, images, TARGETS.to(images.device), maps)
        assert curves.deletion.shape == (3,) and curves.deletion.isfinite().all()
        assert energy_in_region(maps, maps > 0.5).device.type == images.device.type


class TestValues:
    """The same as on the CPU in float64, as far as the number type goes."""

    def test_log_odds(self, device: torch.device, dtype: torch.dtype) -> None:
        exact = torch.randn(5, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        targets = torch.tensor([0, 1, 6, 3, 3])
        found = log_odds(exact.to(device, dtype), targets.to(device))
        assert found.dtype == dtype and found.device.type == device.type
        torch.testing.assert_close(found.cpu().double(), log_odds(exact, targets), rtol=1e-5, atol=1e-5)

    def test_log_odds_in_bfloat16(self, device: torch.device) -> None:
        exact = torch.randn(5, 7, generator=torch.Generator().manual_seed(0))
        targets = torch.tensor([0, 1, 6, 3, 3])
        found = log_odds(exact.to(device, torch.bfloat16), targets.to(device))
        torch.testing.assert_close(found.cpu().float(), log_odds(exact, targets), rtol=0.02, atol=0.05)

    @pytest.mark.parametrize("relax", [simplified_concrete, original_concrete])
    def test_concrete(self, relax: Callable[..., torch.Tensor], device: torch.device, dtype: torch.dtype) -> None:
        logits = torch.linspace(-6, 6, 25, dtype=torch.float64)
        uniform = torch.linspace(0.02, 0.98, 25, dtype=torch.float64)
        found = relax(logits.to(device, dtype), uniform.to(device, dtype), 0.7)
        assert found.dtype == dtype
        torch.testing.assert_close(found.cpu().double(), relax(logits, uniform, 0.7), rtol=1e-4, atol=1e-5)

    @pytest.mark.parametrize("kind", ["blur", "mean", "noise", "local_mean"])
    def test_infill(self, kind: str, images: torch.Tensor) -> None:
        seeds = torch.arange(3)
        found = make_infill(images, kind, 10.0, seeds.to(images.device))
        assert found.dtype == images.dtype and found.shape == images.shape
        exact = make_infill(images.cpu().double(), kind, 10.0, seeds)
        torch.testing.assert_close(found.cpu().double(), exact, rtol=1e-3, atol=1e-3)

    def test_noise_is_the_same_bits_everywhere(self, device: torch.device) -> None:
        seeds, step = torch.tensor([1, 2**40]), torch.tensor([0, 7])
        found = uniform_field(seeds.to(device), step.to(device), (3, 5))
        assert torch.equal(found.cpu(), uniform_field(seeds, step, (3, 5)))

    def test_total_variation(self, device: torch.device, dtype: torch.dtype) -> None:
        maps = torch.rand(2, 9, 11, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
        found = total_variation(maps.to(device, dtype), (9, 11))
        torch.testing.assert_close(found.cpu().double(), total_variation(maps, (9, 11)), rtol=1e-4, atol=1e-4)


class TestGradients:
    def test_log_odds(self, device: torch.device) -> None:
        logits = torch.randn(3, 5, dtype=torch.float64, device=device, requires_grad=True)
        targets = torch.tensor([0, 4, 2], device=device)
        assert torch.autograd.gradcheck(lambda values: log_odds(values, targets), (logits,))

    @pytest.mark.parametrize("relax", [simplified_concrete, original_concrete])
    def test_concrete(self, relax: Callable[..., torch.Tensor], device: torch.device) -> None:
        logits = torch.linspace(-3, 3, 6, dtype=torch.float64, device=device, requires_grad=True)
        uniform = torch.linspace(0.1, 0.9, 6, dtype=torch.float64, device=device)
        assert torch.autograd.gradcheck(lambda values: relax(values, uniform, 0.5), (logits,))
