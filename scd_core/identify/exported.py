"""Networks of `torch.export`: a `.pt2` archive, checked, as a network with the parts that it had when it was exported."""

from __future__ import annotations

import io
import logging
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.export import ExportedProgram

from scd_core.errors import InputError, first_line
from scd_core.identify.exported_guard import safe_archive
from scd_core.identify.program import LARGEST, Batches, Program, ProgramNetwork
from scd_core.identify.spec import PackageSpec, ProgramSpec

__all__ = ["load_exported"]
_PASSED_ON = ("view", "reshape", "flatten", "squeeze", "to", "_to_copy", "clone", "contiguous", "alias")
"""Operations that leave values as they are."""
_SCALED = ("mul", "div", "add", "sub", "mul_", "div_", "softmax", "log_softmax", "_softmax", "_log_softmax")
"""Operations that may follow a layer of names: a scale, or the same for all names of a picture."""
_READS = {"linear": 0, "addmm": 1, "mm": 0, "matmul": 0}
"""Operation of a layer -> the place of what it reads among its inputs."""
_HEAD = "read_by_head"
"""The part before the last layer, of a network that came without parts."""


def load_exported(data: bytes, spec: PackageSpec, device: torch.device, name: str) -> Program:
    """The network of a `.pt2` archive; gradients pass through it.

    Args:
        data: the archive.
        spec: with `program`.
        device: where it is put.
        name: of the file, in messages.

    Raises:
        InputError: the archive may hold more than tensors and known operations, or does not fit the input's size or layout.
    """
    where = f"weights {name}"
    exported = _loaded(safe_archive(data, name), where)
    layout = spec.program or ProgramSpec()
    height, width = spec.input.size
    shape = (3, height, width) if layout.layout == "nchw" else (height, width, 3)
    batches = _batches(exported, shape, where)
    _check_sizes(exported, batches, shape, where)
    if device.type != "cpu":
        from torch.export.passes import move_to_device_pass

        exported = move_to_device_pass(exported, device)
    network = ProgramNetwork(_with_parts(exported, layout), layout, batches).eval().requires_grad_(False).to(device)
    head = "embedding" if layout.embedding is not None else _head_of(exported, network, layout.output)
    if layout.gives == "embeddings" and spec.embedding == "features":
        network, head = _without_head(network, head, where), None
    return Program(network, network, gives_gradient=True, head=head, sigmoids=_sigmoids(exported))


def _without_head(network: ProgramNetwork, head: str | None, where: str) -> ProgramNetwork:
    """The network that gives what its last layer reads."""
    if head is None:
        raise InputError(
            f"{where}: what its last layer reads cannot be found in it; export it with its embedding as an output, and state "
            "that by --embedding-output"
        )
    parent, _, own = head.rpartition(".")
    if own == _HEAD:  # which stands before the layer
        flat: Any = network.get_submodule(parent)
        (passed,) = (node for node in flat.graph.nodes if node.target == _HEAD)
        for layer in list(passed.users):
            layer.replace_all_uses_with(passed)
        flat.recompile()
        return network
    setattr(network.get_submodule(parent), own, nn.Identity())
    return network


def _sigmoids(exported: ExportedProgram) -> frozenset[int]:
    """Numbers of the outputs that end in a sigmoid."""
    ends = enumerate(_last(node, _PASSED_ON) for node in _outputs(exported))
    return frozenset(place for place, node in ends if _operation(node) in ("sigmoid", "hardsigmoid", "sigmoid_"))


def _outputs(exported: ExportedProgram) -> list[fx.Node]:
    """What makes each output that is a tensor, in order."""
    by_name = {node.name: node for node in exported.graph.nodes}
    found = (by_name.get(str(name)) for name in exported.graph_signature.user_outputs)
    return [node for node in found if node is not None and isinstance(node.meta.get("val"), Tensor)]


def _last(node: fx.Node, passed_on: Collection[str]) -> fx.Node:
    """What gave a node its values: the first one before it that does more than pass them on."""
    while _operation(node) in passed_on:
        inputs = [one for one in node.all_input_nodes if one.op != "placeholder"]
        if len(inputs) != 1:
            break
        node = inputs[0]
    return node


def _operation(node: fx.Node) -> str:
    return str(node.target).split(".")[1] if str(node.target).startswith("aten.") else ""


def _loaded(data: bytes, where: str) -> ExportedProgram:
    try:
        with _quiet():
            return torch.export.load(io.BytesIO(data))
    except Exception as error:
        raise InputError(
            f"{where}: cannot be read by torch.export of PyTorch {torch.__version__} ({first_line(error)}); export it again"
        ) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Inside, PyTorch's reader does not log a failure over many lines, which the error gives in one."""
    loggers = [logging.getLogger(name) for name in ("torch.export", "torch._export.serde.serialize")]
    before = [one.disabled for one in loggers]
    for one in loggers:
        one.disabled = True
    try:
        yield
    finally:
        for one, was in zip(loggers, before, strict=True):
            one.disabled = was


