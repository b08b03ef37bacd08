"""Names of weights brought to those of an architecture: a prefix less, a head renamed; what has no place is refused by name."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from scd_core.errors import InputError
from scd_core.identify.spec import ACTIVATIONS, GEM, HeadName

__all__ = ["Fitted", "fit_names", "with_hidden_layer"]

_PREFIXES = (
    "module.", "_orig_mod.", "model.", "backbone.", "base_model.", "net.", "network.", "encoder.", "feature.",
    "feature_extractor.",
)  # fmt: skip
_ARCFACE = "ArcFace"
_NECKS = (
    (re.compile(r"arc_?face|arc_?margin|cos_?face|margin|final", re.I), _ARCFACE),
    (re.compile(r"gem|pooling|pool|global_pool|p", re.I), "GeM pooling"),
    (re.compile(r"bn_?neck|neck|bottleneck|bn", re.I), "a neck"),
)
_HOLDERS = ("head", "classifier", "fc", "model", "module")
"""Layers between a backbone and its names, by the names of their parameters: a network without them gives other names."""
State = dict[str, Tensor]


@dataclass
class Fitted:
    """Weights under the architecture's own names."""

    state: State
    steps: list[str] = field(default_factory=list)
    """What was done, one sentence a step."""
    head_size: int | None = None
    """Width of the layer before the last one, of a head of two layers."""


def fit_names(
    state: State,
    network: nn.Module,
    head: str | None,
    *,
    prefix: str | None = None,
    activation: HeadName | None = None,
    allow: Collection[str] = (),
    where: str = "weights",
) -> Fitted:
    """Weights under the names that a network has.

    Nothing is guessed that the shapes do not decide: a common prefix is taken off where the rest fits the network better, a
    head of another name is renamed where it is the one linear layer that is left and has the same shape, and a head of two
    layers needs its activation stated, which no weight shows.

    Args:
        state: weights as they were saved.
        network: the architecture, with a head of one linear layer.
        head: name of that layer (:func:`scd_core.identify.architectures.last_linear`).
        prefix: taken off, and what does not begin with it is left out; None finds it.
        activation: between the two layers of the head; None is a head of one layer.
        allow: names of weights that may be left out, or beginnings of names that end in a dot.
        where: name of the file in messages.

    Raises:
        InputError: weights have no place in the network.
    """
    own = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    fitted = Fitted(dict(state))
    outside = _without_prefix(fitted, own, prefix, where)
    _count_nothing(fitted, own)
    # Before a head is looked for: the last layer of such a network looks like one.
    _check_necks([key for key in fitted.state if key not in own and _neck(key) != _ARCFACE], where)
    if head is not None:
        outside += _take_off_other_head(fitted, own, head)
        _name_head(fitted, own, head, activation, where)
    expected = own if fitted.head_size is None else {key: None for key in own if not key.startswith(f"{head}.")}
    extra = [key for key in fitted.state if key not in expected and not _is_of_new_head(key, head, fitted)]
    _check_necks((*extra, *outside), where)
    unused = [key for key in (*extra, *outside) if not _is_allowed(key, allow)]
    if unused and not any(key not in fitted.state for key in expected):
        shown = ", ".join(f"`{key}`" for key in unused[:5]) + (
            f" and {len(unused) - 5} more" if len(unused) > 5 else ""
        )
        raise InputError(
            f"{where}: unused, since the architecture has no place for them: {shown}; leave them out with --allow"
        )
    dropped = [key for key in (*extra, *outside) if _is_allowed(key, allow)]
    if dropped:
        fitted.steps.append(f"left out as allowed: {', '.join(f'`{key}`' for key in dropped)}")
    fitted.state = {key: value for key, value in fitted.state.items() if key not in extra or key not in dropped}
    return fitted


