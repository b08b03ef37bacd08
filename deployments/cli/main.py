"""The command `trapaudit`; nothing heavy is imported before a command needs it."""

from __future__ import annotations

import os
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console

from deployments.cli import options
from deployments.cli.model import model_app
from deployments.cli.operations import register_commands
from deployments.cli.printable import printable
from deployments.cli.tables import Audit, register_tables
from scd_core import __version__
from scd_core.errors import InputError, TrapauditError

if TYPE_CHECKING:
    from scd_core.request import AuditRequest

__all__ = ["app", "main"]

# Prefect reads these once, when it is imported. A user's own values win.
_PREFECT_DEFAULTS = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "180",
    "PREFECT_LOGGING_LEVEL": "CRITICAL",
    "PREFECT_SERVER_LOGGING_LEVEL": "CRITICAL",
}

app = typer.Typer(
    name="trapaudit",
    help="Find the errors a camera-trap classifier repeats, show the pixels that caused them, and keep the tables.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
register_tables(app)
register_commands(app)
app.add_typer(model_app, name="model")
console = Console(stderr=True)

Source = Annotated[str, typer.Argument(help="URL or path of the images (s3://, file://, ...)", show_default=False)]
Model = Annotated[str | None, typer.Option("--model", help="URL or path of a model package", show_default=False)]
Predictions = Annotated[
    str | None,
    typer.Option(
        "--predictions", help="names that another tool gave: MegaDetector or SpeciesNet JSON, Camtrap DP, CSV"
    ),
]
PredictionsColumn = Annotated[
    str | None, typer.Option("--predictions-column", help="column that holds the names, of a table of predictions")
]
Out = Annotated[str, typer.Option("--out", help="URL or path where the audit tables are kept", show_default=False)]
Config = Annotated[str | None, typer.Option("--config", help="YAML or JSON file of settings (docs/config.md)")]
Detections = Annotated[
    str | None, typer.Option("--detections", help="MegaDetector or SpeciesNet JSON, CSV of boxes, or Camtrap DP")
]
RunnerName = Annotated[
    Literal["threads", "prefect", "ray"] | None,
    typer.Option(
        "--runner", help="where shards are worked on", show_default="prefect where PREFECT_API_URL is set, else threads"
    ),
]
RayAddress = Annotated[
    str | None, typer.Option("--ray-address", help="HOST:6379, ray://HOST:10001, auto; or RAY_ADDRESS")
]


def _print_version(is_wanted: bool) -> None:
    if is_wanted:
        typer.echo(f"trapaudit {__version__}")
        raise typer.Exit


@app.callback()
def _settings(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="print the version and end")
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="show Prefect's log and full tracebacks")] = False,
) -> None:
    if verbose:
        os.environ["PREFECT_LOGGING_LEVEL"] = "INFO"
        os.environ["TRAPAUDIT_VERBOSE"] = "1"
    for name, value in _PREFECT_DEFAULTS.items():
        os.environ.setdefault(name, value)


@app.command()
def run(
    source: Source,
    out: Out,
    model: Model = None,
    predictions: Predictions = None,
    predictions_column: PredictionsColumn = None,
    detections: Detections = None,
    labels: Annotated[
        str | None, typer.Option("--labels", help="names given by people, in any format of `labels import`")
    ] = None,
    column: options.Column = None,
    by_person: options.ByPerson = False,
    flags: Annotated[str | None, typer.Option("--flags", help="CSV of files to look at: file, reason")] = None,
    expected: options.Expected = None,
    config: Config = None,
    runner: RunnerName = None,
    ray_address: RayAddress = None,
    allow_unknown_labels: Annotated[
        bool, typer.Option("--allow-unknown-labels", help="--allow-waiting and --allow-new-names in one")
    ] = False,
    allow_waiting: Annotated[
        bool, typer.Option("--allow-waiting", help="accept labels none of whose files is in SOURCE yet")
    ] = False,
    allow_new_names: options.AllowNewNames = False,
    follow_links: options.FollowLinks = False,
) -> None:
    """Audit what is new in SOURCE and refresh the report."""
    from deployments.cli.run import run_request

    given = {
        "predictions": predictions,
        "predictions_column": predictions_column,
        "detections": detections,
        "labels": labels,
        "column": column,
        "by_person": by_person,
        "flags": flags,
        "expected": expected,
        "allow_unknown_labels": allow_unknown_labels,
        "allow_waiting": allow_waiting,
        "allow_new_names": allow_new_names,
        "follow_links": follow_links,
        "all_prefixes": True,  # who runs it by hand looks for what was just added, whatever its time
    }
    run_request(console, _request(source, model, out, config, runner, ray_address, **given))


