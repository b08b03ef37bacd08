"""`trapaudit show`: one picture's story on one screen, or as JSON."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer

__all__ = ["show"]

_WIDTH = 100
"""Most columns of a line that wraps."""


def show(
    out: Annotated[str, typer.Argument(metavar="OUT", help="URL or path of the audit tables", show_default=False)],
    file: Annotated[
        str,
        typer.Argument(help="path relative to SOURCE, the end of one, an address, or a media id", show_default=False),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object (docs/queries.md)")] = False,
) -> None:
    """One picture's story: what was found, why, by whom, and what it counts for."""
    from rich.console import Console

    from deployments.cli.answers import plain_value
    from deployments.cli.printable import printable
    from deployments.cli.story import story_view
    from scd_core.audit.query.picture import SeveralPictures, read_story
    from scd_core.tables.store import AuditStore, read_steadily

    try:
        story = read_steadily(AuditStore(out), lambda: read_story(out, file))
    except SeveralPictures as error:
        typer.echo(f"trapaudit: {printable(str(error))}", err=True)
        for picture in error.pictures:
            typer.echo(printable(f"  {picture.media_id}  {picture.uri}"), err=True)
        if error.n > len(error.pictures):
            typer.echo(f"  and {error.n - len(error.pictures)} more", err=True)
        raise typer.Exit(error.exit_code) from error
    if as_json:
        text = json.dumps(plain_value(story.as_dict()), ensure_ascii=False, indent=1)
        sys.stdout.write("".join(char if _is_safe(char) else json.dumps(char)[1:-1] for char in text) + "\n")
        return
    console = Console(highlight=False)
    console.width = min(console.width, _WIDTH) if console.is_terminal else _WIDTH
    with console.capture() as captured:
        console.print(story_view(story, out))
    sys.stdout.write("".join(f"{line.rstrip()}\n" for line in captured.get().splitlines()))


def _is_safe(char: str) -> bool:
    """Whether a character of JSON goes to a terminal as it is; all others stand in strings and can be escaped."""
    return char == "\n" or char.isprintable()
