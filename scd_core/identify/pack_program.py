"""Packing a network that came as a program, ONNX or `torch.export`: checked, run, and stored as one file."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from scd_core.errors import InputError
from scd_core.identify.expected import check_expected, run_once
from scd_core.identify.kinds import Kind, check_kind
from scd_core.identify.load_program import load_program
from scd_core.identify.program import EXACT, Program, ProgramNetwork, find_embedding, find_output, made_pictures
from scd_core.identify.spec import PackageSpec, validated

__all__ = ["pack_program", "program_for_gallery"]

_CPU = torch.device("cpu")


def pack_program(
    data: bytes,
    path: Path,
    architecture: str,
    labels: Sequence[str],
    preprocessing: Mapping[str, Any],
    program: Mapping[str, Any],
    *,
    embedding_output: str | None,
    unused: Mapping[str, Any],
    expect: str | Path | None,
    steps: list[str],
) -> tuple[PackageSpec, bytes]:
    """Check a program and run it; what its package holds.

    Args:
        data: the file.
        path: of it; an ONNX model may keep tensors in other files of this folder.
        architecture: ``onnx``, ``torch-export``, or ``torchscript``, which is written as the second.
        labels: one per class, in class order.
        preprocessing: fields of :class:`InputSpec`; `size`, `mean` and `std` are needed, for a program does not state them.
        program: `layout` and `gives` of :class:`ProgramSpec`; None for the default.
        embedding_output: name of the output that holds the embedding of a picture; None takes what the last layer reads, where
            that can be found in the program.
        unused: options that are for weights without a network; one that is given is refused.
        expect: as for :func:`scd_core.identify.packing.pack_model`.
        steps: gets what was done, one sentence a step.

    Returns:
        The package's description and the file that it names.

    Raises:
        InputError: it cannot be packed; the message has the reason and what to do.
    """
    stored, content = _described(data, path, architecture, labels, preprocessing, program, unused, steps)
    name = path.name
    spec = validated(content, "model pack")
    found = load_program(stored, spec, _CPU, name)
    own = spec.program.model_copy(update={"output": find_output(found, spec, name)}) if spec.program else None
    spec = spec.model_copy(update={"program": own})
    spec, stored = _with_embedding(found, spec, stored, name, embedding_output)
    found = load_program(stored, spec, _CPU, name)
    steps += _words(found)
    steps.append(run_once(found.naming, spec, name))
    if expect is not None:
        steps.append(check_expected(found.naming, spec, expect))
    return spec, stored


def program_for_gallery(
    data: bytes,
    path: Path,
    architecture: str,
    labels: Sequence[str],
    preprocessing: Mapping[str, Any],
    program: Mapping[str, Any],
    *,
    embedding: str,
    embedding_output: str | None,
    scale: float,
    unused: Mapping[str, Any],
    steps: list[str],
) -> tuple[PackageSpec, bytes, nn.Module]:
    """Check a program that gives embeddings and run it; what the package of its gallery holds.

    Args:
        data: the file.
        path: of it.
        architecture: ``onnx``, ``torch-export``, or ``torchscript``, which is written as the second.
        labels: the individuals.
        preprocessing: as for :func:`pack_program`.
        program: `layout` of :class:`ProgramSpec`; None for the default.
        embedding: ``head``: what an output holds; ``features``: what the layer reads that gives it.
        embedding_output: name of that output; None takes the only one.
        scale: similarities are multiplied by it.
        unused: as for :func:`pack_program`.
        steps: gets what was done, one sentence a step.

    Returns:
        The package's description, without its gallery's own file; the file that it names; and the network, normalised pictures
        (B, 3, H, W) -> embeddings (B, D).

    Raises:
        InputError: it cannot be packed; the message has the reason and what to do.
    """
    program = {key: value for key, value in program.items() if value is not None} | {"gives": "embeddings"}
    stored, content = _described(data, path, architecture, labels, preprocessing, program, unused, steps)
    name = path.name
    content |= {"gallery": "gallery.safetensors", "embedding": "head", "similarity_scale": scale}
    spec = validated(content, "model pack-gallery")
    found = load_program(stored, spec, _CPU, name)
    output, _ = find_embedding(found, spec, name, embedding_output, may_be_names=embedding == "features")
    program["output"] = output
    if embedding == "features" and architecture == "onnx":
        from scd_core.identify.onnx_features import with_features

        read = with_features(stored, output, name)
        if read is None:
            raise InputError(
                f"weights {name}: what its last layer reads cannot be found in it; export it with its embedding as an output"
            )
        stored, output_name = read
        found = load_program(stored, spec, _CPU, name)
        program["output"] = find_embedding(found, spec, name, output_name)[0]
    content |= {"program": program, "embedding": embedding, "weights_sha256": hashlib.sha256(stored).hexdigest()}
    spec = validated(content, "model pack-gallery")
    found = load_program(stored, spec, _CPU, name)
    names = list(_network(found).named_outputs(made_pictures(spec, 1)))
    chosen = names[spec.program.output if spec.program else 0]
    _, size = find_embedding(found, spec, name, chosen)
    steps.append(f"embeddings of {size} numbers from output {chosen}")
    steps += _words(found)
    return validated(content | {"embedding_size": size}, "model pack-gallery"), stored, found.naming


def _described(
    data: bytes,
    path: Path,
    architecture: str,
    labels: Sequence[str],
    preprocessing: Mapping[str, Any],
    program: Mapping[str, Any],
    unused: Mapping[str, Any],
    steps: list[str],
) -> tuple[bytes, dict[str, Any]]:
    """The file as it is stored, and the content of ``model.json``."""
    name = path.name
    if given := [option for option, value in unused.items() if value]:
        raise InputError(f"{given[0]}: is for weights without their network; {architecture} is the network itself")
    if missing := [f"--{field}" for field in ("size", "mean", "std") if preprocessing[field] is None]:
        raise InputError(
            f"architecture {architecture}: state {', '.join(missing)} as in training, which the file does not; for values in "
            "[0, 1] that is --mean 0,0,0 --std 1,1,1, in [0, 255] --std 0.00392157,0.00392157,0.00392157"
        )
    kind: Kind = (
        "onnx" if architecture == "onnx" else "torchscript" if architecture == "torchscript" else "torch-export"
    )
    check_kind(data, name, kind)
    content: dict[str, Any] = {
        "architecture": "onnx" if architecture == "onnx" else "torch-export",
        "labels": list(labels),
        "input": {"resize": "stretch"} | {key: value for key, value in preprocessing.items() if value is not None},
        "weights": "weights.onnx" if architecture == "onnx" else "weights.pt2",
        "weights_sha256": "0" * 64,
        "program": {key: value for key, value in program.items() if value is not None},
    }
    if architecture == "torchscript":
        layout = content["program"].get("layout", "nchw")
        stored = _of_script(data, name, validated(content | {"program": {"layout": layout}}, "model pack"))
        content["provenance"] = {"converted_from": "TorchScript", "sha256": hashlib.sha256(data).hexdigest()}
        steps.append(
            "TorchScript, read by a process without rights, is written as a program of torch.export with equal outputs"
        )
    else:
        stored = _stored(data, path, architecture)
    return stored, content | {"weights_sha256": hashlib.sha256(stored).hexdigest()}


def _of_script(data: bytes, name: str, spec: PackageSpec) -> bytes:
    """A TorchScript program as one of `torch.export`, checked, which gives the same for a picture."""
    from scd_core.identify.exported_guard import safe_archive
    from scd_core.identify.torchscript import converted_script

    pictures = made_pictures(spec, 2)
    is_nhwc = spec.program is not None and spec.program.layout == "nhwc"
    fed = pictures.permute(0, 2, 3, 1).contiguous() if is_nhwc else pictures
    archive, expected = converted_script(data, fed, name)
    stored = safe_archive(archive, name)
    network = _network(load_program(stored, spec, _CPU, name))
    with torch.inference_mode():
        found = [one.float() for one in network.outputs(pictures[:1]) if one.is_floating_point()]
    is_equal = len(found) == len(expected) and all(
        one.shape == other.shape and torch.allclose(one, other, rtol=EXACT, atol=EXACT, equal_nan=True)
        for one, other in zip(found, expected, strict=True)
    )
    if not is_equal:
        raise InputError(
            f"weights {name}: gives other numbers once it is written as a program of torch.export; export it by torch.export or "
            "torch.onnx where it was made"
        )
    return stored


def _with_embedding(
    found: Program, spec: PackageSpec, stored: bytes, name: str, wanted: str | None
) -> tuple[PackageSpec, bytes]:
    """The description and file of a program whose embedding is known: an output of it, or what its last layer reads."""
    assert spec.program is not None
    if wanted is not None:
        return _reading(spec, find_embedding(found, spec, name, wanted)[0]), stored
    if spec.architecture != "onnx":
        return spec, stored
    from scd_core.identify.onnx_features import with_features

    read = with_features(stored, spec.program.output, name)
    if read is None:
        return spec, stored
    changed, output = read
    try:
        place, _ = find_embedding(load_program(changed, spec, _CPU, name), spec, name, output)
    except InputError:  # it reads one number, or the same of all pictures
        return spec, stored
    return _reading(spec, place).model_copy(update={"weights_sha256": hashlib.sha256(changed).hexdigest()}), changed


def _reading(spec: PackageSpec, output: int) -> PackageSpec:
    assert spec.program is not None
    return spec.model_copy(update={"program": spec.program.model_copy(update={"embedding": output})})


def _stored(data: bytes, path: Path, architecture: str) -> bytes:
    if architecture == "onnx":
        from scd_core.identify.onnx_file import self_contained

        return self_contained(path, data)
    from scd_core.identify.exported_guard import safe_archive

    return safe_archive(data, path.name)


def _network(found: Program) -> ProgramNetwork:
    assert isinstance(found.naming, ProgramNetwork)
    return found.naming


def _words(found: Program) -> list[str]:
    batches, own = _network(found).batches, _network(found).spec
    words = []
    if batches.most == batches.least:
        words.append(f"it takes {batches.least} picture{'s' if batches.least > 1 else ''} at once, as it was exported")
    words.append(found.no_masks or "masks are available: gradients pass through the network")
    if own.gives != "embeddings" and found.head is None:
        words.append(
            "embeddings are not available, so that pictures called unknown are not grouped: no layer that gives the logits was "
            "found; export the network with its embedding as a further output, and state that by --embedding-output"
        )
    if not found.gives_gradient:
        words.append("not available with onnxruntime: the share of the gradient outside the animal")
    return words
