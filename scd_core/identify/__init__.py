"""Naming individuals: model packages, preprocessing, detections, classification."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from scd_core.identify.package import read_package
from scd_core.identify.spec import InputSpec, PackageSpec

if TYPE_CHECKING:
    from scd_core.identify.check import check_package
    from scd_core.identify.classifier import Classifier, load_model
    from scd_core.identify.packing import pack_model

__all__ = ["Classifier", "InputSpec", "PackageSpec", "check_package", "load_model", "pack_model", "read_package"]

_NEEDS_TORCH = {
    "Classifier": "classifier",
    "load_model": "classifier",
    "check_package": "check",
    "pack_model": "packing",
}


def __getattr__(name: str) -> Any:
    # Importing torch takes seconds, and bad input is refused before that.
    if name not in _NEEDS_TORCH:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_NEEDS_TORCH[name]}"), name)
