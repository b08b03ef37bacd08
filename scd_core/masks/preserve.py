"""Borrow a model: evaluation mode and frozen parameters while it is used, exactly as it was afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import nn

__all__ = ["Model", "borrowed", "model_device", "model_dtype"]

Model = Callable[[torch.Tensor], torch.Tensor]


@contextmanager
def borrowed(model: Model) -> Iterator[None]:
    """Evaluation mode, no parameter gradients and gradients enabled inside; everything put back on the way out.

    Put back are each module's training flag, each parameter's `requires_grad` and the content of each buffer, after
    an error as well. No hook is registered and no `.grad` is written.

    Args:
        model: a module, or any callable, of which nothing has to be kept.
    """
    if not isinstance(model, nn.Module):
        with torch.inference_mode(False), torch.enable_grad():
            yield
        return
    training = [(module, module.training) for module in model.modules()]
    requires = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
    buffers = [
        (module, name, buffer, buffer.detach().clone())
        for module in model.modules()
        for name, buffer in module.named_buffers(recurse=False)
    ]
    try:
        model.eval()
        for parameter, _ in requires:
            parameter.requires_grad_(False)
        with torch.inference_mode(False), torch.enable_grad():
            yield
    finally:
        for module, was_training in training:
            module.training = was_training
        for parameter, required in requires:
            parameter.requires_grad_(required)
        with torch.no_grad():
            for module, name, buffer, content in buffers:
                buffer.copy_(content)
                module._buffers[name] = buffer


def model_device(model: Model, otherwise: torch.device) -> torch.device:
    """Device of the model's first parameter; `otherwise` where it has none."""
    first = _first_parameter(model)
    return otherwise if first is None else first.device


def model_dtype(model: Model) -> torch.dtype:
    """Floating type of the model's first parameter; float32 where it has none."""
    first = _first_parameter(model)
    return torch.float32 if first is None or not first.is_floating_point() else first.dtype


def _first_parameter(model: Model) -> torch.Tensor | None:
    return next(model.parameters(), None) if isinstance(model, nn.Module) else None