def with_hidden_layer(network: nn.Module, head: str, size: int, activation: HeadName) -> nn.Module:
    """The network with its last linear layer replaced by two, and an activation between them.

    Args:
        network: changed in place.
        head: name of its last linear layer.
        size: outputs of the first of the two layers.
        activation: between them.
    """
    linear = network.get_submodule(head)
    assert isinstance(linear, nn.Linear)
    act: nn.Module = {"relu": nn.ReLU, "gelu": nn.GELU, "silu": nn.SiLU, "tanh": nn.Tanh}[activation]()
    layers = nn.Sequential(nn.Linear(linear.in_features, size), act, nn.Linear(size, linear.out_features))
    parent, _, own = head.rpartition(".")
    setattr(network.get_submodule(parent), own, layers)
    return network


def _without_prefix(fitted: Fitted, own: Mapping[str, tuple[int, ...]], prefix: str | None, where: str) -> list[str]:
    """Take a prefix off; names that do not have it, which are out of the network's reach."""
    outside: list[str] = []
    taken = ""
    if prefix is not None:
        taken = prefix if prefix.endswith(".") else f"{prefix}."
        if not any(key.startswith(taken) for key in fitted.state):
            raise InputError(
                f"{where}: no name begins with --prefix {taken}; the first is `{next(iter(fitted.state))}`"
            )
        outside = _take_off(fitted, taken)
    while prefix is None and len(taken) < 60:
        held = _fitting(fitted.state, own)
        gain = {one: _fitting(_without(fitted.state, one), own) for one in _PREFIXES}
        best = max(gain, key=lambda one: gain[one])
        # Two wrappers, as `module._orig_mod.`: the outer one alone makes nothing fit yet.
        if gain[best] <= held:
            first = {key.partition(".")[0] for key in fitted.state if "." in key}
            shared = [f"{one}." for one in first if all(key.startswith(f"{one}.") for key in fitted.state)]
            whole = [one for one in (*_PREFIXES, *shared) if all(key.startswith(one) for key in fitted.state)]
            if held or not whole:
                break
            best = whole[0]
        taken += best
        fitted.state = _without(fitted.state, best)
    if taken:
        fitted.steps.append(f"the prefix `{taken}` is taken off")
    return outside


def _count_nothing(fitted: Fitted, own: Mapping[str, tuple[int, ...]]) -> None:
    """Leave out the count of averaged states, and set counts of batches that were not saved to 0: no name depends on them."""
    counted = [
        key for key, value in fitted.state.items() if key == "n_averaged" and key not in own and value.numel() == 1
    ]
    for key in counted:
        fitted.steps.append(f"left out: `{key}`, a count of averaged states; the weights are their average")
        del fitted.state[key]
    missing = [key for key in own if key.endswith(".num_batches_tracked") and key not in fitted.state]
    missing = [key for key in missing if key.replace("num_batches_tracked", "running_mean") in fitted.state]
    if missing:
        fitted.steps.append(f"{len(missing)} counts of batches are not in it and are 0, which changes no name")
    fitted.state |= {key: torch.zeros(own[key], dtype=torch.int64) for key in missing}


def _take_off(fitted: Fitted, prefix: str) -> list[str]:
    outside = [key for key in fitted.state if not key.startswith(prefix)]
    fitted.state = _stripped(fitted.state, prefix)
    return outside


def _stripped(state: State, prefix: str) -> State:
    return {key[len(prefix) :]: value for key, value in state.items() if key.startswith(prefix)}


def _without(state: State, prefix: str) -> State:
    """The prefix taken off where it stands: a head beside a backbone has none."""
    return _stripped(state, prefix) | {key: value for key, value in state.items() if not key.startswith(prefix)}


def _fitting(state: State, own: Mapping[str, tuple[int, ...]]) -> int:
    """How many tensors have a name and a shape of the network."""
    return sum(tuple(value.shape) == own.get(key) for key, value in state.items())


