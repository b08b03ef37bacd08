"""`trapaudit individuals OUT` and `individuals add`: who is in an audit, and a name for a candidate.

What needs torch is imported inside the commands, so that help appears at once.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import typer
from rich.console import Console
from typer.core import TyperGroup

from deployments.cli.printable import printable

__all__ = ["individuals_app"]

console = Console(stderr=True)

_Out = Annotated[str, typer.Argument(metavar="OUT", help="URL or path of the audit tables", show_default=False)]


class _ListsByDefault(TyperGroup):
    """`individuals OUT` is `individuals list OUT`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in ("--help", "-h"):
            args = ["list", *args]
        return super().parse_args(ctx, args)


individuals_app = typer.Typer(help="Who is in the pictures.", no_args_is_help=True, cls=_ListsByDefault)


@individuals_app.command("list")
def list_individuals(
    out: _Out,
    output: Annotated[Literal["table", "csv", "json"], typer.Option("--format", help="how rows are printed")] = "table",
) -> None:
    """List known individuals and candidates for new ones; `individuals OUT` does the same."""
    from deployments.cli.answers import print_rows
    from scd_core.audit.individuals.listing import list_individuals as do_list

    found = do_list(out)
    if output == "table" and not len(found):
        _say(f"{out}: no picture has a name yet")
        return
    print_rows(found, output)


@individuals_app.command("add")
def add(
    out: _Out,
    candidate: Annotated[
        str, typer.Argument(help="id of a candidate; its first characters will do", show_default=False)
    ],
    name: Annotated[str, typer.Argument(help="individual, new or known", show_default=False)],
    model: Annotated[
        str, typer.Option("--model", help="package with a gallery on a local disk; it is changed", show_default=False)
    ],
) -> None:
    """Give a candidate a name: its pictures go into the gallery, and later runs know it."""
    from scd_core.audit.individuals.adding import add_candidate

    done = add_candidate(out, candidate, name, model)
    left_out = f", {done.n_left_out} that people named otherwise left out" if done.n_left_out else ""
    _say(f"{model}: {name} has {done.n_pictures} more pictures{left_out}; model_digest {done.package.digest[:16]}")
    for other, alike in done.near:
        _say(
            f"the candidate is as like {other} as pictures of one animal are (mean similarity {alike:.2f}): are they one?"
        )


def _say(line: str) -> None:
    console.print(printable(line), markup=False, highlight=False, soft_wrap=True)
