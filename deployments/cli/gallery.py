"""`trapaudit model pack-gallery` and `add-individual`: individuals known by pictures rather than by training.

What needs torch is imported inside the commands, so that help appears at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console

from deployments.cli import options
from deployments.cli.printable import say
from scd_core.errors import InputError
from scd_core.media.left_out import left_out_kind
from scd_core.names import LeftOutKind

if TYPE_CHECKING:
    from scd_core.identify.learning import Learnt

__all__ = ["add_individual", "learnt_lines", "new_package", "pack_gallery"]

console = Console()


def pack_gallery(
    folder: options.Folder,
    architecture: options.Architecture,
    weights: options.Weights,
    gallery: Annotated[
        Path, typer.Option(help="folder with one folder of pictures per individual", show_default=False)
    ],
    embedding: Annotated[
        Literal["features", "head"] | None,
        typer.Option(help="what the last layer reads (default), or what it gives (default of onnx, torch-export)"),
    ] = None,
    embedding_size: Annotated[int, typer.Option(min=2, help="outputs of the network, with --embedding head")] = 128,
    head: Annotated[
        Literal["gem-bn-arcface"] | None,
        typer.Option(help="where GeM pooling and a neck give the embedding, as in MiewID"),
    ] = None,
    size: options.Size = None,
    mean: options.Triple = None,
    std: options.Triple = None,
    resize: options.Resize = None,
    resize_size: options.ResizeSize = None,
    interpolation: options.Interpolation = None,
    decode: options.Decode = "full",
    unknown_rate: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="share of strangers' pictures that may get a name; fits the limit of a name"),
    ] = None,
    layout: options.Layout = None,
    embedding_output: options.EmbeddingOutput = None,
    relations: options.Relations = None,
) -> None:
    """Make a package of an embedding network and pictures of known individuals."""
    from scd_core.identify.packing import pack_gallery as make

    steps: list[str] = []
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
        head=head,
        layout=layout,
        embedding_output=embedding_output,
        steps=steps,
        relations=relations,
        interpolation=interpolation,
        resize_size=resize_size,
    )
    for step in steps:
        say(console, step)
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
        str, typer.Argument(help="package; one with a gallery is changed, on a local disk", show_default=False)
    ],
    name: Annotated[str, typer.Argument(help="individual, new or known", show_default=False)],
    files: Annotated[list[Path], typer.Argument(help="pictures of it", show_default=False)],
    write: Annotated[
        str | None, typer.Option("--write", metavar="NEW", help="folder of the new package; a classifier needs it")
    ] = None,
    known: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="for a classifier, the first time: one folder of pictures per individual that it knows",
        ),
    ] = None,
) -> None:
    """Add an individual by its pictures, without training: to a gallery, or to a classifier."""
    from scd_core.identify.package import read_package

    if read_package(model).gallery is not None:
        from scd_core.identify.packing import add_individual as add

        if known is not None:
            raise InputError(f"--known {known}: {model} has a gallery, which needs no other pictures")
        package = add(model, name, files, write)
        console.print(
            f"{write or model}: {len(package.spec.labels)} individuals, model_digest {package.digest[:16]}",
            soft_wrap=True,
        )
        return
    from scd_core.identify.learning import learn_individual

    done = learn_individual(
        model, name, files, new_package(write, model), None if known is None else _pictures(known, "--known")
    )
    for line in learnt_lines(done, name):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def new_package(write: str | None, model: str) -> str:
    """The folder that a classifier with a further name is written to.

    Raises:
        InputError: none is given.
    """
    if write is None:
        raise InputError(
            f"model {model}: is a classifier, which stays as it is; give --write NEW, a folder for the new one"
        )
    return write


def learnt_lines(done: Learnt, name: str) -> Iterator[str]:
    """What is to be known of a classifier that has learnt a name, a line each."""
    spec = done.package.spec
    yield (
        f"{done.package.url}: {len(set(spec.labels))} individuals, {name} from {done.n_pictures} pictures; model_digest "
        f"{done.package.digest[:16]}"
    )
    if done.is_aligned:
        yield "all rows of the head are made of class means: on known pictures held out they name no fewer right"
    else:
        yield "the trained rows of the head stay, the name has a row beside them"
    if done.without_pictures:
        shown = ", ".join(done.without_pictures[:3]) + (" ..." if len(done.without_pictures) > 3 else "")
        yield f"of {len(done.without_pictures)} names no picture is known, and theirs may now be called {name}: {shown}"
    if done.n_named < done.n_pictures:
        yield f"only {done.n_named} of these {done.n_pictures} pictures get the name: others are like it, or not all are of it"
    if spec.unknown_threshold is not None:
        yield "the threshold of `unknown` is kept; fit it again: trapaudit model calibrate (docs/models.md)"


def _pictures(gallery: Path, option: str = "--gallery") -> dict[str, list[Path]]:
    if not gallery.is_dir():
        raise InputError(f"{option} {gallery}: no such folder; it needs one folder of pictures per individual")
    folders = sorted(path for path in gallery.iterdir() if path.is_dir() and not _is_beside(f"{path.name}/1.jpg"))
    return {
        folder.name: sorted(path for path in folder.iterdir() if path.is_file() and not _is_beside(path.name))
        for folder in folders
    }


def _is_beside(name: str) -> bool:
    """Whether programs put a file among pictures, as ``Thumbs.db`` or a sidecar; a copy of a picture is a picture."""
    return left_out_kind(name) in (LeftOutKind.SYSTEM, LeftOutKind.SIDECAR, LeftOutKind.HIDDEN, LeftOutKind.THUMBNAIL)
