"""The process without rights in which a TorchScript program is read, and written anew as a program of `torch.export`.

It is started by :mod:`scd_core.identify.torchscript`, reads one request from its input and writes one answer. Everything that the
program needs is loaded before the rights are given up, since no file can be opened afterwards.
"""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, BinaryIO

__all__ = ["main"]


def main() -> None:
    """Answer one request: a line of JSON, the pictures and the archive in; a line of JSON, the archive and outputs out."""
    request = json.loads(sys.stdin.buffer.readline())
    pictures, archive = (sys.stdin.buffer.read(request[name]) for name in ("n_pictures", "n_archive"))
    answers = os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for one in (0, 1, 2):  # what a program prints goes nowhere
        os.dup2(nowhere, one)
    try:
        _answer(answers, *_converted(request, bytearray(pictures), archive))
    except Exception as error:  # noqa: BLE001 - the one line that the other process gives on
        _answer(answers, {"error": _words(error)})


def _answer(answers: BinaryIO, header: dict[str, Any], *parts: bytes) -> None:
    header |= {"sizes": [len(one) for one in parts]}
    answers.write(b"".join((json.dumps(header).encode() + b"\n", *parts)))
    answers.flush()


def _words(error: Exception) -> str:
    return " ".join((str(error) or type(error).__name__).split())[:300]


def _converted(request: dict[str, Any], pictures: bytearray, archive: bytes) -> tuple[Any, ...]:
    import torch

    from scd_core.identify.locked import Unlockable, lock

    torch.set_num_threads(1)
    _warm_up()
    try:
        lock(request["seconds"], request["memory_bytes"])
    except Unlockable as error:
        return ({"unlockable": str(error)},)
    program = torch.jit.load(io.BytesIO(archive), map_location="cpu").eval()
    own = next((one.dtype for one in program.parameters() if one.is_floating_point()), torch.float32)
    batch = torch.frombuffer(pictures, dtype=torch.float32).reshape(request["shape"]).to(own)
    with torch.no_grad():
        expected = [tensor.float() for tensor in _tensors(program(batch[:1]))]
    failures = []
    for convert in _ways(program, batch):
        try:
            exported = convert()
            with torch.no_grad():
                found = [tensor.float() for tensor in _tensors(exported.module()(batch[:1]))]
            for one, other in zip(found, expected, strict=True):
                torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)
            buffer = io.BytesIO()
            torch.export.save(exported, buffer)
        except Exception as error:  # noqa: BLE001 - a way that does not fit this program; the next one may
            failures.append(_words(error))
            continue
        shapes = [list(one.shape) for one in expected]
        return {"shapes": shapes}, buffer.getvalue(), *(one.contiguous().numpy().tobytes() for one in expected)
    return ({"error": failures[0]},)


def _tensors(output: Any) -> Iterator[Any]:
    from torch.utils import _pytree

    return (one for one in _pytree.tree_leaves(output) if hasattr(one, "dtype") and one.dtype.is_floating_point)


def _ways(program: Any, batch: Any) -> Iterator[Callable[[], Any]]:
    """Ways to a program of torch.export: of any number of pictures, and of one."""
    from torch._export.converter import TS2EPConverter

    yield lambda: TS2EPConverter(program, (batch[:2],)).convert()
    yield lambda: TS2EPConverter(program, (batch[:1],)).convert()


def _warm_up() -> None:
    """Load all that the ways need, by small programs."""
    import sympy.physics.units  # noqa: F401 - where a size depends on a size
    import torch
    from torch import nn

    class Small(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.Sequential(
                nn.Conv2d(3, 4, 3, stride=2),
                nn.BatchNorm2d(4),
                nn.ReLU(),
                nn.MaxPool2d(2),
                nn.AdaptiveAvgPool2d(1),
                nn.Flatten(),
            )
            self.norm, self.head = nn.LayerNorm(4), nn.Linear(4, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            found = self.norm(self.layers(x).reshape(x.shape[0], -1))
            weights = (found @ found.transpose(0, 1)).softmax(1)
            return self.head(nn.functional.gelu(weights @ found)).clamp(min=-5.0)

    class Windows(Small):
        """Whose sizes depend on each other, so that the ways fail."""

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            n, _, height, width = x.shape
            x = nn.functional.pad(x, (0, (7 - width % 7) % 7, 0, (7 - height % 7) % 7))
            rows, columns = x.shape[2] // 7, x.shape[3] // 7
            parts = x.view(n, 3, rows, 7, columns, 7).permute(0, 2, 4, 1, 3, 5).reshape(n * rows * columns, 3, 7, 7)
            return super().forward(x) * parts.mean() * (x.shape[2] // 2) ** -0.5

    batch = torch.rand(2, 3, 32, 32)
    for network in (Small(), Windows()):
        program = torch.jit.trace(network.eval(), (batch,), check_trace=False)
        buffer = io.BytesIO()
        torch.jit.save(program, buffer)
        program = torch.jit.load(io.BytesIO(buffer.getvalue()))
        for convert in _ways(program, batch):
            with suppress(Exception):
                exported = convert()
                exported.module()(batch[:1])
                torch.export.save(exported, io.BytesIO())
    with suppress(AssertionError):
        torch.testing.assert_close(batch, batch + 1)
    repr(batch)


if __name__ == "__main__":
    main()
