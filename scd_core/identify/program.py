"""Networks that came as a program of known operations, ONNX or `torch.export`: run as any other network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from scd_core.errors import InputError, first_line
from scd_core.identify.spec import PackageSpec, ProgramSpec

__all__ = [
    "EXACT",
    "LARGEST",
    "Batches",
    "Program",
    "ProgramNetwork",
    "find_embedding",
    "find_output",
    "is_probabilities",
    "made_pictures",
]

EXACT = 1e-4
"""Largest difference of logits with which two ways to run one network give the same."""
LARGEST = 2**31
"""Most numbers of a tensor in a program: of a few pictures, no network for pictures has as many."""
_WIDEST = 65536
"""Most numbers of an embedding."""
_SUM_SLACK = 1e-3
"""A row of probabilities sums to 1 within this, in half precision as well."""


@dataclass(frozen=True)
class Batches:
    """How many pictures a program takes at once, and as what."""

    least: int = 1
    most: int | None = None
    """None for any number."""
    dtype: torch.dtype = torch.float32


@dataclass(frozen=True)
class Program:
    """A program in use."""

    naming: nn.Module
    """Gives the logits of names."""
    model: nn.Module
    """Gives the same logits, with gradients where `no_masks` is None."""
    gives_gradient: bool
    """Whether gradients pass through `naming`."""
    head: str | None = None
    """The part of `naming` whose input is the embedding of a picture; None where it is not known."""
    no_masks: str | None = None
    """Why no gradients pass through `model`."""
    sigmoids: frozenset[int] = frozenset()
    """Outputs that end in a sigmoid."""


class ProgramNetwork(nn.Module):
    """Normalised pictures (B, 3, H, W) -> logits (B, K), through a program that may want another layout, type or batch.

    Args:
        program: a batch in its own layout -> a tensor, or several in lists, tuples or dictionaries.
        spec: layout, which output holds the names, and whether they are logits.
        batches: what the program takes at once; more are cut into parts, and a part that is too short is filled with its last
            picture.
    """

    def __init__(self, program: nn.Module, spec: ProgramSpec, batches: Batches) -> None:
        super().__init__()
        self.program, self.spec, self.batches = program, spec, batches
        self.embedding = nn.Identity()
        """Reads the embedding of each picture, where the program gives it."""

    def outputs(self, images: Tensor) -> list[Tensor]:
        """Everything that the program gives for at most one batch of it, as it gives it."""
        return list(self.named_outputs(images).values())

    def named_outputs(self, images: Tensor) -> dict[str, Tensor]:
        """The same by name: the name of the output, its key, or its number; in parts joined by dots where it lies deeper."""
        fed = images.to(self.batches.dtype)
        if self.spec.layout == "nhwc":
            fed = fed.permute(0, 2, 3, 1)
        fed = fed.contiguous()
        short = self.batches.least - len(fed)
        if short > 0:
            fed = torch.cat((fed, fed[-1:].expand(short, *fed.shape[1:])))
        return {name: one[: len(images)] if one.dim() else one for name, one in _flat(self.program(fed))}

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, K), or embeddings (B, D) where it gives them; float32."""
        parts = [self.outputs(part) for part in self.parts(images)]
        if self.spec.embedding is not None:
            self.embedding(torch.cat([part[self.spec.embedding].flatten(1) for part in parts]))
        logits = torch.cat([part[self.spec.output].flatten(1) for part in parts]).float()
        if self.spec.gives == "probabilities":
            return logits.clamp_min(torch.finfo(torch.float32).tiny).log()
        return logits

    def parts(self, images: Tensor) -> Sequence[Tensor]:
        """Pictures (B, 3, H, W) in parts that the program takes at once."""
        return images.split(self.batches.most) if self.batches.most else (images,)


def made_pictures(spec: PackageSpec, n: int = 4) -> Tensor:
    """(n, 3, H, W) normalised pictures of soft shapes and noise, always the same."""
    height, width = spec.input.size
    generator = torch.Generator().manual_seed(7)
    coarse = torch.rand(n, 3, 7, 7, generator=generator)
    smooth = nn.functional.interpolate(coarse, size=(height, width), mode="bilinear", align_corners=False)
    values = (0.8 * smooth + 0.2 * torch.rand(n, 3, height, width, generator=generator)).clamp(0, 1)
    mean, std = (torch.tensor(one).view(3, 1, 1) for one in (spec.input.mean, spec.input.std))
    return (values - mean) / std


