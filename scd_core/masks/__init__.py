"""Perturbation masks: the region that suffices for a prediction, and the region whose removal destroys it."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from scd_core.masks.engine import fit_masks
from scd_core.masks.result import Masks
from scd_core.masks.settings import SCDConfig

if TYPE_CHECKING:
    from scd_core.masks.comparators.cf_cam import cf_cam
    from scd_core.masks.comparators.fido import fido
    from scd_core.masks.comparators.grad_cam import grad_cam
    from scd_core.masks.comparators.norm_grad import norm_grad

__all__ = ["Masks", "SCDConfig", "cf_cam", "fido", "fit_masks", "grad_cam", "norm_grad"]

# Comparators are loaded when they are used: an audit needs none of them, nor scikit-learn, which one imports.
_COMPARATORS = ("cf_cam", "fido", "grad_cam", "norm_grad")


def __getattr__(name: str) -> Any:
    if name not in _COMPARATORS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.comparators.{name}"), name)
