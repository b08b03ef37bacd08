"""What a file of weights holds: its tensors, and how they were wrapped."""

from __future__ import annotations

import argparse
import io
import pickle
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_safetensors

from scd_core.errors import InputError
from scd_core.identify.kinds import check_kind

__all__ = ["Checkpoint", "load_content", "plain_state", "read_checkpoint"]

_WRAPPERS = ("state_dict", "model_state_dict", "model", "net", "network", "model_state", "weights", "params")
"""Keys under which training code keeps the weights, beside what is none."""
_GLOBAL = re.compile(r"(?:GLOBAL|Unsupported global:?)\s+(?:GLOBAL\s+)?([\w.]+)")
_MAX_DEPTH = 4

State = dict[str, torch.Tensor]


class _Settings(dict[str, Any]):
    """Stands for a dictionary of settings of a training library that is not installed."""


_HARMLESS: list[Any] = [
    argparse.Namespace,
    *(
        (_Settings, f"{module}.AttributeDict")
        for module in (
            "lightning_fabric.utilities.data",
            "lightning.fabric.utilities.data",
            "pytorch_lightning.utilities.parsing",
        )
    ),
]
"""Holders of plain settings beside the weights: they have values and run nothing."""


@dataclass
class Checkpoint:
    """Tensors of a file, and what was done to get at them."""

    state: State
    steps: list[str] = field(default_factory=list)
    """One sentence a step."""


def read_checkpoint(data: bytes, name: str, key: str | None = None) -> Checkpoint:
    """The weights in a file, out of what they are wrapped in.

    Args:
        data: the whole file.
        name: its name, whose ending tells ``.safetensors`` from what ``torch.save`` writes.
        key: path of the state dict in the file, its parts joined by dots; None finds it where only one can be meant.

    Raises:
        InputError: no file of tensors, one that holds code, or several state dicts and no key.
    """
    content = load_content(data, name)
    steps: list[str] = []
    if key is not None:
        for part in _path_to(content, key, name):
            content = content[part]
        steps.append(f"the state dict is under `{key}`")
    else:
        content = _unwrapped(content, name, steps)
    return Checkpoint(_floats(plain_state(content, name, steps), steps), steps)


def load_content(data: bytes, name: str) -> Any:
    """What a file holds: tensors, numbers and text in dictionaries and lists; nothing else is ever unpickled.

    Raises:
        InputError: it is of another kind, is damaged, or holds objects.
    """
    check_kind(data, name)
    try:
        if name.endswith(".safetensors"):
            return load_safetensors(data)
        with torch.serialization.safe_globals(_HARMLESS):
            return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        found = _GLOBAL.search(str(error))
        what = f" (`{found[1]}`)" if found else ""
        raise InputError(
            f"weights {name}: holds more than tensors{what}, and nothing else is ever unpickled; save model.state_dict() alone"
        ) from error
    except (
        SafetensorError, RuntimeError, EOFError, ValueError, KeyError, TypeError, AttributeError, IndexError, OSError,
        MemoryError, RecursionError, AssertionError, ImportError, zipfile.BadZipFile, OverflowError,
    ) as error:  # fmt: skip
        hint = "give a file of torch.save(model.state_dict()), or a .safetensors"
        raise InputError(f"weights {name}: cannot be read as a state dict; {hint}") from error


def plain_state(content: Any, name: str, steps: list[str] | None = None) -> State:
    """A state dict: a dictionary of tensors that hold their values; numbers and text beside them are left out and noted.

    Raises:
        InputError: it is none, or a tensor is larger than what the file holds of it.
    """
    if not isinstance(content, Mapping) or not any(isinstance(value, torch.Tensor) for value in content.values()):
        raise InputError(f"weights {name}: expected a state dict (name -> tensor); save model.state_dict()")
    others = [str(key) for key, value in content.items() if not isinstance(value, torch.Tensor)]
    if others and steps is None:
        raise InputError(f"weights {name}: expected a state dict (name -> tensor); save model.state_dict()")
    if others and steps is not None:
        steps.append(f"beside the tensors and left out: {_some(others)}")
    state = {str(key): value for key, value in content.items() if isinstance(value, torch.Tensor)}
    for key, value in state.items():
        if value.is_meta:
            raise InputError(
                f"weights {name}: {key} is on the device `meta` and holds no values; save the loaded model"
            )
        if value.layout != torch.strided or value.is_quantized:
            raise InputError(f"weights {name}: {key} is sparse or quantised; save the float model")
        if value.numel() * value.element_size() > value.untyped_storage().nbytes():
            raise InputError(
                f"weights {name}: {key} has shape {tuple(value.shape)}, of which the file holds a part only"
            )
    held: set[int] = set()
    for key, value in state.items():
        memory = value.untyped_storage().data_ptr()
        # Weights that two parts share are written for each: a file of safetensors has none in common.
        state[key] = value.contiguous().clone() if memory in held else value.contiguous()
        held.add(memory)
    return state