@torch.inference_mode()
def find_output(program: Program, spec: PackageSpec, name: str) -> int:
    """Number of the output that holds one number for each label, and has numbers as stated: logits, or probabilities.

    Raises:
        InputError: the program cannot be run on the input's size, no output or several fit the labels, or it ends in a
            sigmoid, or holds probabilities where logits are stated, or the other way round.
    """
    pictures, n = made_pictures(spec), len(spec.labels)
    outputs = list(_run(program, spec, pictures, name).values())
    shapes = [tuple(one.shape) for one in outputs]
    fitting = [place for place, one in enumerate(outputs) if _is_of_pictures(one) and one.flatten(1).shape[1] == n]
    if not fitting:
        raise InputError(
            f"weights {name}: gives {_words(shapes)} for {len(pictures)} pictures, and there are {n} labels; the labels must "
            "be as many as its classes, in their order"
        )
    wanted = spec.program is not None and spec.program.gives == "probabilities"
    right = [place for place in fitting if is_probabilities(outputs[place].flatten(1)) == wanted]
    if len(right) > 1:
        raise InputError(f"weights {name}: has several outputs of {n} numbers ({_words(shapes)}); export it with one")
    if right and right[0] in program.sigmoids:
        raise InputError(
            f"weights {name}: ends in a sigmoid, a number in [0, 1] for each class alone; export it without its sigmoid"
        )
    if right:
        return right[0]
    if wanted:
        raise InputError(
            f"weights {name}: gives no probabilities (rows in [0, 1] that add up to 1); leave out --output"
        )
    raise InputError(
        f"weights {name}: gives probabilities (rows in [0, 1] that add up to 1), not logits; export it without its softmax, "
        "or state --output probabilities: then their logarithm is taken, which names and masks alike"
    )


@torch.inference_mode()
def find_embedding(
    program: Program, spec: PackageSpec, name: str, wanted: str | None = None, *, may_be_names: bool = False
) -> tuple[int, int]:
    """Number of the output that holds the embedding of a picture, and how many numbers that has.

    Args:
        program: the program.
        spec: with `program`.
        name: of the file, in messages.
        wanted: name, key or number of the output; None takes the only one.
        may_be_names: it may hold probabilities, since what the layer reads that gives them is taken.

    Raises:
        InputError: the program cannot be run on the input's size; there is no such output, or several and none is wanted; or it
            holds no embedding: probabilities, no numbers, or the same for all pictures.
    """
    pictures = made_pictures(spec)
    outputs = _run(program, spec, pictures, name)
    names = list(outputs)
    fitting = [one for one in names if _is_of_pictures(outputs[one]) and 2 <= outputs[one][0].numel() <= _WIDEST]
    if wanted is not None and wanted not in names:
        raise InputError(f"--embedding-output {wanted}: {name} has no such output; there is {', '.join(names[:8])}")
    if wanted is None and len(fitting) != 1:
        found = ", ".join(f"{one} {tuple(outputs[one].shape)}" for one in names[:8])
        raise InputError(
            f"weights {name}: has {len(fitting)} outputs that may be the embedding ({found}); state one by --embedding-output"
        )
    chosen = wanted if wanted is not None else fitting[0]
    values = outputs[chosen].flatten(1).float() if chosen in fitting else outputs[chosen].new_zeros(1, 1)
    if chosen not in fitting or not bool(values.isfinite().all()) or bool((values == values[:1]).all()):
        raise InputError(
            f"weights {name}: output {chosen} of {tuple(outputs[chosen].shape)} for {len(pictures)} pictures is no embedding: "
            f"expected 2 to {_WIDEST} finite numbers a picture, which differ between pictures"
        )
    if not may_be_names and is_probabilities(values):
        raise InputError(
            f"weights {name}: output {chosen} holds probabilities of names, which are no embedding; take what its last layer "
            "reads by --embedding features, or another output by --embedding-output"
        )
    return names.index(chosen), values.shape[1]


def _run(program: Program, spec: PackageSpec, pictures: Tensor, name: str) -> dict[str, Tensor]:
    """Outputs of a program for some pictures, by name; those that are one number are left as they are."""
    network: Any = program.naming
    height, width = spec.input.size
    try:
        parts = [network.named_outputs(part) for part in network.parts(pictures)]
    except InputError:
        raise
    except Exception as error:  # a program's operations raise anything, as do the libraries that run them
        raise InputError(
            f"weights {name}: cannot be run on {height}x{width} pixels ({first_line(error)}); check --size and --layout"
        ) from error
    return {key: torch.cat([part[key] for part in parts]) if one.dim() else one for key, one in parts[0].items()}


def _is_of_pictures(values: Tensor) -> bool:
    return values.is_floating_point() and values.dim() > 1


def is_probabilities(values: Tensor) -> bool:
    """Whether rows (B, K) are what a softmax gives: each in [0, 1], with the sum 1.

    >>> is_probabilities(torch.tensor([[0.5, 0.5]])), is_probabilities(torch.tensor([[0.5, -0.5]]))
    (True, False)
    """
    values = values.detach().float()
    in_range = bool(((values >= 0) & (values <= 1)).all())
    return in_range and len(values) > 0 and bool(((values.sum(1) - 1).abs() <= _SUM_SLACK).all())


def _flat(output: Any, name: str = "") -> Iterator[tuple[str, Tensor]]:
    if torch.is_tensor(output):
        yield name or "0", output
    elif isinstance(output, Mapping):
        for key, one in output.items():
            yield from _flat(one, f"{name}.{key}" if name else str(key))
    elif isinstance(output, Sequence) and not isinstance(output, str):
        for number, one in enumerate(output):
            yield from _flat(one, f"{name}.{number}" if name else str(number))


def _words(shapes: Sequence[tuple[int, ...]]) -> str:
    return " and ".join(str(shape) for shape in shapes[:4]) or "nothing"
