"""`trapaudit deploy`, `doctor`, `forget`, `prune` and `repair`: the commands of whoever keeps it running."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

from deployments.cli.forget import forget
from deployments.cli.keep import prune, repair
from scd_core.errors import InputError

__all__ = ["register_commands"]

console = Console(stderr=True)

Source = typer.Option("--source", envvar="TRAPAUDIT_SOURCE", help="URL of the images", show_default=False)
Package = typer.Option("--model", envvar="TRAPAUDIT_MODEL", help="URL of a model package", show_default=False)
Out = typer.Option("--out", envvar="TRAPAUDIT_OUT", help="URL of the audit tables", show_default=False)
Predictions = typer.Option(
    "--predictions", envvar="TRAPAUDIT_PREDICTIONS", help="URL of names that another tool gives; read anew by each run"
)
Column = typer.Option("--predictions-column", help="column that holds the names, of a table of predictions")
Shadow = typer.Option(
    "--shadow", envvar="TRAPAUDIT_SHADOW", help="URL of a second model, which names beside the first for `compare`"
)
Expected = typer.Option(
    "--expected", envvar="TRAPAUDIT_EXPECTED", help="URL of a CSV of individuals expected at cameras or sites"
)
Pool = typer.Option("--pool", envvar="TRAPAUDIT_POOL", help="kind of work pool")
Image = typer.Option("--image", envvar="TRAPAUDIT_IMAGE", help="image of the docker and kubernetes pools")
Name = typer.Option("--name", help="suffix of all names, for another source on the same server")
Cron = typer.Option("--cron", envvar="TRAPAUDIT_CRON", help="when the nightly audit runs")
Zone = typer.Option("--timezone", envvar="TRAPAUDIT_TIMEZONE", help="zone that --cron is in, such as Europe/Berlin")
Poll = typer.Option("--poll-minutes", envvar="TRAPAUDIT_POLL_MINUTES", min=1, help="look for uploads so often")
Runner = typer.Option("--runner", envvar="TRAPAUDIT_RUNNER", help="where shards are worked on")
RayAddress = typer.Option("--ray-address", help="cluster of --runner ray; none: RAY_ADDRESS of the worker")
GpuLimit = typer.Option("--gpu-limit", help="NAME=SLOTS: make the limit that a worker's GPU is named by")
LostAfter = typer.Option(
    "--lost-after", envvar="TRAPAUDIT_LOST_AFTER", min=0, help="silence of a run that means its worker died (s)"
)
StuckAfter = typer.Option(
    "--stuck-after", envvar="TRAPAUDIT_STUCK_AFTER", min=0,
    help="time from taking a run to beginning it that means its worker died (s); pulling an image is part of it",
)  # fmt: skip
PrefectFile = typer.Option("--prefect-file", exists=True, dir_okay=False, help="another prefect.yaml")


def register_commands(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    for command in (deploy, doctor, forget, prune, repair):
        app.command()(command)


def deploy(
    source: Annotated[str, Source],
    out: Annotated[str, Out],
    model: Annotated[str | None, Package] = None,
    predictions: Annotated[str | None, Predictions] = None,
    predictions_column: Annotated[str | None, Column] = None,
    shadow: Annotated[str | None, Shadow] = None,
    config: Annotated[
        str | None, typer.Option("--config", envvar="TRAPAUDIT_CONFIG", help="URL of the settings")
    ] = None,
    detections: Annotated[
        str | None, typer.Option("--detections", envvar="TRAPAUDIT_DETECTIONS", help="URL of boxes")
    ] = None,
    expected: Annotated[str | None, Expected] = None,
    pool: Annotated[Literal["process", "docker", "kubernetes"], Pool] = "process",
    image: Annotated[str | None, Image] = None,
    name: Annotated[str | None, Name] = None,
    cron: Annotated[str, Cron] = "30 2 * * *",
    timezone: Annotated[str, Zone] = "UTC",
    poll_minutes: Annotated[int | None, Poll] = None,
    runner: Annotated[Literal["threads", "prefect", "ray"], Runner] = "prefect",
    ray_address: Annotated[str | None, RayAddress] = None,
    gpu_limit: Annotated[list[str] | None, GpuLimit] = None,
    lost_after: Annotated[int, LostAfter] = 600,
    stuck_after: Annotated[int, StuckAfter] = 1800,
    prefect_file: Annotated[Path | None, PrefectFile] = None,
) -> None:
    """Register nightly-audit, audit-uploads and refresh-error-report with a Prefect server."""
    from deployments.deploy import register
    from deployments.deploy_file import Deployment

    if ray_address and runner != "ray":
        raise InputError(f"--ray-address {ray_address}: is for --runner ray")
    wanted = Deployment(
        source=source, model=model or None, out=out, config=config, detections=detections, predictions=predictions or None,
        predictions_column=predictions_column, shadow=shadow or None, expected=expected or None,
        pool=pool, name=name, image=image,
        cron=cron, timezone=timezone, poll_minutes=poll_minutes, runner=runner, ray_address=ray_address,
        gpu_limits=_limits(gpu_limit or []),
        lost_after_seconds=lost_after, stuck_after_seconds=stuck_after,
    )  # fmt: skip
    for deployed in register(wanted, prefect_file):
        console.print(f"deployed: {deployed}", highlight=False)


def doctor(
    source: Annotated[str | None, Source] = None,
    model: Annotated[str | None, Package] = None,
    out: Annotated[str | None, Out] = None,
    config: Annotated[str | None, typer.Option("--config", help="URL of the settings")] = None,
) -> None:
    """Check storage rights, model, device, server and disk, and say what to mend."""
    from deployments.doctor import diagnose

    is_well = True
    for check in diagnose(source, model, out, config):
        is_well &= check.ok
        console.print(
            f"{'ok   ' if check.ok else 'WRONG'} {check.name}: {check.found}",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )
        if not check.ok and check.mend:
            console.print(f"      mend: {check.mend}", markup=False, highlight=False, soft_wrap=True)
    if not is_well:
        raise typer.Exit(1)


def _limits(texts: list[str]) -> dict[str, int]:
    limits = {}
    for text in texts:
        name, _, slots = text.partition("=")
        if not name or not slots.isdigit() or int(slots) < 1:
            raise InputError(f"--gpu-limit {text}: expected NAME=SLOTS, such as gpu-host1=1")
        limits[name] = int(slots)
    return limits
