"""Explanations by other libraries and by rules of a few lines, for a comparison: a map of each picture, with its time."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from scd_core.masks import SCDConfig, fit_masks
from scd_core.masks.infill import make_infill
from scd_core.masks.noise import uniform_field

__all__ = ["LIBRARIES", "RULES", "Explain", "find_methods", "rise"]

Explain = Callable[[nn.Module, Tensor, Tensor, Tensor], Tensor]
"""(model, images (N, 3, H, W), targets (N,), seeds (N,)) -> maps (N, h, w); larger is more evidence."""

RISE_MASKS, RISE_CELLS = 400, 7
OCCLUSION = (32, 16)
"""Side of the window that Occlusion moves, and its step (pixels)."""
_STEPS = 20
"""Gradients of a picture where a method averages several."""


def find_methods() -> dict[str, Explain]:
    """The rules of this module, and the methods of libraries that are installed (captum, pytorch-grad-cam)."""
    found = dict(RULES)
    for package, methods in LIBRARIES.items():
        if importlib.util.find_spec(package) is not None:
            found |= methods
    return found


@torch.no_grad()
def rise(model: nn.Module, images: Tensor, targets: Tensor, seeds: Tensor) -> Tensor:
    """RISE (Petsiuk, Das, Saenko 2018): the mean of random coarse masks, each weighted by the name's probability under it.

    Half of the cells are kept, what is not kept is black of the network's mean, each mask is shifted by part of a cell.
    """
    height, width = images.shape[2:]
    cell = -(-height // RISE_CELLS), -(-width // RISE_CELLS)
    generator = torch.Generator().manual_seed(int(seeds[0]))
    maps = torch.zeros(len(images), height, width)
    for _ in range(RISE_MASKS):
        grid = (torch.rand(1, 1, RISE_CELLS, RISE_CELLS, generator=generator) < 0.5).float()
        size = (RISE_CELLS + 1) * cell[0], (RISE_CELLS + 1) * cell[1]
        large = functional.interpolate(grid, size=size, mode="bilinear", align_corners=False)[0, 0]
        top, left = (int(torch.randint(0, side, (1,), generator=generator)) for side in cell)
        mask = large[top : top + height, left : left + width]
        probability = model(images * mask).softmax(1).gather(1, targets[:, None])[:, 0]
        maps += probability[:, None, None] * mask / RISE_MASKS
    return maps


def _gaussian(model: nn.Module, images: Tensor, targets: Tensor, seeds: Tensor) -> Tensor:
    """A bell in the middle of the frame, the same for every picture: a control."""
    rows, columns = (torch.linspace(-1, 1, side) for side in images.shape[2:])
    return torch.exp(-2 * (rows[:, None] ** 2 + columns[None] ** 2)).expand(len(images), -1, -1)


def _chance(model: nn.Module, images: Tensor, targets: Tensor, seeds: Tensor) -> Tensor:
    """Smooth noise that knows nothing of model or picture: a control."""
    return uniform_field(seeds, torch.zeros_like(seeds), (7, 7))


def _fitted(*infills: Any) -> Explain:
    """The mean joint map of one fit for each infill."""

    def explain(model: nn.Module, images: Tensor, targets: Tensor, seeds: Tensor) -> Tensor:
        fits = [fit_masks(model, images, targets, SCDConfig(infill=infill), seeds).joint for infill in infills]
        return torch.stack(fits).mean(0)

    return explain


def _cam(name: str) -> Explain:
    """A class of pytorch-grad-cam over the last features of a torchvision network."""

    def explain(model: nn.Module, images: Tensor, targets: Tensor, seeds: Tensor) -> Tensor:
        import pytorch_grad_cam
        from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

        with getattr(pytorch_grad_cam, name)(model=model, target_layers=[_features(model)[-1]]) as cam:
            maps = cam(images.clone().requires_grad_(True), [ClassifierOutputTarget(int(target)) for target in targets])
        return torch.as_tensor(maps)

    return explain


def _captum(name: str) -> Explain:
    """A method of captum; what it gives each colour of a pixel counts by its size, without its sign."""

    def explain(model: nn.Module, images: Tensor, targets: Tensor, seeds: Tensor) -> Tensor:
        from captum import attr

        blurred = make_infill(images, "blur", 10.0, seeds)
        torch.manual_seed(int(seeds[0]))
        if name == "integrated_gradients":
            found = attr.IntegratedGradients(model).attribute(images, blurred, target=targets, n_steps=_STEPS)
        elif name == "smooth_grad":
            tunnel = attr.NoiseTunnel(attr.Saliency(model))
            found = tunnel.attribute(images, target=targets, nt_samples=_STEPS, nt_samples_batch_size=4, stdevs=0.15)
        elif name == "occlusion":
            window, step = OCCLUSION
            occlusion = attr.Occlusion(model)
            sides, steps = (3, window, window), (3, step, step)
            found = occlusion.attribute(images, sides, steps, blurred, target=targets)
            return found.detach().sum(1)
        else:
            found = {"saliency": attr.Saliency, "input_x_gradient": attr.InputXGradient}[name](model).attribute(
                images.clone().requires_grad_(True), target=targets
            )
        return found.detach().abs().sum(1)

    return explain


def _features(model: nn.Module) -> nn.Sequential:
    features = getattr(model, "features", None)
    if not isinstance(features, nn.Sequential):
        raise TypeError("expected a torchvision network with its layers in `features`")
    return features


RULES: dict[str, Explain] = {
    "default": _fitted("blur"),
    "fitted_on_mean": _fitted("mean"),
    "fitted_on_both": _fitted("blur", "mean"),
    "rise": rise,
    "centred_gaussian": _gaussian,
    "chance": _chance,
}
"""The default, the same fitted on the picture's mean colour, the mean of both (twice the cost), RISE, and two controls."""

LIBRARIES: dict[str, dict[str, Explain]] = {
    "pytorch_grad_cam": {
        "grad_cam_plus_plus": _cam("GradCAMPlusPlus"),
        "hires_cam": _cam("HiResCAM"),
        "layer_cam": _cam("LayerCAM"),
        "xgrad_cam": _cam("XGradCAM"),
        "eigen_cam": _cam("EigenCAM"),
    },
    "captum": {
        name: _captum(name)
        for name in ("saliency", "input_x_gradient", "integrated_gradients", "smooth_grad", "occlusion")
    },
}
"""Package -> its methods. Those of a thousand evaluations (ScoreCAM, AblationCAM, KernelShap) are left out."""