def _batches(exported: ExportedProgram, shape: tuple[int, int, int], where: str) -> Batches:
    """What the program takes at once, of pictures of this shape in its own layout."""
    names = exported.graph_signature.user_inputs
    value: Any = None
    for node in exported.graph.nodes:
        if node.op == "placeholder" and node.name in names:
            value = node.meta.get("val")
    if len(names) != 1 or not isinstance(value, Tensor) or value.dim() != 4 or not value.is_floating_point():
        raise InputError(
            f"{where}: takes {len(names)} inputs, or no pictures; expected one tensor of pictures in floats"
        )
    own = tuple(value.shape[1:])
    if any(isinstance(size, int) and size != given for size, given in zip(own, shape, strict=True)):
        shown = "x".join(str(size) if isinstance(size, int) else "any" for size in own)
        raise InputError(
            f"{where}: was exported for pictures of {shown}, and --size and --layout give {'x'.join(map(str, shape))}"
        )
    n = value.shape[0]
    if isinstance(n, int):
        return Batches(n, n, value.dtype)
    limits = exported.range_constraints.get(n.node.expr)
    least, most = (1, None) if limits is None else (limits.lower, limits.upper)
    return Batches(max(1, _whole(least) or 1), _whole(most), value.dtype)


def _whole(bound: Any) -> int | None:
    """A bound as a number; None where it is none or infinite."""
    try:
        found = int(bound)
    except (TypeError, ValueError, OverflowError, AttributeError):  # an infinite one of sympy raises the last
        return None
    return found if found < 2**31 else None


class _Sizes(fx.Interpreter):
    """Goes through a program without numbers, and ends at a tensor that is too large."""

    def run_node(self, n: fx.Node) -> Any:
        found = super().run_node(n)
        for one in found if isinstance(found, tuple | list) else (found,):
            if isinstance(one, Tensor) and one.numel() > LARGEST:
                raise MemoryError(f"{n.name} of {tuple(one.shape)} numbers")
        return found


def _check_sizes(exported: ExportedProgram, batches: Batches, shape: tuple[int, int, int], where: str) -> None:
    """Refuse a program that makes a tensor which no memory holds, before it makes it."""
    network: Any = exported.module(check_guards=False)
    n = batches.most if batches.most and batches.least == batches.most else max(2, batches.least)
    with torch.no_grad(), FakeTensorMode(allow_non_fake_inputs=True) as mode:
        fake = mode.from_tensor(torch.zeros(1, dtype=batches.dtype)).expand(1, 1, 1, 1).new_zeros(n, *shape)
        try:
            _Sizes(network).run(fake)
        except MemoryError as error:
            raise InputError(f"{where}: makes a tensor that is too large ({error}); it is not run") from error
        except Exception as error:
            raise InputError(
                f"{where}: cannot be run on {n} pictures of {'x'.join(map(str, shape))} ({first_line(error)}); check --size"
            ) from error


def _with_parts(exported: ExportedProgram, layout: ProgramSpec) -> nn.Module:
    """The network with the parts that it had; without parts where it had none, or they cannot be found again."""
    with suppress(Exception), _quiet():  # it may fail on any graph, and the network without parts is the same one
        found: Any = torch.export.unflatten(exported)
        if any(node.op == "call_module" for node in found.graph.nodes):
            return found
    flat: Any = exported.module(check_guards=False)
    return _with_head(fx.GraphModule(flat, flat.graph), layout)


def _with_head(flat: fx.GraphModule, layout: ProgramSpec) -> fx.GraphModule:
    """A network without parts, with a part of its own that passes on what the last layer reads, where that layer is found."""
    (end,) = (node for node in flat.graph.nodes if node.op == "output")
    outputs = [node for node in end.all_input_nodes if isinstance(node.meta.get("val"), Tensor)]
    last = _last(outputs[layout.output], (*_PASSED_ON, *_SCALED)) if layout.output < len(outputs) else None
    if last is None or _operation(last) not in _READS:
        return flat
    read = last.args[_READS[_operation(last)]]
    if isinstance(read, fx.Node) and read.op == "call_function":
        flat.add_submodule(_HEAD, nn.Identity())
        with flat.graph.inserting_before(last):
            passed = flat.graph.call_module(_HEAD, (read,))
        last.replace_input_with(read, passed)
        flat.recompile()
    return flat


def _head_of(exported: ExportedProgram, network: nn.Module, output: int) -> str | None:
    """The part that gives an output: one with a matrix and at most a bias, whose result is scaled or normalised at most."""
    nodes = _outputs(exported)
    if output >= len(nodes):
        return None
    if any(name == f"program.{_HEAD}" for name, _ in network.named_modules()):
        return f"program.{_HEAD}"
    last = _last(nodes[output], (*_PASSED_ON, *_SCALED))
    stack = list((last.meta.get("nn_module_stack") or {}).values())
    if _operation(last) not in _READS or not stack:
        return None
    name = f"program.{stack[-1][0]}"
    try:
        part = network.get_submodule(name)
    except AttributeError:  # of a graph without parts
        return None
    own = {key: value.dim() for key, value in part.named_parameters(recurse=False)}
    return name if own in ({"weight": 2}, {"weight": 2, "bias": 1}) else None