@app.command()
def nightly(
    source: Source,
    out: Out,
    model: Model = None,
    predictions: Predictions = None,
    predictions_column: PredictionsColumn = None,
    detections: Detections = None,
    expected: options.Expected = None,
    config: Config = None,
    runner: RunnerName = None,
    ray_address: RayAddress = None,
    follow_links: options.FollowLinks = False,
    all_prefixes: options.AllPrefixes = False,
    shadow: Annotated[
        str | None, typer.Option("--shadow", help="package of a second model, which names beside the first for compare")
    ] = None,
) -> None:
    """Run what a night runs, now: as run, but uploads that are under way wait, and closed folders are not listed."""
    from deployments.cli.run import run_request

    given = {
        "predictions": predictions,
        "predictions_column": predictions_column,
        "detections": detections,
        "expected": expected,
        "follow_links": follow_links,
        "all_prefixes": all_prefixes,
        "shadow": shadow,
    }
    request = _request(source, model, out, config, runner, ray_address, **given)
    run_request(console, request, is_nightly=True)


def _request(
    source: str, model: str | None, out: str, config: str | None, runner: Any, ray_address: str | None, **given: Any
) -> AuditRequest:
    """The request of the options; where no runner is named, Prefect's server decides by being there."""
    from scd_core.request import AuditRequest

    chosen = runner or ("prefect" if os.environ.get("PREFECT_API_URL") else "threads")
    if ray_address and chosen != "ray":
        raise InputError(f"--ray-address {ray_address}: is for --runner ray")
    return AuditRequest(
        source=source, model=model, out=out, config=config, runner=chosen, ray_address=ray_address, **given
    )


@app.command()
def report(
    out: Audit,
    config: Config = None,
    compare: Annotated[
        tuple[str, str] | None,
        typer.Option("--compare", metavar="OLD NEW", help="two models to show side by side, as `compare` names them"),
    ] = None,
) -> None:
    """Rebuild errors, error_slices and the HTML report."""
    from deployments.cli.run import run_report_command

    run_report_command(console, out, config, compare)


@app.command()
def demo(
    out: Annotated[Path, typer.Option("--out", help="folder for scenes, audit and report")] = Path("demo"),
    events: Annotated[int, typer.Option("--events", min=10, help="bursts to render")] = 120,
    seed: Annotated[int, typer.Option("--seed", min=0, help="seed of the scenes")] = 7,
) -> None:
    """Scenes, audit, report: no network, no GPU."""
    from deployments.cli.demo import run_demo

    run_demo(console, out, events, seed)


def main() -> None:
    """Entry point: one clear line and the right exit code for every error."""
    warnings.filterwarnings("ignore", module=r"(prefect|pydantic|websockets|torch)\b.*")
    try:
        app()
    except TrapauditError as error:
        _fail(error, error.exit_code)
    except ModuleNotFoundError as error:
        _fail(
            InputError(f"{error.name} is not installed here: run this where a worker runs, or install trapaudit anew"),
            1,
        )
    except Exception as error:  # noqa: BLE001 - whatever else fails: a user gets a line, not a traceback
        _fail(error, 1)


def _fail(error: BaseException, code: int) -> None:
    if os.environ.get("TRAPAUDIT_VERBOSE"):
        console.print_exception()
    name = "" if isinstance(error, TrapauditError) else f"{type(error).__name__}: "
    line: Any = printable(f"trapaudit: {name}{error}".splitlines()[0])
    console.print(line, markup=False, highlight=False, soft_wrap=True)
    sys.exit(code)


if __name__ == "__main__":
    main()
