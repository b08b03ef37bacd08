"""The two classifiers that come with the package, and how pictures reach them."""

from __future__ import annotations

from pathlib import Path

__all__ = ["INPUT_MEAN", "INPUT_SIZE", "INPUT_STD", "MODEL_PRESETS", "packaged_model"]

INPUT_SIZE = (120, 160)
"""Height and width of the network's input, pixels."""
INPUT_MEAN = (0.40, 0.40, 0.36)
INPUT_STD = (0.25, 0.25, 0.25)

MODEL_PRESETS = {"shortcut": "demo", "clean": "clean"}
"""Packaged model -> the preset whose training split it learnt from."""


def packaged_model(name: str) -> Path:
    """Folder of a packaged model, to be handed to ``load_model``.

    Raises:
        ValueError: there is no such model.
    """
    if name not in MODEL_PRESETS:
        raise ValueError(f"scenes: no packaged model {name!r}; choose one of {', '.join(MODEL_PRESETS)}")
    return Path(__file__).parent / name
