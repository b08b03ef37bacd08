"""The layer a class activation map reads: found by a probe run, tapped for activations and gradients."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from scd_core.masks.log_odds import log_odds
from scd_core.masks.preserve import run_model

__all__ = ["FeatureLayer", "find_feature_layer", "layer_outputs", "layer_signals"]

Layout = Literal["channels_first", "channels_last", "tokens"]


@dataclass(frozen=True)
class FeatureLayer:
    """A module whose output is a picture of features, and how to read it as one."""

    name: str
    """The module's name in the model, as in ``model.get_submodule``."""
    layout: Layout
    """(B, C, h, w), (B, h, w, C), or (B, prefix + h * w, C)."""
    grid: tuple[int, int]
    """(h, w) of the probed picture."""
    prefix: int = 0
    """Tokens before the grid: class token, registers."""

    def as_picture(self, output: Tensor) -> Tensor:
        """The module's output as (B, C, h, w)."""
        if self.layout == "channels_first":
            return output
        if self.layout == "channels_last":
            return output.permute(0, 3, 1, 2)
        tokens = output[:, self.prefix :]
        return tokens.transpose(1, 2).reshape(len(output), output.shape[2], *self.grid)


def find_feature_layer(model: nn.Module, image: Tensor, layer: str | None = None) -> FeatureLayer:
    """The last layer whose features still have a place in the picture and still reach the logits.

    One image is run with a hook on every module. A candidate's output is a feature map of more than one cell per
    axis, channels first (CNNs) or last (Swin), or a row of tokens as wide as an earlier feature map and as many as its
    cells plus at most eight (ViT). Of those the last one is taken at which the logits' gradient is not zero in more
    than one cell: after the last attention of a ViT only the class token is read, and the patches there count for nothing.
    Where the gradient is zero everywhere, as for a classifier whose weights are zero, it is the last candidate.

    Args:
        model: (1, C, H, W) -> (1, K) logits, parameters frozen and in evaluation mode.
        image: (C, H, W).
        layer: name of a module to take instead, as in ``dict(model.named_modules())``.

    Raises:
        ValueError: the model has no such module, or none with a usable output.
    """
    model = _as_written(model)
    modules = dict(model.named_modules())
    if layer is not None and layer not in modules:
        raise ValueError(f"layer: the model has no module {layer!r}; see dict(model.named_modules())")
    seen: list[tuple[str, Tensor]] = []

    def note(name: str, output: object) -> None:
        if torch.is_tensor(output):
            seen.append((name, output))

    handles = [
        module.register_forward_hook(lambda _module, _inputs, output, name=name: note(name, output))
        for name, module in modules.items()
    ]
    try:
        logits = run_model(model, image[None].detach().requires_grad_(True))
    finally:
        for handle in handles:
            handle.remove()
    candidates: list[tuple[FeatureLayer, Tensor]] = []
    grids: dict[int, tuple[int, int]] = {}
    for name, output in seen:
        found = _read_layout(name, output, (image.shape[-2], image.shape[-1]), grids)
        if found is None:
            continue
        if found.layout != "tokens":
            grids[found.as_picture(output).shape[1]] = found.grid
        if output.requires_grad and layer in (None, name):
            candidates.append((found, output))
    # All classes together: the layer must not depend on the class.
    weights = torch.linspace(1.0, 2.0, logits.shape[1], device=logits.device, dtype=logits.dtype)
    for found, output in reversed(candidates):
        (gradient,) = torch.autograd.grad((logits * weights).sum(), output, retain_graph=True, allow_unused=True)
        if gradient is not None and int((found.as_picture(gradient) != 0).any(dim=1).sum()) > 1:
            return found
    if not candidates:
        where = "no layer of the model" if layer is None else f"layer {layer!r}"
        raise ValueError(f"layer: {where} gives spatial features (a feature map, or tokens of a grid); see layer=")
    return candidates[-1][0]


def _as_written(model: nn.Module) -> nn.Module:
    """The module whose layers can be hooked: of a compiled one, the one that was compiled."""
    model = getattr(model, "_orig_mod", model)
    if not isinstance(model, nn.Module):
        raise ValueError(
            f"model: expected a torch.nn.Module, whose layers can be read, got {type(model).__name__}; pass the network itself"
        )
    if any(isinstance(module, torch.jit.ScriptModule) for module in model.modules()):
        raise ValueError("model: a TorchScript module hides its layers; pass the module that it was made from")
    return model


@contextmanager
def layer_outputs(model: nn.Module, name: str) -> Iterator[list[Tensor]]:
    """Inside, what the module of that name gives in each pass is put into the list, as it is, with its gradient."""
    outputs: list[Tensor] = []
    handle = model.get_submodule(name).register_forward_hook(lambda _module, _inputs, output: outputs.append(output))
    try:
        yield outputs
    finally:
        handle.remove()


def layer_signals(
    model: nn.Module, layer: FeatureLayer, images: Tensor, targets: Tensor, score: Literal["logit", "log_odds"]
) -> tuple[Tensor, Tensor]:
    """Activations of a layer and the gradient of each image's own score with respect to them.

    Args:
        model: (B, C, H, W) -> (B, K) logits, parameters frozen and in evaluation mode.
        layer: from :func:`find_feature_layer`.
        images: (B, C, H, W).
        targets: (B,) int64.
        score: the target's logit, or its log-odds.

    Returns:
        Two tensors (B, C, h, w), detached.
    """
    model = _as_written(model)
    with layer_outputs(model, layer.name) as outputs:
        logits = run_model(model, images.detach().requires_grad_(True))
    chosen = logits.gather(1, targets[:, None])[:, 0] if score == "logit" else log_odds(logits, targets)
    # A module that runs twice is read at its last run, as it was probed.
    (gradient,) = torch.autograd.grad(chosen.sum(), outputs[-1], allow_unused=True)
    gradient = torch.zeros_like(outputs[-1]) if gradient is None else gradient
    activations, slopes = (layer.as_picture(value.detach()).to(images.dtype) for value in (outputs[-1], gradient))
    return activations, slopes


def _read_layout(
    name: str, output: Tensor, size: tuple[int, int], grids: dict[int, tuple[int, int]]
) -> FeatureLayer | None:
    """How to read an output as a picture of features; ``grids`` are those seen so far, by their number of channels."""
    if output.dim() == 4:
        first, last = (output.shape[2], output.shape[3]), (output.shape[1], output.shape[2])
        if _is_grid(first, size):
            return FeatureLayer(name, "channels_first", first)
        if _is_grid(last, size):
            return FeatureLayer(name, "channels_last", last)
    if output.dim() == 3 and (grid := grids.get(output.shape[2])) is not None:
        prefix = output.shape[1] - grid[0] * grid[1]
        if 0 <= prefix <= _MAX_PREFIX:
            return FeatureLayer(name, "tokens", grid, prefix)
    return None


_MAX_PREFIX = 8
"""Most tokens in front of a grid: one class token, and up to four registers in published ViTs."""


def _is_grid(grid: tuple[int, int], size: tuple[int, int]) -> bool:
    """Whether two axes look like a picture of this size at some stride, more than one cell each."""
    (rows, columns), (height, width) = grid, size
    if not (1 < rows <= height and 1 < columns <= width):
        return False
    # Rounding at each stride may cost one cell per axis.
    return abs(rows * width - columns * height) <= max(height, width)
