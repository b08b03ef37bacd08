"""Grad-CAM: the map of one layer's activations, weighted by the gradient of the target's logit."""

from __future__ import annotations

from torch import Tensor, nn

from scd_core.masks.comparators.single_map import layer_maps
from scd_core.masks.feature_layer import FeatureLayer, layer_signals
from scd_core.masks.result import Masks

__all__ = ["grad_cam"]


def grad_cam(
    model: nn.Module, images: Tensor, targets: Tensor, *, layer: str | None = None, batch_size: int = 32
) -> Masks:
    r"""Grad-CAM (Selvaraju et al., ICCV 2017).

    With :math:`A^k` the k-th feature map and :math:`y^c` the target's logit,

    .. math:: \alpha_k = \frac{1}{hw} \sum_u \frac{\partial y^c}{\partial A^k_u}, \qquad
              L_u = \mathrm{ReLU}\Bigl(\sum_k \alpha_k A^k_u\Bigr),

    each map then scaled to a maximum of 1 and enlarged bilinearly. A map with no positive value is zero everywhere;
    an image whose gradient is zero is in ``failures``.

    Args:
        model: (B, 3, H, W) -> (B, K) logits; comes back as it was given.
        images: (N, 3, H, W), normalised.
        targets: (N,) int64.
        layer: module whose output is read, as in ``dict(model.named_modules())``; None takes the last one with
            spatial features that reach the logits (the last feature map of a CNN or a Swin, the input of the last
            attention of a ViT).
        batch_size: images through the model at once.

    Returns:
        Masks, the map as all three regions. ``evaluations`` is 3: one for the map, two for its probabilities.

    Raises:
        ValueError: wrong shapes or values, a target out of range, or a model without a usable layer.

    Example:
        >>> import torch
        >>> model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
        >>> grad_cam(model, torch.rand(2, 3, 8, 8), torch.tensor([0, 1])).joint.shape
        torch.Size([2, 8, 8])
    """

    def signals(found: FeatureLayer, part: Tensor, chosen: Tensor) -> tuple[Tensor, Tensor]:
        return layer_signals(model, found, part, chosen, "logit")

    def weighted(activations: Tensor, gradients: Tensor) -> Tensor:
        return (gradients.mean(dim=(2, 3), keepdim=True) * activations).sum(dim=1)

    return layer_maps(model, images, targets, signals, weighted, layer=layer, batch_size=batch_size, evaluations=1)
