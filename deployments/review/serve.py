"""Serving the review: a socket on this machine, its address with the token, a browser, and an end by Ctrl-C."""

from __future__ import annotations

import secrets
import signal
import socket
import sys
import threading
import webbrowser
from collections.abc import Mapping
from ipaddress import ip_address
from urllib.parse import quote
from zlib import crc32

import uvicorn

from deployments.review.app import create_app
from scd_core.audit.review.session import ReviewSession
from scd_core.config import AuditConfig
from scd_core.errors import InputError

__all__ = ["LOCAL", "home_port", "is_local_address", "serve"]

LOCAL = "127.0.0.1"
_GRACE_SECONDS = 3


def serve(
    out: str,
    *,
    source: str | None,
    who: str,
    port: int | None = None,
    at: str | None = None,
    bind: str = LOCAL,
    passwords: Mapping[str, str] | None = None,
    opens_browser: bool = True,
    config: AuditConfig | None = None,
) -> None:
    """Serve the review of an audit until it is interrupted; the address is the first line of standard output.

    Args:
        out: OUT.
        source: SOURCE, where the pictures lie elsewhere than when they were audited.
        who: name of the person at this machine.
        port: TCP port; 0 takes a free one; None one that is always the same for OUT, where it is free: a browser keeps answers
            that it could not send by the address that they belong to.
        at: what the page opens with: a target_id, or ``slice:`` and a slice_id; None is what to label next.
        bind: address to listen on.
        passwords: person -> password, of people at other machines.
        opens_browser: open the page in this machine's browser.
        config: settings of the report that the end of a sitting writes; None is the default.

    Raises:
        InputError: OUT holds no audit, or nothing at that place, or the address cannot be listened on.
        RunError: OUT cannot be read or written.
    """
    listening = _listen_at_home(bind, out) if port is None else _listen(bind, port)
    token = secrets.token_urlsafe(24)
    is_loopback = is_local_address(bind)
    app = create_app(out, source, who, token, passwords=passwords, is_loopback=is_loopback, config=config)
    place = "" if at is None else _place(app.state.session, at)
    host = LOCAL if bind in ("0.0.0.0", "::") else bind
    address = f"http://{f'[{host}]' if ':' in host else host}:{listening.getsockname()[1]}/?token={token}{place}"
    sys.stdout.write(f"{address}\n")
    sys.stdout.flush()
    if opens_browser:
        threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
    # Ctrl-C is how a review ends, so it is no interruption (deployments/cli/interrupt.py): uvicorn takes the signal.
    signal.set_wakeup_fd(-1)
    # No access log: the address holds the token.
    settings = uvicorn.Config(
        app, log_level="warning", access_log=False, server_header=False, timeout_graceful_shutdown=_GRACE_SECONDS
    )
    uvicorn.Server(settings).run(sockets=[listening])


def _place(session: ReviewSession, at: str) -> str:
    """The part of an address that opens the page at a place.

    Raises:
        InputError: OUT has no such target or slice.
    """
    kind, _, slice_id = at.partition(":")
    if kind == "slice":
        is_there = any(row["slice_id"] == slice_id for row in session.frames.slices())
    else:
        is_there = session.target(at) is not None
    if not is_there:
        raise InputError(
            f"--at {at}: OUT has no such place; give a target_id, or slice: and a slice_id of the newest report"
        )
    return f"&at={quote(at, safe='')}"


def is_local_address(bind: str) -> bool:
    """Whether only this machine reaches an address.

    >>> is_local_address("127.0.0.1"), is_local_address("0.0.0.0"), is_local_address("localhost")
    (True, False, True)
    """
    try:
        return ip_address(bind).is_loopback
    except ValueError:
        return bind == "localhost"


def home_port(out: str) -> int:
    """The port of a review of OUT, from 20000 to 29999, of which systems give none to outgoing connections.

    >>> home_port("/data/out") == home_port("/data/out"), 20000 <= home_port("s3://b/o") < 30000
    (True, True)
    """
    return 20_000 + crc32(out.rstrip("/").encode("utf-8", "replace")) % 10_000


def _listen_at_home(bind: str, out: str) -> socket.socket:
    try:
        return _listen(bind, home_port(out))
    except InputError:  # taken; a review of the same OUT may be open
        return _listen(bind, 0)


def _listen(bind: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in bind else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((bind, port))
        listening.listen(128)
    except OSError as error:
        listening.close()
        raise InputError(
            f"review: {bind} port {port} cannot be listened on ({error.strerror}); give another --port"
        ) from error
    return listening
