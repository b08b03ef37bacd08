"""The faster copy of a network gives the network's own logits."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from scd_core.identify import load_model
from scd_core.identify.architectures import build_network
from scd_core.identify.fuse import fused_copy
from scd_core.scenes import packaged_model


def _with_statistics(network: nn.Module) -> nn.Module:
    """Batch normalisation with statistics and weights of a trained network's size, so that a wrong fold is seen."""
    generator = torch.Generator().manual_seed(5)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.3, generator=generator)
            module.running_var.uniform_(0.5, 2, generator=generator)
            module.weight.data.uniform_(0.5, 1.5, generator=generator)
            module.bias.data.normal_(0, 0.3, generator=generator)
    return network.eval().requires_grad_(False)


@pytest.mark.parametrize(
    "name", ["mobilenet_v2", "resnet18", "densenet121", "shufflenet_v2_x1_0", "efficientnet_b0", "swin_t"]
)
def test_a_fused_copy_gives_the_same_logits(name: str) -> None:
    torch.manual_seed(0)
    network = _with_statistics(build_network(f"torchvision/{name}", 5))
    images = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        expected = network(images)
        scale = float(expected.abs().max())
        torch.testing.assert_close(fused_copy(network)(images), expected, atol=1e-4 * scale, rtol=0)
    kinds = {type(module) for module in fused_copy(network).modules()}
    assert nn.BatchNorm2d not in kinds or name == "densenet121"  # there, normalisation stands before the convolution


def test_a_network_with_buffers_of_five_dimensions() -> None:
    """The shifted windows of timm's Swin have masks of five dimensions, which have no channels to lay out last."""
    pytest.importorskip("timm")
    torch.manual_seed(0)
    network = build_network("timm/swin_tiny_patch4_window7_224", 3).eval()
    images = torch.randn(1, 3, 224, 224)
    with torch.inference_mode():
        torch.testing.assert_close(fused_copy(network)(images), network(images), atol=1e-4, rtol=1e-4)


def test_a_network_that_cannot_be_traced_is_used_as_it_is() -> None:
    class Odd(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images.mean((2, 3)) if images.sum() > 0 else images.amax((2, 3))

    odd = Odd()
    assert fused_copy(odd) is odd


def test_logits_do_not_depend_on_the_batch_and_are_the_models_own() -> None:
    classifier = load_model(str(packaged_model("clean")))
    images = torch.randn(19, 3, *classifier.spec.input.size)
    logits = classifier.logits(images)
    with torch.inference_mode():
        torch.testing.assert_close(logits, classifier.model(images), atol=1e-4, rtol=1e-5)
    torch.testing.assert_close(classifier.logits(images[7:8]), logits[7:8], atol=1e-4, rtol=1e-5)
