"""Maps from one backward pass: Grad-CAM and NormGrad, the comparators that cost next to nothing."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from scd_core.masks.comparators.single_map import check_inputs, masks_from_maps, unit_range
from scd_core.masks.feature_layer import FeatureLayer, find_feature_layer, layer_signals
from scd_core.masks.preserve import borrowed
from scd_core.masks.result import Masks

__all__ = ["grad_cam", "layer_maps", "norm_grad"]


def grad_cam(
    model: nn.Module, images: Tensor, targets: Tensor, *, layer: str | None = None, batch_size: int = 32
) -> Masks:
    r"""Grad-CAM (Selvaraju et al., ICCV 2017).

    With :math:`A^k` the k-th feature map and :math:`y^c` the target's logit,

    .. math:: \alpha_k = \frac{1}{hw} \sum_u \frac{\partial y^c}{\partial A^k_u}, \qquad
              L_u = \mathrm{ReLU}\Bigl(\sum_k \alpha_k A^k_u\Bigr),

    each map then scaled to a maximum of 1 and enlarged bilinearly. A map with no positive value is zero everywhere.

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
        >>> model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
        >>> grad_cam(model, torch.rand(2, 3, 8, 8), torch.tensor([0, 1])).joint.shape
        torch.Size([2, 8, 8])
    """

    def weighted(found: FeatureLayer, part: Tensor, chosen: Tensor) -> Tensor:
        activations, gradients = layer_signals(model, found, part, chosen, "logit")
        return (gradients.mean(dim=(2, 3), keepdim=True) * activations).sum(dim=1)

    return layer_maps(model, images, targets, weighted, layer=layer, batch_size=batch_size, evaluations=1)


def norm_grad(
    model: nn.Module,
    images: Tensor,
    targets: Tensor,
    *,
    selective: bool = False,
    step_size: float = 2e-3,
    layer: str | None = None,
    batch_size: int = 32,
) -> Masks:
    r"""NormGrad, and its selective form (Rebuffi et al., CVPR 2020; arXiv 1910.08823).

    A 1 x 1 convolution that is the identity, put behind the layer, would receive the weight gradient
    :math:`\sum_u g_u x_u^\top`. The map is the Frobenius norm of each place's share of that sum,

    .. math:: L_u = \lVert g_u x_u^\top \rVert_F = \lVert g_u \rVert \, \lVert x_u \rVert,

    with :math:`x_u` the features at u and :math:`g_u` the gradient there. It shows where the network would learn
    from this picture. The gradient is that of the target's log-odds: the paper's cross-entropy differs by the factor
    :math:`-(1 - p_c)`, one number per image, which scaling removes, and which rounds to 0 for a confident model.

    The selective form first takes, per image, one step on the network's parameters down the loss of the target,

    .. math:: \theta' = \theta - \epsilon \nabla_\theta \ell(\theta, x, c), \qquad
              \epsilon \lVert \nabla_\theta \ell \rVert = s \lVert \theta \rVert,

    and reads the map of :math:`\theta'` (first order: the step is taken as given, as in first-order MAML). The
    length of the step is relative to the parameters, so one ``step_size`` s serves every network and confidence.
    The model itself is never changed.

    Args:
        model: (B, 3, H, W) -> (B, K) logits; comes back as it was given.
        images: (N, 3, H, W), normalised.
        targets: (N,) int64.
        selective: take the step first; images then go through the model one at a time.
        step_size: s, length of the step over the length of the parameters.
        layer: as in :func:`grad_cam`. Right before a global average pooling :math:`g_u` is the same at every u, so the
            map is that of :math:`\lVert x_u \rVert` whatever the class; the selective form is not bound to that.
        batch_size: images through the model at once.

    Returns:
        Masks, the map as all three regions. ``evaluations`` is 3, or 4 for the selective form.

    Raises:
        ValueError: wrong shapes or values, a target out of range, no usable layer, or a negative step.

    Example:
        >>> model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
        >>> norm_grad(model, torch.rand(2, 3, 8, 8), torch.tensor([0, 1])).evaluations.tolist()
        [3, 3]
    """
    if not step_size >= 0:
        raise ValueError(f"step_size: expected at least 0, got {step_size}")

    def norms(found: FeatureLayer, part: Tensor, chosen: Tensor) -> Tensor:
        return _norms(*layer_signals(model, found, part, chosen, "log_odds"))

    def norms_after_step(found: FeatureLayer, part: Tensor, chosen: Tensor) -> Tensor:
        maps = []
        for image, target in zip(part[:, None], chosen[:, None]):
            stepped = _Stepped(model, _step(model, image, target, step_size))
            maps.append(_norms(*layer_signals(stepped, found, image, target, "log_odds")))
        return torch.cat(maps)

    return layer_maps(
        model,
        images,
        targets,
        norms_after_step if selective else norms,
        layer=layer,
        batch_size=batch_size,
        evaluations=2 if selective else 1,
    )


def layer_maps(
    model: nn.Module,
    images: Tensor,
    targets: Tensor,
    maps_of: Callable[[FeatureLayer, Tensor, Tensor], Tensor],
    *,
    layer: str | None,
    batch_size: int,
    evaluations: int,
) -> Masks:
    """Run a method that reads one layer over all images, in batches, on a borrowed model.

    Args:
        model: (B, 3, H, W) -> (B, K) logits.
        images: (N, 3, H, W).
        targets: (N,) int64.
        maps_of: (layer, images (B, 3, H, W), targets (B,)) -> maps (B, h, w); negative values count as 0.
        layer: name of the layer, or None to find it.
        batch_size: images through the model at once.
        evaluations: images that go through the model for one map.

    Raises:
        ValueError: as the methods.
    """
    check_inputs(model, images, targets)
    targets = targets.to(images.device)
    size = (images.shape[2], images.shape[3])
    found_maps = []
    with borrowed(model):
        found = find_feature_layer(model, images[0], layer)
        for start in range(0, len(images), batch_size):
            part = slice(start, start + batch_size)
            found_maps.append(unit_range(maps_of(found, images[part], targets[part]), size))
    return masks_from_maps(
        model, images, targets, torch.cat(found_maps), evaluations=evaluations, batch_size=batch_size
    )


class _Stepped(nn.Module):
    """The model with other parameters; hooks on the model's own modules run as ever."""

    def __init__(self, model: nn.Module, parameters: dict[str, Tensor]) -> None:
        super().__init__()
        self.model = model
        self._changed = parameters

    def forward(self, images: Tensor) -> Tensor:
        return functional_call(self.model, self._changed, (images,))

    def get_submodule(self, target: str) -> nn.Module:
        return self.model.get_submodule(target)


def _step(model: nn.Module, image: Tensor, target: Tensor, step_size: float) -> dict[str, Tensor]:
    """Parameters after one step down the target's loss, of relative length ``step_size``."""
    leaves = {name: value.detach().clone().requires_grad_(True) for name, value in model.named_parameters()}
    logits = functional_call(model, leaves, (image.detach(),))
    # In float64, where a confident softmax does not yet round its gradient to 0.
    loss = functional.cross_entropy(logits.double(), target)
    gradients = torch.autograd.grad(loss, list(leaves.values()), allow_unused=True)
    length = torch.stack([value.norm() for value in gradients if value is not None]).norm()
    size = torch.stack([value.detach().norm() for value in leaves.values()]).norm()
    scale = step_size * size / length.clamp_min(torch.finfo(length.dtype).tiny)
    return {
        name: leaf.detach() if gradient is None else leaf.detach() - scale * gradient
        for (name, leaf), gradient in zip(leaves.items(), gradients)
    }


def _norms(activations: Tensor, gradients: Tensor) -> Tensor:
    # In float64: the product of two small norms must not underflow.
    return activations.double().norm(dim=1) * gradients.double().norm(dim=1)
