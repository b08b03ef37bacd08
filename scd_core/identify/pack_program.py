"""Packing a network that came as a program, ONNX or `torch.export`: checked, run, and stored as one file."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from scd_core.errors import InputError
from scd_core.identify.expected import check_expected, run_once
from scd_core.identify.kinds import TORCHSCRIPT, Kind, check_kind
from scd_core.identify.load_program import load_program
from scd_core.identify.program import Program, ProgramNetwork, find_output
from scd_core.identify.spec import PackageSpec, validated

__all__ = ["pack_program"]

_CPU = torch.device("cpu")


def pack_program(
    data: bytes,
    path: Path,
    architecture: str,
    labels: Sequence[str],
    preprocessing: Mapping[str, Any],
    program: Mapping[str, Any],
    *,
    unused: Mapping[str, Any],
    expect: str | Path | None,
    steps: list[str],
) -> tuple[PackageSpec, bytes]:
    """Check a program and run it; what its package holds.

    Args:
        data: the file.
        path: of it; an ONNX model may keep tensors in other files of this folder.
        architecture: ``onnx`` or ``torch-export``.
        labels: one per class, in class order.
        preprocessing: fields of :class:`InputSpec`; `size`, `mean` and `std` are needed, for a program does not state them.
        program: `layout` and `gives` of :class:`ProgramSpec`; None for the default.
        unused: options that are for weights without a network; one that is given is refused.
        expect: as for :func:`scd_core.identify.packing.pack_model`.
        steps: gets what was done, one sentence a step.

    Returns:
        The package's description and the file that it names.

    Raises:
        InputError: it cannot be packed; the message has the reason and what to do.
    """
    name = path.name
    if architecture == "torchscript":
        raise InputError(f"weights {name}: {TORCHSCRIPT}")
    if given := [option for option, value in unused.items() if value]:
        raise InputError(f"{given[0]}: is for weights without their network; {architecture} is the network itself")
    if missing := [f"--{field}" for field in ("size", "mean", "std") if preprocessing[field] is None]:
        raise InputError(
            f"architecture {architecture}: state {', '.join(missing)} as in training, which the file does not; for values in "
            "[0, 1] that is --mean 0,0,0 --std 1,1,1, in [0, 255] --std 0.00392157,0.00392157,0.00392157"
        )
    kind: Kind = "onnx" if architecture == "onnx" else "torch-export"
    check_kind(data, name, kind)
    stored = _stored(data, path, architecture)
    content: dict[str, Any] = {
        "architecture": architecture,
        "labels": list(labels),
        "input": {"resize": "stretch"} | {key: value for key, value in preprocessing.items() if value is not None},
        "weights": "weights.onnx" if architecture == "onnx" else "weights.pt2",
        "weights_sha256": hashlib.sha256(stored).hexdigest(),
        "program": {key: value for key, value in program.items() if value is not None},
    }
    spec = validated(content, "model pack")
    found = load_program(stored, spec, _CPU, name)
    output = find_output(found, spec, name)
    if output:
        spec = validated(content | {"program": content["program"] | {"output": output}}, "model pack")
        found = load_program(stored, spec, _CPU, name)
    steps += _words(found)
    steps.append(run_once(found.naming, spec, name))
    if expect is not None:
        steps.append(check_expected(found.naming, spec, expect))
    return spec, stored


def _stored(data: bytes, path: Path, architecture: str) -> bytes:
    if architecture == "onnx":
        from scd_core.identify.onnx_file import self_contained

        return self_contained(path, data)
    from scd_core.identify.exported_guard import safe_archive

    return safe_archive(data, path.name)


def _words(found: Program) -> list[str]:
    assert isinstance(found.naming, ProgramNetwork)
    batches = found.naming.batches
    words = []
    if batches.most == batches.least:
        words.append(f"it takes {batches.least} picture{'s' if batches.least > 1 else ''} at once, as it was exported")
    words.append(found.no_masks or "masks are available: gradients pass through the network")
    if not found.gives_gradient:
        words.append(
            "not available with onnxruntime: embeddings, so that pictures called unknown are not grouped, and the share of the "
            "gradient outside the animal"
        )
    return words
