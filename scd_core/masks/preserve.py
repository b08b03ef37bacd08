"""Borrow a model: evaluation mode and frozen parameters while it is used, exactly as it was afterwards."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import nn
from torch.nn.modules import module as hooks
from torch.nn.parameter import is_lazy

from scd_core.masks.checks import read_logits
from scd_core.masks.find_networks import find_networks

__all__ = ["Model", "borrowed", "model_device", "model_dtype", "run_model"]

Model = Callable[[torch.Tensor], Any]
"""Normalised floats (B, 3, H, W) -> logits (B, K), or an output of which :func:`read_logits` can take them."""


@contextmanager
def borrowed(model: Model) -> Iterator[None]:
    """Evaluation mode, no parameter gradients and gradients enabled inside; everything put back on the way out.

    Put back are each module's training flag, each parameter's `requires_grad` and the content of each buffer, after
    an error as well. No hook stays on a module and no `.grad` is written.

    Args:
        model: a module, or a callable that runs modules: those that it holds or names are found and borrowed with it.

    Raises:
        ValueError: parameters that have no shape yet, are on the device `meta` or were made under `torch.inference_mode`;
            or, while it is borrowed, the callable runs a network in training mode that was not found.
    """
    networks = find_networks(model)
    _check_usable(networks)
    modules = list(dict.fromkeys(module for network in networks for module in network.modules()))
    parameters = list(dict.fromkeys(parameter for network in networks for parameter in network.parameters()))
    training = [(module, module.training) for module in modules]
    requires = [(parameter, parameter.requires_grad) for parameter in parameters]
    buffers = [
        (module, name, buffer, buffer.detach().clone())
        for module in modules
        for name, buffer in module.named_buffers(recurse=False)
    ]
    guard = nullcontext() if isinstance(model, nn.Module) else _others_refused(modules)
    try:
        for network in networks:
            network.eval()
        for parameter, _ in requires:
            parameter.requires_grad_(False)
        with torch.inference_mode(False), torch.enable_grad(), guard:
            yield
    finally:
        for module, was_training in training:
            module.training = was_training
        for parameter, required in requires:
            parameter.requires_grad_(required)
        with torch.no_grad():
            for module, name, buffer, content in buffers:
                buffer.copy_(content)
                if not isinstance(module, torch.jit.ScriptModule):  # of which a buffer cannot be replaced from outside
                    module._buffers[name] = buffer


def run_model(model: Model, images: torch.Tensor) -> torch.Tensor:
    """Logits of images, with gradients where they are enabled.

    The images are safe from a model that changes its input in place, and go in as the floating type of its parameters.

    Args:
        model: borrowed.
        images: (B, 3, H, W).

    Returns:
        (B, K) on the device of the images, in their floating type.

    Raises:
        ValueError: the model does not return (B, K) with K >= 2.
    """
    # The sum is a copy that is no leaf: a first operation in place changes neither the images nor what needs a gradient.
    fed = (images + 0).to(_parameter_dtype(model) or images.dtype)
    return read_logits(model(fed), len(images)).to(images)


def model_device(model: Model, otherwise: torch.device) -> torch.device:
    """Device of the model's first parameter; `otherwise` where it has none."""
    first = _first_parameter(model)
    return otherwise if first is None else first.device


def model_dtype(model: Model) -> torch.dtype:
    """Floating type of the model's first parameter; float32 where it has none."""
    return _parameter_dtype(model) or torch.float32


def _parameter_dtype(model: Model) -> torch.dtype | None:
    first = _first_parameter(model)
    return None if first is None or not first.is_floating_point() else first.dtype


def _first_parameter(model: Model) -> torch.Tensor | None:
    return next((parameter for network in find_networks(model) for parameter in network.parameters()), None)


def _check_usable(networks: Sequence[nn.Module]) -> None:
    for network in networks:
        for name, tensor in (*network.named_parameters(), *network.named_buffers()):
            if is_lazy(tensor):
                raise ValueError(f"model: {name} has no shape yet (a lazy module); run the model once first")
            if tensor.is_meta:
                raise ValueError(f"model: {name} is on the device `meta` and holds no values; load the weights first")
            if tensor.is_inference():
                raise ValueError(
                    f"model: {name} was made under torch.inference_mode, so no gradient can pass; pass copy.deepcopy(model)"
                )


@contextmanager
def _others_refused(known: Sequence[nn.Module]) -> Iterator[None]:
    """Refuse to run a network that is none of `known`, in training mode: its statistics or its dropout would change."""
    owner, found = threading.get_ident(), set(known)

    def refuse(module: nn.Module, _inputs: object) -> None:
        if module in found or not module.training or threading.get_ident() != owner:
            return
        has_state = any(True for _ in (*module.parameters(), *module.buffers()))
        if has_state or isinstance(module, nn.modules.dropout._DropoutNd):
            raise ValueError(
                f"model: runs a {type(module).__name__} in training mode that cannot be found from the outside; call "
                ".eval() on it, or pass the module itself"
            )

    handle = hooks.register_module_forward_pre_hook(refuse)
    try:
        yield
    finally:
        handle.remove()
