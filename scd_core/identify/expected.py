"""Whether a packed network gives what its own code gives: one pass at the real input size, and a file of expected answers."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from scd_core.config import MediaConfig
from scd_core.errors import InputError, first_line
from scd_core.identify.preprocess import decode_size, preprocess
from scd_core.identify.spec import PackageSpec
from scd_core.inputs.csv import read_csv
from scd_core.inputs.text import read_text
from scd_core.media import MediaError
from scd_core.media.decode import decode_image

__all__ = ["check_expected", "run_once"]

_TOLERANCE = 1e-3
"""Largest difference of logits that counts as equal: between machines and versions of torch they differ by some 1e-5."""


@dataclass(frozen=True)
class _Expected:
    """What the model's own code gives for one picture."""

    where: str
    file: Path
    logits: tuple[float, ...] | None
    best: str | None


@torch.inference_mode()
def run_once(network: nn.Module, spec: PackageSpec, name: str) -> str:
    """Run a network at its input's size, on two different pictures; what came out, in a sentence.

    Raises:
        InputError: it fails there, gives no numbers, or gives both pictures the same logits, so that it does not see them.
    """
    height, width = spec.input.size
    ramp = torch.linspace(-1, 1, width).expand(3, height, width)
    pictures = torch.stack((ramp, ramp.flip(2) * 0.5))
    try:
        logits = network(pictures)
    except (RuntimeError, ValueError, AssertionError, TypeError, IndexError) as error:
        raise InputError(
            f"weights {name}: the network cannot be run on {height}x{width} pixels ({first_line(error)}); check --size"
        ) from error
    if not isinstance(logits, Tensor) or tuple(logits.shape) != (2, len(spec.labels)):
        shape = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise InputError(f"weights {name}: the network gives {shape} for 2 pictures, expected (2, {len(spec.labels)})")
    if not bool(logits.isfinite().all()):
        raise InputError(f"weights {name}: gives logits that are no numbers; the weights are damaged")
    if bool((logits[0] - logits[1]).abs().max() == 0):
        raise InputError(
            f"weights {name}: gives two different pictures the same logits; the weights are damaged, or all 0"
        )
    return f"run once at {height}x{width}: logits of {float(logits.min()):.2f} to {float(logits.max()):.2f}"


@torch.inference_mode()
def check_expected(network: nn.Module, spec: PackageSpec, url: str | Path) -> str:
    """Compare a network with what its own code gives for some pictures; what was compared, in a sentence.

    Args:
        network: in eval mode.
        spec: its labels and preprocessing.
        url: CSV with `file`, relative to it, and `top1` (a label) or `logits` (numbers with blanks between, in class
            order); or JSON, a list of objects with these keys.

    Raises:
        InputError: the file cannot be used, a picture cannot be read, or an answer differs; the message gives the picture.
    """
    largest, n_logits, n_best = 0.0, 0, 0
    for one in _expected(url, spec):
        try:
            picture: Image.Image = decode_image(
                one.file.read_bytes(), target=decode_size(spec.input), max_pixels=MediaConfig().max_pixels
            )
        except (OSError, MediaError) as error:
            raise InputError(f"{one.where}: picture {one.file.name} cannot be read ({error})") from error
        logits = network(preprocess(picture, spec.input)[None])[0].float()
        best = spec.labels[int(logits.argmax())]
        hint = "check --resize, --interpolation, --size, --mean, --std and the order of the labels"
        if one.logits is not None:
            n_logits += 1
            off = float((logits - torch.tensor(one.logits)).abs().max())
            largest = max(largest, off)
            if not off <= _TOLERANCE:
                raise InputError(
                    f"{one.where}: logits of {one.file.name} differ by up to {off:.3g} from those expected; {hint}"
                )
        if one.best is not None:
            n_best += 1
            if best != one.best:
                raise InputError(f"{one.where}: {one.file.name} is called {best!r}, expected {one.best!r}; {hint}")
    return f"as expected: {n_logits} pictures with logits (largest difference {largest:.1e}), {n_best} with their best class"


def _expected(url: str | Path, spec: PackageSpec) -> Iterator[_Expected]:
    where, folder = f"expect {url}", Path(url).parent
    text = read_text(str(url), "expect")
    n = 0
    for place, row in _rows(text, where):
        n += 1
        file, best, logits = str(row.get("file") or ""), row.get("top1") or None, row.get("logits")
        if not file or (best is None and logits is None):
            raise InputError(f"{place}: expected `file` and `top1` or `logits`")
        if best is not None and best not in spec.labels:
            raise InputError(f"{place}: top1 {str(best)[:60]!r} is none of the labels")
        numbers = None
        if logits is not None:
            try:
                numbers = tuple(float(value) for value in (logits.split() if isinstance(logits, str) else logits))
            except (TypeError, ValueError) as error:
                raise InputError(f"{place}: logits are no numbers ({first_line(error)})") from error
            if len(numbers) != len(spec.labels) or not all(map(math.isfinite, numbers)):
                raise InputError(
                    f"{place}: {len(numbers)} logits, expected {len(spec.labels)} finite numbers in class order"
                )
        yield _Expected(place, folder / file, numbers, None if best is None else str(best))
    if not n:
        raise InputError(f"{where}: has no picture")


def _rows(text: str, where: str) -> Iterator[tuple[str, dict[str, Any]]]:
    if not text.lstrip().startswith("["):
        for line in read_csv(text, where, ("file",)):
            yield line.where, {key: value or None for key, value in line.values.items()}
        return
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: not JSON ({first_line(error)})") from error
    for number, row in enumerate(content):
        if not isinstance(row, dict):
            raise InputError(f"{where}: item {number} is no object of `file` and `top1` or `logits`")
        yield f"{where}: item {number}", row
