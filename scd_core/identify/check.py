"""Whether a package can be used: loaded whole and run once."""

from __future__ import annotations

from typing import Any

from PIL import Image

from scd_core.errors import InputError
from scd_core.identify.classifier import load_model
from scd_core.identify.spec import PackageSpec

__all__ = ["check_package"]


def check_package(url: str) -> dict[str, Any]:
    """Load a package whole, run one grey picture through it, and return what a person wants to know of it.

    Raises:
        InputError: whatever :func:`read_package` and :func:`scd_core.identify.load_model` refuse; or logits that are NaN.
    """
    classifier = load_model(url)
    spec = classifier.spec
    grey = classifier.preprocess(Image.new("RGB", (640, 480), (128, 128, 128)))[None]
    logits = classifier.logits(grey)
    if classifier.frame_head is not None:
        logits = logits + classifier.frame_logits(grey)
    if bool(logits.isnan().any()):
        raise InputError(f"model {url}: gives logits that are no numbers for a grey picture; its weights are damaged")
    return {
        "architecture": spec.architecture,
        "classes": len(spec.labels),
        "input": f"{spec.input.size[0]}x{spec.input.size[1]} {spec.input.resize}",
        **_named_by(spec),
        "parameters": sum(parameter.numel() for parameter in classifier.model.parameters()),
        "masks": classifier.no_masks or "available",
        "temperature": spec.temperature,
        "unknown_threshold": spec.unknown_threshold,
        "logits_on_grey": f"{float(logits.min()):.2f}..{float(logits.max()):.2f}",
        "model_digest": classifier.digest,
    }


def _named_by(spec: PackageSpec) -> dict[str, str]:
    """What a package names by, where that is more or less than the picture that it is shown."""
    if spec.frame_head is not None:
        return {"names by": "the animal's box and its whole frame"}
    return {"names by": "the animal's box"} if spec.input.box_use == "classify" else {}
