"""`trapaudit sql`, `show`, `export`, `labels import` and `scenes`: what goes into the tables by hand, and what comes out."""

from __future__ import annotations

from typing import Annotated, Literal

import typer
from rich.console import Console

from deployments.cli.show import show

__all__ = ["Audit", "register_tables"]

console = Console(stderr=True)

Audit = Annotated[str, typer.Argument(metavar="OUT", help="URL or path of the audit tables", show_default=False)]


def register_tables(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    labels_app = typer.Typer(help="Human truth.", no_args_is_help=True)
    labels_app.command("import")(import_labels)
    app.add_typer(labels_app, name="labels")
    for command in (sql, show, export, scenes):
        app.command()(command)


def scenes(
    out: Annotated[str, typer.Argument(metavar="OUT", help="URL or path for the scenes", show_default=False)],
    preset: Annotated[
        Literal["demo", "clean"], typer.Option("--preset", help="with planted errors, or without")
    ] = "demo",
    events: Annotated[int, typer.Option("--events", min=1, help="bursts to render")] = 100,
    seed: Annotated[int, typer.Option("--seed", min=0, help="seed of the scenes")] = 0,
    split: Annotated[
        Literal["train", "audit"], typer.Option("--split", help="the world as trained on, or as audited")
    ] = "audit",
) -> None:
    """Write synthetic camera-trap scenes and their truth."""
    from scd_core.scenes import write_scenes

    summary = write_scenes(out, world=preset, n_events=events, seed=seed, split=split)
    console.print(f"{summary.n_images} images in {summary.n_events} events: {summary.source}")


def sql(
    out: Audit,
    query: Annotated[str, typer.Argument(help="DuckDB SQL; every audit table is a view", show_default=False)],
    output: Annotated[Literal["table", "csv", "json"], typer.Option("--format", help="how rows are printed")] = "table",
) -> None:
    """Ask the audit tables a question."""
    from deployments.cli.answers import print_rows
    from scd_core.audit.query.connection import run_sql

    print_rows(run_sql(out, query).to_arrow_table(), output)


def export(
    out: Audit,
    directory: Annotated[str, typer.Argument(metavar="DIR", help="URL or path for the package", show_default=False)],
    form: Annotated[
        Literal["camtrap-dp", "megadetector"], typer.Option("--format", help="what to write")
    ] = "camtrap-dp",
) -> None:
    """Hand the audit to other software."""
    from scd_core.audit.export import export_audit

    console.print(f"written: {export_audit(out, directory, form)}")


def import_labels(
    out: Audit,
    file: Annotated[
        str,
        typer.Argument(
            help="CSV, Timelapse CSV, Camtrap DP, or JSON that a person wrote or checked", show_default=False
        ),
    ],
    column: Annotated[
        str | None, typer.Option("--column", help="column that holds the names, of a Timelapse or other CSV")
    ] = None,
    by_person: Annotated[
        bool, typer.Option("--by-person", help="a person has checked every name of this JSON file")
    ] = False,
) -> None:
    """Add human labels; the next report uses them."""
    from scd_core.audit.labels.importing import import_labels as do_import
    from scd_core.inputs.labels import read_labels
    from scd_core.tables.store import AuditStore

    source = read_labels(file, column=column, by_person=by_person)
    for reason, (n, shown) in source.left_out.items():
        console.print(f"  {n} {reason}: {', '.join(shown)}", markup=False, soft_wrap=True)
    result = do_import(out, source)
    console.print(
        f"{result.n_rows} labels written ({result.n_known_media} of media seen, {result.n_waiting} waiting for theirs), "
        f"{result.n_repeated} held already"
    )
    for line in (*result.conflicts, *result.ambiguous):
        console.print(f"  {line}", markup=False)
    if result.n_known_media or AuditStore(out).committed_keys():
        console.print(f"next: trapaudit report {out}", markup=False, soft_wrap=True)
    else:
        console.print(f"OUT {out} holds no audit yet: is it the right place?", markup=False, soft_wrap=True)
        console.print("The labels wait there for one")
