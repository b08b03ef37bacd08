"""The networks that a callable runs: itself, or what a lambda, closure, partial or bound method holds or names."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

from torch import nn

__all__ = ["find_networks"]

_DEEPEST = 6
"""Steps from the callable to a network that it holds; a notebook's wrappers are a step or two each."""
_MOST = 5_000
"""Objects looked at before the search ends."""
_NOT_OPENED = (str, bytes, int, float, complex, type, ModuleType)


def find_networks(model: Callable[..., Any]) -> list[nn.Module]:
    """Networks that a callable can reach, each once, a network's own parts left out.

    A module is its own network. Of other callables it is looked into: what a partial was given, the object of a bound
    method, a function's closure, defaults and the globals that its code names, the attributes of an object, and the elements
    of lists, tuples and dicts of these.

    Example:
        >>> network = nn.Linear(2, 2)
        >>> find_networks(lambda x: network(x).softmax(1)) == [network]
        True
    """
    if isinstance(model, nn.Module):
        return [model]
    found: dict[nn.Module, None] = {}
    seen, looked = {id(model)}, 0
    level: list[Any] = [model]
    for _ in range(_DEEPEST):
        following: list[Any] = []
        for value in level:
            for held in _held(value):
                looked += 1
                if isinstance(held, nn.Module):
                    found[held] = None
                elif id(held) not in seen and looked < _MOST:
                    seen.add(id(held))
                    following.append(held)
        level = following
    parts = {id(part) for network in found for part in network.modules() if part is not network}
    return [network for network in found if id(network) not in parts]


def _held(value: Any) -> Iterator[Any]:
    """What an object holds or, for a function, names; nothing of strings, numbers, classes and Python modules."""
    if isinstance(value, _NOT_OPENED):
        return
    if isinstance(value, functools.partial):
        yield from (value.func, *value.args, *value.keywords.values())
    elif isinstance(value, MethodType):
        yield from (value.__self__, value.__func__)
    elif isinstance(value, FunctionType):
        yield from _held_by_function(value)
    elif isinstance(value, Mapping):
        yield from value.values()
    elif isinstance(value, list | tuple | set | frozenset):
        yield from value
    else:
        yield from getattr(value, "__dict__", {}).values()
        slots = getattr(type(value), "__slots__", ())
        yield from (
            getattr(value, name) for name in ((slots,) if isinstance(slots, str) else slots) if hasattr(value, name)
        )
        called = getattr(type(value), "__call__", None)  # noqa: B004 - the function itself, not whether there is one
        if isinstance(called, FunctionType):
            yield called


def _held_by_function(function: FunctionType) -> Iterator[Any]:
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # a name that is bound later
            continue
    yield from function.__defaults__ or ()
    yield from (function.__kwdefaults__ or {}).values()
    if hasattr(function, "__wrapped__"):
        yield function.__wrapped__
    if str(function.__globals__.get("__name__")).partition(".")[0] in ("torch", "torchvision"):
        return  # whose globals are no part of anyone's model
    for name in _names(function.__code__):
        if name in function.__globals__:
            yield function.__globals__[name]


def _names(code: CodeType) -> Iterator[str]:
    """Names that a function's code, and the functions within it, look up."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)
