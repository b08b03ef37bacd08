"""The review's server as an application: pages, pictures and interface behind one guard."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import AsyncIterator, Mapping

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response

from deployments.review import api, pages, pictures
from deployments.review.auth import Access, Guard, refusal
from scd_core.audit.review.session import ReviewSession
from scd_core.config import AuditConfig
from scd_core.errors import InputError, RunError
from scd_core.storage import open_source

__all__ = ["create_app"]

_FULL = {errno.ENOSPC, errno.EDQUOT}


def create_app(
    out: str,
    source: str | None,
    who: str,
    token: str,
    *,
    passwords: Mapping[str, str] | None = None,
    is_loopback: bool = True,
    config: AuditConfig | None = None,
) -> Starlette:
    """The review of an audit.

    ``GET /`` is the page, ``/api`` the interface (docs/review.md), ``/picture/MEDIA`` and ``/evidence/TARGET`` the pictures.
    A request without the token, or a person's password, is refused (401), and so is one that another page sends (403).
    What cannot be met is 400, a full disk 507, a storage that does not answer 503, each with one line.

    Args:
        out: OUT.
        source: SOURCE, where the pictures lie elsewhere than when they were audited.
        who: name of the person that has the token.
        token: secret of the address.
        passwords: person -> password, of other people.
        is_loopback: only this machine may come in.
        config: settings of the report that the end of a sitting writes; None is the default.

    Returns:
        The application; its ``state.session`` is the :class:`ReviewSession`.

    Raises:
        InputError: OUT holds no audit, or `source` is no address.
        RunError: OUT cannot be read or written.
    """
    if source is not None:
        open_source(source)
    session = ReviewSession(out, source)
    access = Access(who, token, passwords or {}, is_loopback)

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        session.close()

    app = Starlette(
        routes=[*api.routes(session, config or AuditConfig()), *pages.routes(session), *pictures.routes(session)],
        middleware=[Middleware(Guard, access=access)],
        exception_handlers={InputError: _bad_input, RunError: _failed, HTTPException: _http},
        lifespan=lifespan,
    )
    app.state.session = session
    return app


def _bad_input(_: Request, error: Exception) -> Response:
    return refusal(400, str(error))


def _failed(_: Request, error: Exception) -> Response:
    """A full disk is one thing, a storage that does not answer another; the page keeps the answers and sends them again."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno in _FULL:
            return refusal(507, f"the disk is full, nothing was written: {error}")
        cause = cause.__cause__
    return refusal(503, str(error))


def _http(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return refusal(error.status_code, str(error.detail), error.headers)
