"""Classification again under a mask: strategies, and the decision that combines them."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scd_core.reclassify.core import Outcome, reclassify
    from scd_core.reclassify.strategies import STRATEGIES, MaskedPicture

__all__ = ["STRATEGIES", "MaskedPicture", "Outcome", "reclassify"]

# A report reads what strategies certified, and needs no torch for that.
_NEEDS_TORCH = {"STRATEGIES": "strategies", "MaskedPicture": "strategies", "Outcome": "core", "reclassify": "core"}


def __getattr__(name: str) -> Any:
    if name not in _NEEDS_TORCH:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_NEEDS_TORCH[name]}"), name)