def _take_off_other_head(fitted: Fitted, own: Mapping[str, tuple[int, ...]], head: str) -> list[str]:
    """Take off a head of other classes, such as one that the backbone has from before, where another one has the right ones.

    It counts as what is out of the network's reach: it needs to be allowed.
    """
    held = [key for key in fitted.state if key.startswith(f"{head}.")]
    right = own[f"{head}.weight"]
    others = [key for key in fitted.state if key.endswith(".weight") and key not in held]
    has_other = any(tuple(fitted.state[key].shape) == right and key not in own for key in others)
    if f"{head}.weight" not in held or tuple(fitted.state[f"{head}.weight"].shape) == right or not has_other:
        return []
    fitted.state = {key: value for key, value in fitted.state.items() if key not in held}
    return held


def _name_head(
    fitted: Fitted, own: Mapping[str, tuple[int, ...]], head: str, activation: HeadName | None, where: str
) -> None:
    """Rename a head that is saved under another name, or in two layers."""
    state, weight, bias = fitted.state, f"{head}.weight", f"{head}.bias"
    if weight in state and activation is None:
        return
    n, width = own[weight]
    extra = [key for key in state if key not in own]
    linear = [key.removesuffix(".weight") for key in extra if key.endswith(".weight") and state[key].dim() == 2]
    of_linear = {f"{one}.{part}" for one in linear for part in ("weight", "bias")}
    if len(linear) == 1 and activation is None and tuple(state[f"{linear[0]}.weight"].shape) == (n, width):
        if bias in own and f"{linear[0]}.bias" not in state:
            _check_necks([f"{linear[0]}.weight"], where)
            raise InputError(f"{where}: the head `{linear[0]}` has no bias, and the architecture's has one")
        fitted.state = {(f"{head}.{key.rpartition('.')[2]}" if key in of_linear else key): state[key] for key in state}
        fitted.steps.append(f"the head `{linear[0]}` is taken for `{head}`")
        return
    shapes = [tuple(state[f"{one}.weight"].shape) for one in linear]
    is_two = len(linear) == 2 and shapes[0][1] == width and shapes[1] == (n, shapes[0][0])
    if is_two and activation is None:
        raise InputError(
            f"{where}: has a head of two layers ({width} -> {shapes[0][0]} -> {n}), whose activation no weight shows; "
            f"state it with --head {'|'.join(ACTIVATIONS)}"
        )
    if activation is not None and not is_two:
        raise InputError(
            f"{where}: --head {activation} is for a head of two linear layers; beside the rest there are {len(linear)}"
        )
    if is_two:
        if any(f"{one}.bias" not in state for one in linear):
            raise InputError(f"{where}: a layer of the head has no bias; such a head is not read")
        named = {
            f"{one}.{part}": f"{head}.{place}.{part}"
            for one, place in zip(linear, (0, 2))
            for part in ("weight", "bias")
        }
        fitted.state = {named.get(key, key): state[key] for key in state}
        fitted.head_size = shapes[0][0]
        fitted.steps.append(f"the head has two layers, `{linear[0]}` and `{linear[1]}`, with {activation} between them")


def _is_of_new_head(key: str, head: str | None, fitted: Fitted) -> bool:
    return fitted.head_size is not None and key.startswith(f"{head}.")


def _check_necks(keys: Collection[str], where: str) -> None:
    """Refuse weights of layers between a backbone and its names."""
    for key in keys:
        if (kind := _neck(key)) is not None:
            raise InputError(
                f"{where}: holds `{key}`, of {kind}, which the architecture has no place for: without it the names would be "
                f"others, though all keys fit; GeM pooling, a neck and ArcFace together are read by --head {GEM}"
            )


def _neck(key: str) -> str | None:
    """What lies between a backbone and its names and has this parameter; None for another one."""
    parts = key.split(".")
    while len(parts) > 2 and parts[0] in _HOLDERS:
        parts = parts[1:]
    return next((kind for pattern, kind in _NECKS if pattern.fullmatch(parts[0])), None)


def _is_allowed(key: str, allow: Collection[str]) -> bool:
    return any(key == one or (one.endswith(".") and key.startswith(one)) for one in allow)
