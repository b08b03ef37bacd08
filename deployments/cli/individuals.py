"""`trapaudit individuals OUT`, `suspects`, `add` and `count`: who is in an audit, and how many there are.

What needs torch is imported inside the commands, so that help appears at once.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import pyarrow as pa
import typer
from rich.console import Console
from typer.core import TyperGroup

from deployments.cli.printable import say
from scd_core.errors import InputError

__all__ = ["individuals_app"]

console = Console(stderr=True)
_say = partial(say, console)

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


@individuals_app.command("suspects")
def suspects(
    out: _Out,
    output: Annotated[Literal["table", "csv", "json"], typer.Option("--format", help="how rows are printed")] = "table",
) -> None:
    """List names that may be one animal, and names that may be two, with pictures of both sides."""
    from deployments.cli.answers import print_rows
    from scd_core.audit.individuals.suspects import list_suspects, why_none

    found = list_suspects(out)
    if not found and output == "table":
        _say(f"{out}: {why_none(out)}")
        return
    print_rows(pa.Table.from_pylist(found), output)


@individuals_app.command("add")
def add(
    out: _Out,
    candidate: Annotated[
        str, typer.Argument(help="id of a candidate; its first characters will do", show_default=False)
    ],
    name: Annotated[str, typer.Argument(help="individual, new or known", show_default=False)],
    model: Annotated[
        str,
        typer.Option("--model", help="package; one with a gallery is changed, on a local disk", show_default=False),
    ],
    write: Annotated[
        str | None, typer.Option("--write", metavar="NEW", help="folder of the new package; a classifier needs it")
    ] = None,
) -> None:
    """Give a candidate a name, which later runs know: by a gallery, or by a classifier that learns it."""
    from deployments.cli.gallery import learnt_lines, new_package
    from scd_core.audit.individuals.adding import add_candidate
    from scd_core.identify.package import read_package

    if read_package(model).gallery is None:
        new_package(write, model)
    done = add_candidate(out, candidate, name, model, write)
    left_out = f", {done.n_left_out} that people named otherwise left out" if done.n_left_out else ""
    if done.learnt is None:
        place = write or model
        _say(f"{place}: {name} has {done.n_pictures} more pictures{left_out}; model_digest {done.package.digest[:16]}")
    else:
        lines = list(learnt_lines(done.learnt, name))
        for line in [f"{lines[0]}{left_out}", *lines[1:]]:
            _say(line)
    for other, alike in done.near:
        _say(
            f"the candidate is as like {other} as pictures of one animal are (mean similarity {alike:.2f}): are they one?"
        )


@individuals_app.command("remove")
def remove(
    out: _Out,
    candidate: Annotated[str, typer.Argument(help="id of the candidate that was added", show_default=False)],
    name: Annotated[str, typer.Argument(help="name that it was given", show_default=False)],
    model: Annotated[str, typer.Option("--model", help="package with a gallery", show_default=False)],
    write: Annotated[
        str | None, typer.Option("--write", help="folder of a new package; without it the gallery itself is changed")
    ] = None,
) -> None:
    """Take back `individuals add`: the candidate's pictures leave the gallery, and later runs do not know them."""
    from scd_core.audit.individuals.adding import remove_candidate

    done = remove_candidate(out, candidate, name, model, write)
    gone = "" if name in done.package.spec.labels else "; the gallery does not know the name any more"
    _say(
        f"{write or model}: {name} has {done.n_pictures} fewer pictures{gone}; model_digest {done.package.digest[:16]}"
    )
    if done.is_used:
        _say(f"runs of {out} have used these pictures: the next run with the package names what it named again")
    elif done.is_restored:
        _say(f"{out} was audited with this digest before, and not since: the next run names nothing again")


@individuals_app.command("count")
def count(
    out: _Out,
    answers: Annotated[
        list[str] | None, typer.Option("--answers", help="CSV of answered pairs; several times for several")
    ] = None,
    pairs: Annotated[
        Path | None, typer.Option("--pairs", help="file to write the pairs to that are to be answered next")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="most pairs to write")] = 25,
    drawn: Annotated[
        Path | None, typer.Option("--drawn", help="file to write the first drawn pictures to, to be named instead")
    ] = None,
    output: Annotated[Literal["table", "csv", "json"], typer.Option("--format", help="how rows are printed")] = "table",
) -> None:
    """Estimate how many individuals there are, from pairs of pictures that people compare."""
    from deployments.cli.answers import print_rows
    from scd_core.audit.individuals.counting import MAX_ANSWERS, count_individuals
    from scd_core.inputs.pairs import name_lines, read_pair_answers

    for path in (pairs, drawn):
        if path is not None and path.exists():
            raise InputError(f"file {path}: is there already, and may hold answers; give another name")
    given = [answer for url in answers or () for answer in read_pair_answers(url)]
    found = count_individuals(out, given, limit)
    print_rows(found.table(), output)
    for line in found.notes():
        _say(line)
    if drawn is not None:
        _write_new(drawn, name_lines(found.to_name))
        _say(
            f"{drawn}: {len(found.to_name)} pictures; fill in `individual_id`, then `trapaudit labels import OUT {drawn}`"
        )
    if pairs is None:
        return
    if not found.n_pairs:
        done = found.n_answers >= MAX_ANSWERS
        _say(f"no pairs are written: {f'{MAX_ANSWERS} answers are given' if done else 'all pictures are compared'}")
        return
    _write_new(pairs, found.pairs)
    _say(f"{pairs}: {found.n_pairs} pairs; fill in `same` with yes, no or unclear, and give it as --answers")


def _write_new(path: Path, text: str) -> None:
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise InputError(f"file {path}: cannot be written ({error.strerror}); give another path") from error
