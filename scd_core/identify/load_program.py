"""Loading a network that came as a program, by the library that reads it."""

from __future__ import annotations

import torch

from scd_core.identify.program import Program
from scd_core.identify.spec import PackageSpec

__all__ = ["load_program"]


def load_program(data: bytes, spec: PackageSpec, device: torch.device, name: str) -> Program:
    """Load a program, checked and without running anything but its known operations.

    Args:
        data: the file.
        spec: with `program`.
        device: where gradients are taken; ONNX names on a CPU unless onnxruntime has this device.
        name: of the file, in messages.

    Raises:
        InputError: the file is none, is not safe to load, or does not fit `spec`; or its library is not installed.
    """
    if spec.architecture == "onnx":
        from scd_core.identify.onnx_program import load_onnx  # an extra that need not be installed

        return load_onnx(data, spec, device, name)
    from scd_core.identify.exported import load_exported  # seconds to import, which few packages need

    return load_exported(data, spec, device, name)
