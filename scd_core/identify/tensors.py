"""Arrays in the safetensors files of a package."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load

from scd_core.errors import InputError

__all__ = ["read_tensors"]


def read_tensors(data: bytes, where: str, advice: str) -> dict[str, NDArray[Any]]:
    """Name -> array.

    Args:
        data: the file.
        where: what it is called in the message.
        advice: what to do where it cannot be read.

    Raises:
        InputError: not a safetensors file.
    """
    try:
        return load(data)
    except SafetensorError as error:
        raise InputError(f"{where}: cannot be read ({error}); {advice}") from error
