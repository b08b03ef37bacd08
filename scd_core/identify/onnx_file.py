"""What an ONNX file may hold: known operations on tensors that are in the file, or beside it while it is packed."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scd_core.errors import InputError, first_line
from scd_core.identify.program import LARGEST

__all__ = ["checked_model", "graphs_of", "onnx_library", "self_contained"]

_DOMAINS = {"", "ai.onnx", "ai.onnx.ml", "com.microsoft"}
"""Namespaces of operations that onnxruntime itself has."""
_LOOPS = {"Loop", "Scan", "SequenceMap"}
_LARGEST_FILE = 2**31 - 1
"""Bytes: no more fit one ONNX file."""
_SHAPE = 64
"""Most numbers of a tensor that may be the shape of another one."""


def onnx_library() -> Any:
    """The library `onnx`, of an extra that need not be installed.

    Raises:
        InputError: it is not installed.
    """
    try:
        import onnx
        import onnxruntime  # noqa: F401 - both are of one extra
    except ImportError as error:
        raise InputError(
            f"architecture onnx: {error.name or 'onnx'} is not installed; pip install 'trapaudit[onnx]'"
        ) from error
    return onnx


def checked_model(data: bytes, name: str) -> Any:
    """An ONNX model whose tensors are all in it; nothing is run.

    Args:
        data: the file.
        name: of it, in messages.

    Raises:
        InputError: it is none, keeps tensors in other files, has loops or operations that onnxruntime does not know, or a
            tensor that is too large.
    """
    model = _parsed(data, name)
    if _outside(model):
        raise InputError(f"weights {name}: keeps tensors in other files; pack it anew from the folder that has them")
    _check(model, name)
    return model


def self_contained(path: Path, data: bytes) -> bytes:
    """An ONNX model with the tensors in it that it keeps in other files of its folder.

    Args:
        path: of the model; its folder alone is read.
        data: its content.

    Raises:
        InputError: a tensor lies outside the folder, is missing or is shorter than its shape, or all of it is too large for one
            file.
    """
    onnx = onnx_library()
    model = _parsed(data, path.name)
    outside = _outside(model)
    for tensor in outside:
        entries = {one.key: one.value for one in tensor.external_data}
        place = entries.get("location", "")
        file = path.parent / place
        is_within = place and not Path(place).is_absolute() and ".." not in Path(place).parts
        # A link may lead out of the folder as well.
        if not is_within or not file.resolve().is_relative_to(path.parent.resolve()):
            raise InputError(
                f"weights {path.name}: keeps `{tensor.name[:60]}` in {place[:80]!r}, outside its own folder; it is not read"
            )
        tensor.raw_data = _piece(file, entries, tensor, path.name, onnx)
        del tensor.external_data[:]
        tensor.data_location = onnx.TensorProto.DEFAULT
    _check(model, path.name)
    if not outside:
        return data
    if model.ByteSize() > _LARGEST_FILE:
        raise InputError(f"weights {path.name}: is larger than 2 GiB with its tensors; export it with torch.export")
    return bytes(model.SerializeToString())


def graphs_of(model: Any) -> Iterator[Any]:
    """Every graph and function of a model, those within operations too."""
    waiting = [model.graph, *model.functions]
    while waiting:
        graph = waiting.pop()
        yield graph
        for node in graph.node:
            for attribute in node.attribute:
                waiting += [*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])]


def _parsed(data: bytes, name: str) -> Any:
    onnx = onnx_library()
    try:
        model = onnx.load_model_from_string(data)
    except Exception as error:
        raise InputError(f"weights {name}: is no ONNX model, or a damaged one; download it again") from error
    if not model.graph.node or not model.opset_import:
        raise InputError(f"weights {name}: is no ONNX model, or an empty one; export it again")
    return model


def _tensors(model: Any) -> Iterator[Any]:
    """Every tensor that a model holds or refers to."""
    for graph in graphs_of(model):
        sparse = list(getattr(graph, "sparse_initializer", ()))
        yield from getattr(graph, "initializer", ())
        for node in graph.node:
            for attribute in node.attribute:
                yield from attribute.tensors
                sparse += attribute.sparse_tensors
                if attribute.HasField("t"):
                    yield attribute.t
                if attribute.HasField("sparse_tensor"):
                    sparse.append(attribute.sparse_tensor)
        for one in sparse:
            yield from (one.values, one.indices)


def _outside(model: Any) -> list[Any]:
    return [one for one in _tensors(model) if one.data_location == 1 or len(one.external_data)]


def _piece(file: Path, entries: dict[str, str], tensor: Any, name: str, onnx: Any) -> bytes:
    n = _numbers(tensor, name) * onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
    try:
        offset, length = int(entries.get("offset") or 0), int(entries.get("length") or n)
        if offset < 0 or length != n:
            raise InputError(f"weights {name}: `{tensor.name[:60]}` has {length} bytes in {file.name}, expected {n}")
        if file.stat().st_size < offset + length:
            raise InputError(f"weights {name}: {file.name} is too short for `{tensor.name[:60]}`; download it again")
        with file.open("rb") as opened:
            opened.seek(offset)
            return opened.read(length)
    except (OSError, ValueError) as error:
        raise InputError(f"weights {name}: {file.name}, which holds tensors of it, cannot be read ({error})") from error


def _numbers(tensor: Any, name: str) -> int:
    dims = list(tensor.dims)
    n = math.prod(dims)
    if any(one < 0 for one in dims) or n > LARGEST:
        raise InputError(f"weights {name}: `{tensor.name[:60]}` of {dims} numbers is too large; it is not read")
    return n


def _check(model: Any, name: str) -> None:
    for graph in graphs_of(model):
        for node in graph.node:
            if node.domain not in _DOMAINS and not any(node.domain == one.domain for one in model.functions):
                raise InputError(
                    f"weights {name}: uses {node.domain[:40]}::{node.op_type[:40]}, unknown to onnxruntime; it is not run"
                )
            if node.op_type in _LOOPS:
                raise InputError(
                    f"weights {name}: has a {node.op_type}, which no network for pictures needs; it is not run"
                )
    for tensor in _tensors(model):
        _numbers(tensor, name)
    _check_sizes(model, name)


def _check_sizes(model: Any, name: str) -> None:
    """Refuse a model that says itself that it makes a tensor which no memory holds."""
    onnx = onnx_library()
    bare = type(model)()
    bare.CopyFrom(model)
    for tensor in bare.graph.initializer:
        if _numbers(tensor, name) > _SHAPE:  # no shape, and the rest goes faster without it
            for field in ("raw_data", "float_data", "int32_data", "int64_data", "double_data", "uint64_data"):
                tensor.ClearField(field)
    try:
        inferred = onnx.shape_inference.infer_shapes(bare, data_prop=True)
    except Exception as error:
        raise InputError(f"weights {name}: is no valid ONNX model ({first_line(error)}); export it again") from error
    for value in (*inferred.graph.value_info, *inferred.graph.output, *inferred.graph.input):
        dims = [one.dim_value for one in value.type.tensor_type.shape.dim if one.HasField("dim_value")]
        if math.prod(dims) > LARGEST:
            raise InputError(f"weights {name}: makes a tensor of {dims} numbers, which is too large; it is not run")
