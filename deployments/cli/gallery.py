"""`trapaudit model pack-gallery` and `add-individual`: individuals known by pictures rather than by training.

What needs torch is imported inside the commands, so that help appears at once.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

from deployments.cli import options
from scd_core.errors import InputError

__all__ = ["add_individual", "pack_gallery"]

console = Console()


def pack_gallery(
    folder: options.Folder,
    architecture: options.Architecture,
    weights: options.Weights,
    gallery: Annotated[
        Path, typer.Option(help="folder with one folder of pictures per individual", show_default=False)
    ],
    embedding: Annotated[
        Literal["features", "head"], typer.Option(help="what the last layer reads, or what it gives")
    ] = "features",
    embedding_size: Annotated[int, typer.Option(min=2, help="outputs of the network, with --embedding head")] = 128,
    size: options.Size = None,
    mean: options.Triple = None,
    std: options.Triple = None,
    resize: options.Resize = None,
    decode: options.Decode = "full",
    unknown_rate: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="share of strangers' pictures that may get a name; fits the limit of a name"),
    ] = None,
) -> None:
    """Make a package of an embedding network and pictures of known individuals."""
    from scd_core.identify.packing import pack_gallery as make

    package, limit = make(
        folder,
        architecture=architecture,
        weights=weights,
        pictures=_pictures(gallery),
        embedding=embedding,
        embedding_size=embedding_size,
        size=options.size_of(size),
        mean=options.triple_of(mean, "--mean"),
        std=options.triple_of(std, "--std"),
        resize=resize,
        decode=decode,
        unknown_rate=unknown_rate,
    )
    console.print(f"{folder}: {len(package.spec.labels)} individuals, model_digest {package.digest[:16]}")
    compared = "whitened" if package.spec.whitening else "as they are"
    console.print(f"embeddings are compared {compared}; temperature {package.spec.temperature:.3f}")
    if limit is None:
        console.print(package.spec.strangers_warning)
        return
    console.print(
        f"a name needs a similarity of {limit.similarity:.3f}: {limit.false_known_rate:.1%} of {limit.n_strangers} pictures of "
        f"individuals left out of the gallery still get one, and {limit.reach:.1%} of {limit.n_known} known ones keep theirs"
    )


def add_individual(
    model: Annotated[
        str, typer.Argument(help="package with a gallery on a local disk; it is changed", show_default=False)
    ],
    name: Annotated[str, typer.Argument(help="individual, new or known", show_default=False)],
    files: Annotated[list[Path], typer.Argument(help="pictures of it", show_default=False)],
) -> None:
    """Add pictures of an individual to a gallery, without retraining."""
    from scd_core.identify.packing import add_individual as add

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
