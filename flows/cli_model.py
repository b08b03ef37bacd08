"""`trapaudit model ...`: packages of a network, its labels and its preprocessing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.table import Table

from scd_core.errors import InputError

__all__ = ["model_app"]

model_app = typer.Typer(help="Model packages.", no_args_is_help=True)
console = Console()

Triple = Annotated[str | None, typer.Option(help="three comma-separated numbers, of values in 0-1")]


@model_app.command()
def pack(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="folder to write the package to", show_default=False)],
    architecture: Annotated[
        str, typer.Option(help="torchvision/NAME, timm/NAME or scd_core/small_cnn", show_default=False)
    ],
    weights: Annotated[Path, typer.Option(help="state dict, .pth or .safetensors", show_default=False)],
    labels: Annotated[Path, typer.Option(help="text file: one label a line, in class order", show_default=False)],
    size: Annotated[str | None, typer.Option(help="input size in pixels: SIDE or HEIGHTxWIDTH")] = None,
    mean: Triple = None,
    std: Triple = None,
    resize: Annotated[
        Literal["stretch", "pad", "crop"] | None, typer.Option(help="how a frame becomes the input")
    ] = None,
) -> None:
    """Make a model package; size, mean and std default to the architecture's own transforms, resize to stretch."""
    from scd_core.identify import pack_model

    package = pack_model(
        folder,
        architecture=architecture,
        weights=weights,
        labels=_lines(labels),
        size=_size(size),
        mean=_triple(mean, "--mean"),
        std=_triple(std, "--std"),
        resize=resize,
    )
    console.print(f"{folder}: {len(package.spec.labels)} classes, model_digest {package.digest[:16]}")


@model_app.command()
def check(model: Annotated[str, typer.Argument(help="URL or path of a package", show_default=False)]) -> None:
    """Load a package whole and run it once."""
    from scd_core.identify import check_package

    table = Table(show_header=False, box=None)
    for name, value in check_package(model).items():
        table.add_row(name, str(value))
    console.print(table)


@model_app.command()
def calibrate(
    model: Annotated[str, typer.Argument(help="package on a local disk; it is changed", show_default=False)],
    source: Annotated[str, typer.Argument(help="URL or path of labelled images", show_default=False)],
    labels: Annotated[str, typer.Option(help="human names, in any format of `labels import`", show_default=False)],
    unknown_rate: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="also fit unknown_threshold: share of unknowns that may be called known"),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N")] = "auto",
) -> None:
    """Fit the temperature, and the threshold of `unknown`, to labelled whole frames, and store them in the package."""
    from scd_core.audit.labels import read_labels
    from scd_core.identify.calibrate import calibrate_package

    rows = read_labels(labels).to_pylist()
    done = calibrate_package(
        model, source, {row["file"]: row["individual_id"] for row in rows}, unknown_rate=unknown_rate, device=device
    )
    table = Table("on labelled pictures", "before", "after", box=None)
    for name in ("accuracy", "log_loss", "ece"):
        table.add_row(name, f"{getattr(done.before, name):.4f}", f"{getattr(done.after, name):.4f}")
    table.add_row("temperature", f"{done.temperature_before:.4f}", f"{done.temperature:.4f}")
    if unknown_rate is not None:
        table.add_row("unknown_threshold", str(done.threshold_before), f"{done.unknown_threshold:.4f}")
    console.print(table)
    left_out = f", {done.n_left_out} left out (unknown, or not readable)" if done.n_left_out else ""
    console.print(f"{done.before.n} pictures{left_out}; model_digest {done.digest[:16]}")


@model_app.command("pack-gallery")
def pack_gallery(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="folder to write the package to", show_default=False)],
    architecture: Annotated[
        str, typer.Option(help="torchvision/NAME, timm/NAME or scd_core/small_cnn", show_default=False)
    ],
    weights: Annotated[Path, typer.Option(help="state dict, .pth or .safetensors", show_default=False)],
    gallery: Annotated[
        Path, typer.Option(help="folder with one folder of pictures per individual", show_default=False)
    ],
    embedding: Annotated[
        Literal["features", "head"], typer.Option(help="what the last layer reads, or what it gives")
    ] = "features",
    embedding_size: Annotated[int, typer.Option(min=2, help="outputs of the network, with --embedding head")] = 128,
    size: Annotated[str | None, typer.Option(help="input size in pixels: SIDE or HEIGHTxWIDTH")] = None,
    mean: Triple = None,
    std: Triple = None,
    resize: Annotated[
        Literal["stretch", "pad", "crop"] | None, typer.Option(help="how a picture becomes the input")
    ] = None,
) -> None:
    """Make a package of an embedding network and pictures of known individuals."""
    from scd_core.identify.gallery import pack_gallery as make

    package = make(
        folder,
        architecture=architecture,
        weights=weights,
        pictures=_pictures(gallery),
        embedding=embedding,
        embedding_size=embedding_size,
        size=_size(size),
        mean=_triple(mean, "--mean"),
        std=_triple(std, "--std"),
        resize=resize,
    )
    console.print(f"{folder}: {len(package.spec.labels)} individuals, model_digest {package.digest[:16]}")


@model_app.command("add-individual")
def add_individual(
    model: Annotated[
        str, typer.Argument(help="package with a gallery on a local disk; it is changed", show_default=False)
    ],
    name: Annotated[str, typer.Argument(help="individual, new or known", show_default=False)],
    files: Annotated[list[Path], typer.Argument(help="pictures of it", show_default=False)],
) -> None:
    """Add pictures of an individual to a gallery, without retraining."""
    from scd_core.identify.gallery import add_individual as add

    package = add(model, name, files)
    console.print(f"{model}: {len(package.spec.labels)} individuals, model_digest {package.digest[:16]}")


def _pictures(gallery: Path) -> dict[str, list[Path]]:
    if not gallery.is_dir():
        raise InputError(f"--gallery {gallery}: no such folder; it needs one folder of pictures per individual")
    folders = sorted(path for path in gallery.iterdir() if path.is_dir() and not path.name.startswith("."))
    return {
        folder.name: sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
        for folder in folders
    }


def _lines(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"labels {path}: cannot be read ({error})") from error
    while lines and not lines[-1].strip():
        lines.pop()
    if blank := [number for number, line in enumerate(lines, 1) if not line.strip()]:
        raise InputError(f"labels {path}: line {blank[0]} is empty; one label a line, in class order")
    return [line.strip() for line in lines]


def _size(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    parts = text.lower().split("x")
    if len(parts) > 2 or not all(part.isdigit() for part in parts):
        raise InputError(f"--size {text}: expected SIDE or HEIGHTxWIDTH in pixels")
    return int(parts[0]), int(parts[-1])


def _triple(text: str | None, option: str) -> tuple[float, float, float] | None:
    if text is None:
        return None
    try:
        first, second, third = (float(part) for part in text.split(","))
    except ValueError as error:
        raise InputError(f"{option} {text}: expected three comma-separated numbers") from error
    return first, second, third
