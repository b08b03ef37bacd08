"""`trapaudit review`: a local page on which people look at pictures, name them and see what that changes."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import Annotated

import typer

from scd_core.errors import InputError

__all__ = ["review"]


def review(
    out: Annotated[str, typer.Argument(metavar="OUT", help="URL or path of the audit tables", show_default=False)],
    who: Annotated[
        str | None, typer.Option("--as", metavar="NAME", help="who answers", show_default="the user's name")
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            "--port",
            min=0,
            max=65535,
            help="TCP port; 0 takes a free one",
            show_default="one of OUT's own, where it is free",
        ),
    ] = None,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="only print the address")] = False,
    source: Annotated[
        str | None,
        typer.Option("--source", help="SOURCE, where the pictures lie elsewhere than when they were audited"),
    ] = None,
    at: Annotated[
        str | None,
        typer.Option(
            "--at", metavar="PLACE", help="what to open: a target_id, or slice: and a slice_id, as the report has them"
        ),
    ] = None,
    bind: Annotated[
        str, typer.Option("--bind", help="address to listen on; another than this machine's needs --password-file")
    ] = "127.0.0.1",
    password_file: Annotated[
        Path | None, typer.Option("--password-file", help="NAME:PASSWORD on each line, for people at other machines")
    ] = None,
    config: Annotated[
        str | None, typer.Option("--config", help="YAML or JSON file of settings, for the report that Done writes")
    ] = None,
) -> None:
    """Look at pictures, confirm or correct their names, and see what that changes. Ctrl-C ends it."""
    from deployments.review.auth import read_passwords
    from deployments.review.serve import is_local_address, serve
    from scd_core.config import AuditConfig
    from scd_core.request import settings_of

    passwords = None
    if password_file is not None:
        try:
            text = password_file.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"--password-file {password_file}: cannot be read ({error})") from error
        passwords = read_passwords(text, f"--password-file {password_file}")
    if not is_local_address(bind):
        if passwords is None:
            raise InputError(
                f"--bind {bind}: whoever reaches this machine could look at the pictures and answer; give --password-file"
            )
        typer.echo(
            f"trapaudit: listening on {bind}: whoever reaches this machine and has a password sees the pictures and answers; "
            "nothing is encrypted on the way, so use it in a network that you trust",
            err=True,
        )
    serve(
        out,
        source=source,
        who=_name(who),
        port=port,
        at=at,
        bind=bind,
        passwords=passwords,
        opens_browser=not no_browser,
        config=settings_of(config, AuditConfig()),
    )


def _name(given: str | None) -> str:
    """Who answers: as given, else the user's name."""
    if given is None:
        try:
            return getpass.getuser()
        except (OSError, KeyError):  # a user without an entry, as in a container
            return "somebody"
    name = given.strip()
    if not name or not name.isprintable() or len(name) > 100:
        raise InputError(f"--as {given!r}: expected a name of at most 100 characters")
    return name
