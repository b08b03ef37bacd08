"""Commands on the tables: what goes into them by hand, and what comes out."""

from __future__ import annotations

from typing import Annotated, Literal

import typer
from rich.console import Console

from deployments.cli.compare import compare
from deployments.cli.improve import improve
from deployments.cli.individuals import individuals_app
from deployments.cli.labels import labels_app
from deployments.cli.printable import say
from deployments.cli.review import review
from deployments.cli.show import show
from scd_core.errors import InputError

__all__ = ["Audit", "register_tables"]

console = Console(stderr=True)

Audit = Annotated[str, typer.Argument(metavar="OUT", help="URL or path of the audit tables", show_default=False)]


def register_tables(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    app.add_typer(labels_app, name="labels")
    app.add_typer(individuals_app, name="individuals")
    for command in (sql, show, compare, review, improve, export, scenes):
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
        Literal["camtrap-dp", "megadetector", "label-studio", "timelapse", "training-set", "capture-history"],
        typer.Option("--format", help="what to write"),
    ] = "camtrap-dp",
    limit: Annotated[
        int | None,
        typer.Option("--limit", min=1, help="most pictures of label-studio or timelapse: first those to label next"),
    ] = None,
    occasion_hours: Annotated[
        float | None,
        typer.Option("--occasion-hours", min=0.1, help="length of an occasion of capture-history (24 hours)"),
    ] = None,
    first_hour: Annotated[
        int | None,
        typer.Option("--first-hour", min=0, max=23, help="hour at which occasions of capture-history begin (0)"),
    ] = None,
) -> None:
    """Hand the audit to other software."""
    from scd_core.audit.export import export_audit
    from scd_core.tables.store import AuditStore, read_steadily

    if form == "capture-history":
        if limit is not None:
            raise InputError(
                "export format capture-history: holds all captures; --limit is for label-studio, timelapse"
            )
        _export_captures(out, directory, occasion_hours, first_hour)
        return
    if occasion_hours is not None or first_hour is not None:
        raise InputError(f"export format {form}: --occasion-hours and --first-hour are for capture-history")
    if form == "training-set":
        from scd_core.improve.training_set import write_training_set

        if limit is not None:
            raise InputError(
                "export format training-set: holds all labelled pictures; --limit is for label-studio, timelapse"
            )
        console.print(f"written: {write_training_set(out, directory)}")
        return
    address = read_steadily(AuditStore(out), lambda: export_audit(out, directory, form, limit=limit))
    console.print(f"written: {address}")


def _export_captures(out: str, directory: str, occasion_hours: float | None, first_hour: int | None) -> None:
    from scd_core.audit.individuals.capture_history import write_capture_history

    hours, first = 24.0 if occasion_hours is None else occasion_hours, first_hour or 0
    found = write_capture_history(out, directory, occasion_hours=hours, first_hour=first)
    console.print(
        f"written: {found.address}; {found.n_individuals} individuals, {found.n_occasions} occasions, "
        f"{found.n_detectors} detectors"
    )
    for note in found.notes:
        say(console, note)
