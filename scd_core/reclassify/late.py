"""Late masking: the network sees the whole picture, but only features inside the mask are averaged into its answer."""

from __future__ import annotations

import copy
import threading
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from scd_core.identify.classifier import Classifier
from scd_core.masks.feature_layer import FeatureLayer, find_feature_layer, layer_outputs

__all__ = ["late_logits", "pooled_layer"]

_EVEN = 1e-4
"""Largest difference between cells' gradients, as a share of the largest gradient, that still counts as an average."""

_CLASS_TOKENS = ("cls_token", "class_token")
"""Names of the class token in timm's and torchvision's networks."""

_BATCH = 8
"""Images in one pass."""

_layers: WeakKeyDictionary[Classifier, FeatureLayer | str] = WeakKeyDictionary()


def pooled_layer(classifier: Classifier) -> FeatureLayer | str:
    """The layer whose features are averaged over the picture before the network's answer, or why there is none.

    Under an average each cell pulls at the logits alike: the gradient of the logits is the same in every cell, and not
    zero. So it is for CNNs with global average pooling and ViTs that average their patch tokens. A ViT that reads its
    class token only has no such layer: there, masking the last patch tokens changes nothing.
    """
    if classifier not in _layers:
        _layers[classifier] = _probe(classifier)
    return _layers[classifier]


def _probe(classifier: Classifier) -> FeatureLayer | str:
    # A copy: the model itself may be at work in other threads, whose passes must not be noted.
    model = copy.deepcopy(classifier.model).cpu()
    height, width = classifier.spec.input.size
    image = torch.rand(3, height, width, generator=torch.Generator().manual_seed(0))
    try:
        layer = find_feature_layer(model, image)
    except ValueError:
        return "the network has no layer whose features have a place in the picture"
    with layer_outputs(model, layer.name) as outputs:
        logits = model(image[None].clone().requires_grad_(True) + 0)
    weights = torch.linspace(1.0, 2.0, logits.shape[1])
    (gradient,) = torch.autograd.grad((logits * weights).sum(), outputs[-1])
    cells = layer.as_picture(gradient)[0].flatten(1)
    spread = float((cells - cells[:, :1]).abs().max())
    if spread > _EVEN * float(cells.abs().max()):
        if any(name.rpartition(".")[2] in _CLASS_TOKENS for name, _ in model.named_parameters()):
            return "the network reads its class token only: masking its patch tokens changes nothing"
        return "the network does not average its features over the picture"
    return layer


@torch.inference_mode()
def late_logits(classifier: Classifier, layer: FeatureLayer, images: Tensor, keep: Tensor) -> Tensor:
    """Logits with the features averaged under a mask: sum(keep * features) / sum(keep) instead of the plain mean.

    Args:
        classifier: the model package in use.
        layer: from :func:`pooled_layer`.
        images: (B, 3, H, W) normalised.
        keep: (B, H, W) in [0, 1].

    Returns:
        (B, K) float32, on the CPU.
    """
    weight = F.interpolate(keep[:, None].float(), size=layer.grid, mode="area").to(classifier.device)
    weight = weight / weight.mean((-2, -1), keepdim=True).clamp_min(1e-6)
    # The network itself: names are given by a copy of it that knows nothing of a hook (Classifier.logits).
    parts = [
        _masked(classifier.model, layer, some.to(classifier.device), part)
        for some, part in zip(images.split(_BATCH), weight.split(_BATCH), strict=True)
    ]
    return torch.cat(parts).float().cpu()


def _masked(model: nn.Module, layer: FeatureLayer, images: Tensor, weight: Tensor) -> Tensor:
    """Logits of a batch with the layer's features multiplied by (B, 1, h, w) weights."""
    owner = threading.get_ident()

    def mask(_module: object, _inputs: object, output: Tensor) -> Tensor:
        if threading.get_ident() != owner:
            return output
        factor = weight.to(output.dtype)
        if layer.layout == "channels_first":
            return output * factor
        if layer.layout == "channels_last":
            return output * factor.permute(0, 2, 3, 1)
        # Tokens in front of the grid are no place in the picture and stay as they are.
        ones = factor.new_ones(len(output), layer.prefix, 1)
        return output * torch.cat((ones, factor.flatten(2).transpose(1, 2)), dim=1)

    handle = model.get_submodule(layer.name).register_forward_hook(mask)
    try:
        found: Tensor = model(images)
        return found
    finally:
        handle.remove()
