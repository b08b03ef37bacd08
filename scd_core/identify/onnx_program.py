"""ONNX models: onnxruntime names; gradients are taken through the same network in PyTorch, where it gives the same logits."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from scd_core.errors import InputError, first_line
from scd_core.identify.onnx_file import checked_model, graphs_of
from scd_core.identify.program import EXACT, Batches, Program, ProgramNetwork, made_pictures
from scd_core.identify.spec import PackageSpec, ProgramSpec

__all__ = ["load_onnx"]

_TYPES = {"tensor(float)": torch.float32, "tensor(float16)": torch.float16, "tensor(double)": torch.float64}
_PASSED_ON = ("Identity", "Cast", "Reshape", "Flatten", "Squeeze")
"""Operations that leave values as they are."""


def load_onnx(data: bytes, spec: PackageSpec, device: torch.device, name: str) -> Program:
    """An ONNX model in use.

    Args:
        data: the file, with all its tensors in it.
        spec: with `program`.
        device: where gradients are taken.
        name: of the file, in messages.

    Raises:
        InputError: the file is not safe to load, onnxruntime does not run it, or it does not fit the input's size or layout.
    """
    model = checked_model(data, name)
    session = _session(data, device, name)
    layout = spec.program or ProgramSpec()
    batches = _batches(session, layout, spec.input.size, name)
    naming = ProgramNetwork(_Session(session), layout, batches).eval()
    found, why = _in_torch(model, naming, spec)
    if found is None:
        why = f"the ONNX model gives names only: {why}"
    else:
        found = found.to(device)
    head = None if layout.embedding is None else "embedding"
    return Program(
        naming, found or naming, gives_gradient=False, head=head, no_masks=why or None, sigmoids=_sigmoids(model)
    )


def _sigmoids(model: Any) -> frozenset[int]:
    """Numbers of the outputs that end in a sigmoid."""
    makers = {name: node for node in model.graph.node for name in node.output}
    found = set()
    for place, output in enumerate(model.graph.output):
        node = makers.get(output.name)
        while node is not None and node.op_type in _PASSED_ON:
            node = makers.get(node.input[0])
        if node is not None and node.op_type in ("Sigmoid", "HardSigmoid"):
            found.add(place)
    return frozenset(found)


class _Session(nn.Module):
    """A model as onnxruntime runs it: (B, ...) on any device -> its outputs, on the same device."""

    def __init__(self, session: Any) -> None:
        super().__init__()
        self.session, self.input = session, session.get_inputs()[0].name

    def __deepcopy__(self, memo: dict[int, Any]) -> _Session:
        return self  # it holds nothing that a run changes

    def forward(self, fed: Tensor) -> dict[str, Tensor]:
        """Outputs of the model by name, as it gives them."""
        found = self.session.run(None, {self.input: fed.detach().cpu().numpy()})
        return {
            output.name: torch.from_numpy(np.ascontiguousarray(one)).to(fed.device)
            for output, one in zip(self.session.get_outputs(), found, strict=True)
            if isinstance(one, np.ndarray)
        }


def _session(data: bytes, device: torch.device, name: str) -> Any:
    import onnxruntime  # an extra; :func:`checked_model` has seen to it

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 4
    providers = ["CPUExecutionProvider"]
    if device.type == "cuda" and "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        providers.insert(0, "CUDAExecutionProvider")
    try:
        return onnxruntime.InferenceSession(data, options, providers=providers)
    except Exception as error:
        raise InputError(f"weights {name}: onnxruntime does not run it ({first_line(error)})") from error


def _batches(session: Any, layout: ProgramSpec, size: tuple[int, int], name: str) -> Batches:
    inputs = session.get_inputs()
    if len(inputs) != 1 or inputs[0].type not in _TYPES or len(inputs[0].shape or ()) != 4:
        shown = ", ".join(f"{one.name} {one.type} {one.shape}" for one in inputs[:3])
        raise InputError(
            f"weights {name}: takes {shown[:200]}; expected one input of pictures in floats, of 4 dimensions"
        )
    n, *own = inputs[0].shape
    expected = (3, *size) if layout.layout == "nchw" else (*size, 3)
    if any(isinstance(one, int) and one > 0 and one != given for one, given in zip(own, expected, strict=True)):
        shown = "x".join(str(one) if isinstance(one, int) else "any" for one in own)
        other = "nhwc" if layout.layout == "nchw" else "nchw"
        hint = f"; state --layout {other}" if own[2 if layout.layout == "nchw" else 0] == 3 else ""
        raise InputError(
            f"weights {name}: takes pictures of {shown}, and --size and --layout give {'x'.join(map(str, expected))}{hint}"
        )
    fixed = n if isinstance(n, int) and n > 0 else None
    return Batches(fixed or 1, fixed, _TYPES[inputs[0].type])


def _in_torch(model: Any, naming: ProgramNetwork, spec: PackageSpec) -> tuple[ProgramNetwork | None, str]:
    """The same network in PyTorch; or None, and why there is none."""
    if model.functions or sum(1 for _ in graphs_of(model)) > 1:
        return None, "it has parts that depend on its input"
    try:
        from onnx2torch import convert

        network = convert(_plain(model, naming.spec.output)).eval().requires_grad_(False)
        found = ProgramNetwork(network, naming.spec.model_copy(update={"output": 0, "embedding": None}), naming.batches)
        pictures = made_pictures(spec, 2)
        with torch.no_grad():
            off = _difference(found(pictures), naming(pictures), spec)
    except ImportError:
        return None, "onnx2torch is not installed (pip install 'trapaudit[onnx]')"
    except NotImplementedError as error:
        return None, f"it has an operation that is not converted to PyTorch ({first_line(error)})"
    except Exception as error:  # noqa: BLE001 - a converter of the outside may fail in any way; names are given all the same
        return None, f"it is not converted to PyTorch ({first_line(error)})"
    if not off <= EXACT:
        return None, f"in PyTorch its logits differ by {off:.2g}, and {EXACT:g} is the most that counts as equal"
    return found.eval(), ""


def _without_gaps(node: Any) -> None:
    """Write optional inputs that are not given in the way that the converter reads."""
    while len(node.input) and not node.input[-1]:
        node.input.pop()
    if node.op_type == "Clip" and len(node.input) == 3 and not node.input[1]:  # from above alone
        node.op_type, node.input[:] = "Min", [node.input[0], node.input[2]]


def _difference(found: Tensor, expected: Tensor, spec: PackageSpec) -> float:
    """Largest difference of logits (B, K); of embeddings (B, D), the largest that logits of a gallery may have by it."""
    if spec.gallery is None:
        return float((found - expected).abs().max())
    off = nn.functional.normalize(found, dim=1) - nn.functional.normalize(expected, dim=1)
    return spec.similarity_scale * float(off.norm(dim=1).max())


def _plain(model: Any, output: int) -> Any:
    """A copy for the converter: one output, constants where it expects them, and numbered names, which go into Python code."""
    plain = copy.deepcopy(model)
    graph = plain.graph
    constants = {one.name: one.name for one in graph.initializer}
    nodes = []
    for node in graph.node:
        _without_gaps(node)
        if node.op_type == "Identity" and node.input[0] in constants:
            constants[node.output[0]] = constants[node.input[0]]  # exporters share equal weights in this way
        elif node.op_type == "LayerNormalization":
            # Of constants, the converter asks for the shape of its input, which may not be known.
            for place, name in enumerate(node.input):
                if place and name in constants:
                    passed = copy.deepcopy(node)
                    passed.op_type, passed.input[:], passed.output[:] = (
                        "Identity",
                        [constants[name]],
                        [f"{name}/passed"],
                    )
                    del passed.attribute[:]
                    nodes.append(passed)
                    node.input[place] = f"{name}/passed"
        else:
            node.input[:] = [constants.get(name, name) for name in node.input]
        nodes.append(node)
    wanted, nodes = graph.output[output], [copy.deepcopy(one) for one in nodes]
    del graph.output[:], graph.node[:], graph.quantization_annotation[:], graph.sparse_initializer[:]
    graph.output.append(wanted)
    graph.node.extend(nodes)
    names = {"": ""}

    def own(name: str) -> str:
        return names.setdefault(name, f"v{len(names)}")

    for value in (*graph.input, *graph.output, *graph.initializer, *graph.value_info):
        value.name = own(value.name)
    for number, node in enumerate(graph.node):
        node.name, node.doc_string = f"n{number}", ""
        node.input[:] = [own(name) for name in node.input]
        node.output[:] = [own(name) for name in node.output]
    return plain
