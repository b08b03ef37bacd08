"""What the last layer of an ONNX model reads of a picture, found in its graph and given as a further output."""

from __future__ import annotations

from typing import Any

from scd_core.identify.onnx_file import checked_model, graphs_of

__all__ = ["with_features"]

_LAYERS = ("Gemm", "MatMul", "Conv")
"""Operations of a layer that makes one number a name."""
_PASSED_ON = (
    "Identity", "Cast", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Mul", "Div", "Add", "Sub", "Softmax", "LogSoftmax",
)  # fmt: skip
"""Operations that may follow such a layer: a bias, a scale, or the same for all names of a picture."""


def with_features(data: bytes, output: int, name: str) -> tuple[bytes, str] | None:
    """The model with what its last layer reads as an output, and the name of that output.

    Args:
        data: an ONNX file with all its tensors in it.
        output: number of the output that the layer gives.
        name: of the file, in messages.

    Returns:
        None where the output is not a layer's that reads one tensor made of the picture, scaled or normalised at most.

    Raises:
        InputError: the file is not safe to load.
    """
    model = checked_model(data, name)
    graph = model.graph
    if sum(1 for _ in graphs_of(model)) > 1:
        return None
    seen = {one.name for one in graph.input} - {one.name for one in graph.initializer}
    pictures = set(seen)
    makers: dict[str, Any] = {}
    for node in graph.node:  # in the order in which they are run
        if any(one in seen for one in node.input):
            seen.update(node.output)
        makers.update((one, node) for one in node.output)
    found = graph.output[output].name
    while True:
        node = makers.get(found)
        read = [one for one in node.input if one in seen] if node is not None else []
        if node is None or len(read) != 1 or node.op_type not in (*_LAYERS, *_PASSED_ON):
            return None
        found = read[0]
        if node.op_type in _LAYERS:
            break
    if found in pictures:
        return None
    if found not in {one.name for one in graph.output}:
        graph.output.add(name=found)
        data = bytes(model.SerializeToString())
    return data, found
