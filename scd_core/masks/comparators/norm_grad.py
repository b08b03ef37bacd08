"""NormGrad: the map of what each place of one layer adds to a weight gradient, and its selective form."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from scd_core.masks.checks import read_logits
from scd_core.masks.comparators.single_map import layer_maps
from scd_core.masks.feature_layer import FeatureLayer, layer_signals
from scd_core.masks.preserve import model_dtype
from scd_core.masks.result import Masks

__all__ = ["norm_grad"]


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

    def signals(found: FeatureLayer, part: Tensor, chosen: Tensor) -> tuple[Tensor, Tensor]:
        return layer_signals(model, found, part, chosen, "log_odds")

    def signals_after_step(found: FeatureLayer, part: Tensor, chosen: Tensor) -> tuple[Tensor, Tensor]:
        pairs = []
        for image, target in zip(part[:, None], chosen[:, None]):
            stepped = _Stepped(model, _step(model, image, target, step_size))
            pairs.append(layer_signals(stepped, found, image, target, "log_odds"))
        activations, gradients = zip(*pairs)
        return torch.cat(activations), torch.cat(gradients)

    return layer_maps(
        model,
        images,
        targets,
        signals_after_step if selective else signals,
        _norms,
        layer=layer,
        batch_size=batch_size,
        evaluations=2 if selective else 1,
    )


class _Stepped(nn.Module):
    """The model with other parameters; hooks on the model's own modules run as ever."""

    def __init__(self, model: nn.Module, parameters: dict[str, Tensor]) -> None:
        super().__init__()
        self.model = model
        self._changed = parameters

    def forward(self, images: Tensor) -> Tensor:
        return read_logits(functional_call(self.model, self._changed, (images,)), len(images))

    def get_submodule(self, target: str) -> nn.Module:
        return self.model.get_submodule(target)


def _step(model: nn.Module, image: Tensor, target: Tensor, step_size: float) -> dict[str, Tensor]:
    """Parameters after one step down the target's loss, of relative length ``step_size``."""
    leaves = {name: value.detach().clone().requires_grad_(True) for name, value in model.named_parameters()}
    fed = image.detach().clone().to(model_dtype(model))
    logits = read_logits(functional_call(model, leaves, (fed,)), len(image))
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
