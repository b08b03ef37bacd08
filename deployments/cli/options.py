"""Options that several commands share, and their values read from text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from scd_core.errors import InputError, first_line
from scd_core.inputs.text import read_text

__all__ = [
    "AllPrefixes",
    "AllowNewNames",
    "Architecture",
    "ArchitectureArgs",
    "ByPerson",
    "Column",
    "Decode",
    "EmbeddingOutput",
    "Expected",
    "Folder",
    "FollowLinks",
    "Interpolation",
    "Layout",
    "Relations",
    "Resize",
    "ResizeSize",
    "Size",
    "Triple",
    "Weights",
    "arguments_of",
    "lines_of",
    "size_of",
    "triple_of",
]

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="folder to write the package to", show_default=False)]
Architecture = Annotated[
    str,
    typer.Option(
        help="torchvision/NAME, timm/NAME, open_clip/NAME; onnx, torch-export, torchscript", show_default=False
    ),
]
Weights = Annotated[
    Path, typer.Option(help="state dict, .pth or .safetensors; .onnx; .pt2; TorchScript's .pt", show_default=False)
]
Size = Annotated[str | None, typer.Option(help="input size in pixels: SIDE or HEIGHTxWIDTH")]
Resize = Annotated[Literal["stretch", "pad", "crop"] | None, typer.Option(help="how a picture becomes the input")]
Decode = Annotated[
    Literal["full", "reduced"], typer.Option(help="reduced: large JPEGs several times faster, and less exact")
]
Expected = Annotated[
    str | None,
    typer.Option("--expected", help="CSV of individuals expected there: individual_id, camera_id or site_id, from, to"),
]
FollowLinks = Annotated[bool, typer.Option("--follow-links", help="follow links on a disk that lead out of SOURCE")]
Layout = Annotated[
    Literal["nchw", "nhwc"] | None, typer.Option(help="of onnx, torch-export: channels first, or last as in Keras")
]
EmbeddingOutput = Annotated[
    str | None, typer.Option("--embedding-output", help="of onnx, torch-export: name of the output with the embedding")
]
Relations = Annotated[
    Path | None, typer.Option("--relations", help="file of what each name is: its species or group, or its ranks")
]
AllPrefixes = Annotated[
    bool, typer.Option("--all-prefixes", help="list closed folders too, as is done once a week (media.closed_after)")
]

ArchitectureArgs = Annotated[
    str | None, typer.Option("--architecture-args", help='arguments of the architecture, such as {"img_size": 182}')
]
Interpolation = Annotated[Literal["nearest", "bilinear", "bicubic"] | None, typer.Option(help="of the resize")]
ResizeSize = Annotated[
    int | None,
    typer.Option("--resize-size", min=1, help="shorter side before the centre crop of --resize crop (pixels)"),
]

Column = Annotated[
    str | None, typer.Option("--column", help="column that holds the names, of a table; control, of Label Studio")
]
ByPerson = Annotated[
    bool, typer.Option("--by-person", help="a person has checked every name of the labels, which a classifier wrote")
]
AllowNewNames = Annotated[
    bool, typer.Option("--allow-new-names", help="accept names that neither the model nor earlier labels know")
]

Triple = Annotated[str | None, typer.Option(help="three comma-separated numbers, of values in 0-1")]


def arguments_of(text: str | None) -> dict[str, Any] | None:
    """Arguments of an architecture from JSON.

    Raises:
        InputError: it is no JSON object.
    """
    if text is None:
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"--architecture-args {text[:60]}: no JSON ({first_line(error)})") from error
    if not isinstance(found, dict):
        raise InputError(f'--architecture-args {text[:60]}: expected an object such as {{"img_size": 182}}')
    return found


def lines_of(path: Path) -> list[str]:
    """Lines of a text file, one label each, in class order.

    Raises:
        InputError: it cannot be read, or a line in between is empty.
    """
    lines = read_text(str(path), "labels").splitlines()
    while lines and not lines[-1].strip():
        lines.pop()
    if blank := [number for number, line in enumerate(lines, 1) if not line.strip()]:
        raise InputError(f"labels {path}: line {blank[0]} is empty; one label a line, in class order")
    return [line.strip() for line in lines]


def size_of(text: str | None) -> tuple[int, int] | None:
    """Height and width (pixels) from SIDE or HEIGHTxWIDTH.

    Raises:
        InputError: it is neither.
    """
    if text is None:
        return None
    parts = text.lower().split("x")
    if len(parts) > 2 or not all(part.isdigit() for part in parts):
        raise InputError(f"--size {text}: expected SIDE or HEIGHTxWIDTH in pixels")
    return int(parts[0]), int(parts[-1])


def triple_of(text: str | None, option: str) -> tuple[float, float, float] | None:
    """Three numbers, comma-separated.

    Raises:
        InputError: they are not.
    """
    if text is None:
        return None
    try:
        first, second, third = (float(part) for part in text.split(","))
    except ValueError as error:
        raise InputError(f"{option} {text}: expected three comma-separated numbers") from error
    return first, second, third
