"""Naming individuals: model packages, preprocessing, detections, classification."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scd_core.identify.package import InputSpec, PackageSpec, check_package, pack_model, read_package

if TYPE_CHECKING:
    from scd_core.identify.classifier import Classifier, load_model

__all__ = ["Classifier", "InputSpec", "PackageSpec", "check_package", "load_model", "pack_model", "read_package"]


def __getattr__(name: str) -> Any:
    # The classifier imports torch, which takes seconds; bad input is told before that.
    if name in ("Classifier", "load_model"):
        from scd_core.identify import classifier

        return getattr(classifier, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
