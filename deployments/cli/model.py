"""`trapaudit model ...`: packages of a network, its labels and its preprocessing.

What needs torch is imported inside the commands, so that help appears at once.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.table import Table

from deployments.cli import options
from deployments.cli.gallery import add_individual, pack_gallery
from deployments.cli.printable import say
from scd_core.errors import InputError

__all__ = ["model_app"]

model_app = typer.Typer(help="Model packages.", no_args_is_help=True)
console = Console()
model_app.command("pack-gallery")(pack_gallery)
model_app.command("add-individual")(add_individual)


@model_app.command()
def pack(
    folder: options.Folder,
    architecture: options.Architecture,
    weights: options.Weights,
    labels: Annotated[Path, typer.Option(help="text file: one label a line, in class order", show_default=False)],
    size: options.Size = None,
    mean: options.Triple = None,
    std: options.Triple = None,
    resize: options.Resize = None,
    resize_size: options.ResizeSize = None,
    interpolation: options.Interpolation = None,
    decode: options.Decode = "full",
    architecture_args: options.ArchitectureArgs = None,
    key: Annotated[
        str | None, typer.Option(help="path of the state dict in the file; found where one can be meant")
    ] = None,
    prefix: Annotated[str | None, typer.Option(help="of the weights' names; found where the rest fits")] = None,
    head: Annotated[
        Literal["relu", "gelu", "silu", "tanh", "gem-bn-arcface"] | None,
        typer.Option(help="activation in a head of two linear layers; or GeM pooling, a neck and ArcFace"),
    ] = None,
    allow: Annotated[
        str | None, typer.Option(help="weights that may be left out, by commas; one that ends in a dot is a beginning")
    ] = None,
    expect: Annotated[
        Path | None, typer.Option(help="CSV or JSON of pictures with `top1` or `logits` of the model's own code")
    ] = None,
    layout: options.Layout = None,
    output: Annotated[
        Literal["logits", "probabilities"] | None, typer.Option(help="of onnx, torch-export: what it gives")
    ] = None,
    prompt: Annotated[
        str | None, typer.Option(help="of open_clip: text of a label, such as 'a photo of {}' (the default)")
    ] = None,
    embedding_output: options.EmbeddingOutput = None,
    relations: options.Relations = None,
) -> None:
    """Make a model package; size, mean and std default to the architecture's own transforms, resize to stretch."""
    from scd_core.identify import pack_model

    steps: list[str] = []
    package = pack_model(
        folder,
        architecture=architecture,
        weights=weights,
        labels=options.lines_of(labels),
        size=options.size_of(size),
        mean=options.triple_of(mean, "--mean"),
        std=options.triple_of(std, "--std"),
        resize=resize,
        decode=decode,
        architecture_args=options.arguments_of(architecture_args),
        interpolation=interpolation,
        resize_size=resize_size,
        key=key,
        prefix=prefix,
        head=head,
        allow=[name.strip() for name in (allow or "").split(",") if name.strip()],
        expect=expect,
        steps=steps,
        layout=layout,
        output=output,
        prompt=prompt,
        embedding_output=embedding_output,
        relations=relations,
    )
    for step in steps:
        say(console, step)
    console.print(f"{folder}: {len(package.spec.labels)} classes, model_digest {package.digest[:16]}")


@model_app.command()
def check(
    model: Annotated[str, typer.Argument(help="URL or path of a package", show_default=False)],
    pictures: Annotated[
        str | None, typer.Option(help="URL or path of labelled pictures: also try other preprocessing on them")
    ] = None,
    labels: Annotated[
        str | None, typer.Option(help="names of these pictures by people, in any format of `labels import`")
    ] = None,
    column: options.Column = None,
    by_person: options.ByPerson = False,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N")] = "auto",
) -> None:
    """Load a package whole and run it once; with pictures, see if another preprocessing names them clearly better."""
    from scd_core.identify import check_package

    if (pictures is None) != (labels is None):
        raise InputError("model check: --pictures and --labels belong together")
    table = Table(show_header=False, box=None)
    table.add_column()
    table.add_column(overflow="fold")
    for name, value in check_package(model).items():
        table.add_row(name, str(value))
    console.print(table)
    if pictures is not None and labels is not None:
        _check_preprocessing(model, pictures, labels, column, by_person, device)


def _check_preprocessing(
    model: str, pictures: str, labels: str, column: str | None, by_person: bool, device: str
) -> None:
    from scd_core.audit.compare.preprocessing import check_preprocessing
    from scd_core.inputs.labels import read_labels

    found = read_labels(labels, column=column, by_person=by_person).labels
    names = {label.file: name for label in found if (name := label.individual_id) is not None}
    done = check_preprocessing(model, pictures, names, device=device)
    table = Table("preprocessing", "right", "mended", "spoilt", "p", box=None)
    for one in done.variants:
        p = "" if one.is_own else f"{one.p_value:.2g}"
        table.add_row(
            "the package's own" if one.is_own else one.name, str(one.n_right), str(one.mended), str(one.spoilt), p
        )
    console.print(table)
    left_out = f"; {done.n_left_out} labels left out" if done.n_left_out else ""
    console.print(f"{done.words}{left_out}", markup=False, highlight=False, soft_wrap=True)


@model_app.command()
def calibrate(
    model: Annotated[str, typer.Argument(help="package on a local disk; it is changed", show_default=False)],
    source: Annotated[str, typer.Argument(help="URL or path of labelled images", show_default=False)],
    labels: Annotated[str, typer.Option(help="human names, in any format of `labels import`", show_default=False)],
    column: options.Column = None,
    by_person: options.ByPerson = False,
    unknown_rate: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="also fit unknown_threshold: share of unknowns that may be called known"),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N")] = "auto",
) -> None:
    """Fit the temperature, and the threshold of `unknown`, to labelled whole frames, and store them in the package."""
    from scd_core.identify.calibrate import calibrate_package
    from scd_core.inputs.labels import read_labels

    found = read_labels(labels, column=column, by_person=by_person).labels
    names = {label.file: name for label in found if (name := label.individual_id) is not None}
    done = calibrate_package(model, source, names, unknown_rate=unknown_rate, device=device)
    if done.is_of_boxes:
        console.print("MODEL names the boxes of animals: each picture was shown to it whole, so SOURCE must hold crops")
    table = Table("on labelled pictures", "before", "after", box=None)
    for name in ("accuracy", "log_loss", "ece"):
        table.add_row(name, f"{getattr(done.before, name):.4f}", f"{getattr(done.after, name):.4f}")
    table.add_row("temperature", f"{done.temperature_before:.4f}", f"{done.temperature:.4f}")
    if unknown_rate is not None:
        table.add_row("unknown_threshold", str(done.threshold_before), f"{done.unknown_threshold:.4f}")
    console.print(table)
    if done.is_refused:
        console.print(
            f"the temperature stays at {done.temperature:.4f}: on pictures held out a fitted one makes log-loss "
            f"{done.held_out:.4f}, the present one {done.held_out_before:.4f}; more labelled pictures may help"
        )
    left_out = f", {done.n_left_out} left out (unknown, or not readable)" if done.n_left_out else ""
    console.print(f"{done.before.n} pictures{left_out}; model_digest {done.digest[:16]}")