def _unwrapped(content: Any, name: str, steps: list[str]) -> Any:
    """The one state dict in what was saved, which may be wrapped several times."""
    for _ in range(_MAX_DEPTH):
        if not isinstance(content, Mapping):
            return content
        found = [key for key in content if str(key).lower() in _WRAPPERS and _holds_tensors(content[key])]
        averaged = [
            str(key)
            for key in content
            if "ema" in re.split(r"[_.\W]+", str(key).lower()) and _holds_tensors(content[key])
        ]
        if averaged and not found and not any(isinstance(value, torch.Tensor) for value in content.values()):
            raise InputError(f"weights {name}: holds averaged weights alone; take them with --key {averaged[0]}")
        if not found and not any(isinstance(value, torch.Tensor) for value in content.values()):
            # A key of another name, where it is the one that holds a network's tensors by name.
            found = [key for key in content if key not in averaged and _is_of_weights(key, content[key])]
        if not found:
            return content
        if len(found) > 1:
            raise InputError(
                f"weights {name}: holds several state dicts ({_some(map(str, found))}); name one with --key"
            )
        note = (
            f"; the averaged weights under `{averaged[0]}` are not taken (--key {averaged[0]} takes them)"
            if averaged
            else ""
        )
        steps.append(f"the state dict is under `{found[0]}`{note}")
        content = content[found[0]]
    return content


def _is_of_weights(key: Any, value: Any) -> bool:
    """Whether a value holds tensors by the names of a network's parts, and its key is not that of an optimizer."""
    if re.search(r"optim|sched|scaler|loss|criterion|grad", str(key).lower()) or not isinstance(value, Mapping):
        return False
    return any(isinstance(one, torch.Tensor) and str(name).endswith(".weight") for name, one in value.items())


def _path_to(content: Any, key: str, name: str) -> list[Any]:
    """The keys that lead to a state dict; a key may have dots of its own."""
    if isinstance(content, Mapping):
        by_name = {str(one): one for one in content}
        for own, one in by_name.items():
            if key == own and _holds_tensors(content[one]):
                return [one]
            if key.startswith(f"{own}.") and isinstance(content[one], Mapping):
                return [one, *_path_to(content[one], key[len(own) + 1 :], name)]
    keys = _some(map(str, content)) if isinstance(content, Mapping) else "no dictionary"
    raise InputError(f"weights {name}: no state dict under --key {key}; there is {keys}")


def _holds_tensors(value: Any, depth: int = _MAX_DEPTH) -> bool:
    if not isinstance(value, Mapping) or depth == 0:
        return False
    return any(isinstance(one, torch.Tensor) or _holds_tensors(one, depth - 1) for one in value.values())


def _floats(state: State, steps: list[str]) -> State:
    """Weights of half precision as float32, which holds the same numbers."""
    half = [value.dtype for value in state.values() if value.dtype in (torch.float16, torch.bfloat16)]
    if half:
        kind = str(half[0]).removeprefix("torch.")
        steps.append(f"{len(half)} tensors of {kind} are kept as float32")
    return {
        key: value.float() if value.is_floating_point() and value.dtype != torch.float32 else value
        for key, value in state.items()
    }


def _some(names: Any) -> str:
    shown = [f"`{one}`" for one in names]
    return ", ".join(shown[:5]) + (f" and {len(shown) - 5} more" if len(shown) > 5 else "")
