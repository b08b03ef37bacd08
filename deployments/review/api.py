"""The review's JSON interface, which other tools and tests use: queues, what is next, answers, undo, what changed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from deployments.review.finish import Finish
from scd_core.audit.review.answers import read_answers
from scd_core.audit.review.given import ConflictError
from scd_core.audit.review.session import ReviewSession
from scd_core.config import AuditConfig
from scd_core.errors import InputError

__all__ = ["routes"]

_MOST_BYTES = 1_000_000
_MOST_ITEMS = 100


def routes(session: ReviewSession, config: AuditConfig) -> list[Route]:
    """The addresses below ``/api``; each answers 400 and one line where the request cannot be met.

    Args:
        session: the review.
        config: settings of the report that the end of a sitting writes.
    """
    api = _Api(session, config)
    get, post = ["GET"], ["POST"]
    return [
        Route("/api/queues", api.queues, methods=get),
        Route("/api/next", api.next, methods=get),
        Route("/api/event", api.event, methods=get),
        Route("/api/names", api.names, methods=get),
        Route("/api/references", api.references, methods=get),
        Route("/api/labels", api.labels, methods=post),
        Route("/api/changes", api.changes, methods=get),
        Route("/api/agreement", api.agreement, methods=get),
        Route("/api/undo", api.undo, methods=post),
        Route("/api/done", api.done, methods=post),
    ]


class _Api:
    """The handlers; those that read tables run in threads."""

    def __init__(self, session: ReviewSession, config: AuditConfig) -> None:
        self._session = session
        self._finish = Finish(session, config)

    def queues(self, request: Request) -> Response:
        """``[{"queue", "title", "n_open", "n_done", "is_counted"}]``."""
        self._session.refresh()
        return JSONResponse(self._session.queues(_who(request)))

    def next(self, request: Request) -> Response:
        """Items of ``queue``, at most ``n``."""
        queue = request.query_params.get("queue", "next")
        n = _whole(request.query_params, "n", 1, _MOST_ITEMS)
        self._session.refresh()
        return JSONResponse(self._session.next_items(queue, n, _who(request)))

    def event(self, request: Request) -> Response:
        """The frames of the event that ``target_id`` belongs to, each with its targets."""
        target_id = request.query_params.get("target_id", "")
        if not target_id:
            raise InputError("target_id is missing")
        return JSONResponse(self._session.event(target_id, _who(request)))

    def names(self, request: Request) -> Response:
        """Names of individuals, sorted."""
        return JSONResponse(self._session.names())

    def references(self, request: Request) -> Response:
        """Labelled pictures of ``individual_id``, those of ``flank`` first, at most ``n``."""
        individual_id = request.query_params.get("individual_id", "")
        if not individual_id:
            raise InputError("individual_id is missing")
        n = _whole(request.query_params, "n", 3, _MOST_ITEMS)
        return JSONResponse(self._session.references(individual_id, request.query_params.get("flank"), n))

    def changes(self, request: Request) -> Response:
        """Slices that answers have changed since the review was opened."""
        return JSONResponse(self._session.since.changes())

    def agreement(self, request: Request) -> Response:
        """Cohen's kappa of second readings, of all and of each pair of people."""
        return JSONResponse(self._session.since.agreement())

    async def labels(self, request: Request) -> Response:
        """Write answers; 409 with the other answer where somebody else answered since."""
        answers = read_answers(await _content(request))
        try:
            return JSONResponse(await run_in_threadpool(self._session.write, answers, _who(request)))
        except ConflictError as error:
            content = {"detail": str(error), "target_id": error.target_id, "other": error.other.as_json()}
            return JSONResponse(content, 409)

    async def undo(self, request: Request) -> Response:
        """Take an import of answers back."""
        content = await _content(request)
        import_id = content.get("import_id") if isinstance(content, dict) else None
        if not isinstance(import_id, str) or not import_id:
            raise InputError('undo: expected {"import_id": ...} as /api/labels gave it')
        return JSONResponse(await run_in_threadpool(self._session.undo, import_id, _who(request)))

    def done(self, request: Request) -> Response:
        """Write errors, slices and the report anew, where answers came, and say what changed."""
        return JSONResponse(self._finish.done())


def _who(request: Request) -> str:
    return str(request.state.who)


def _whole(params: Mapping[str, str], name: str, default: int, most: int) -> int:
    """A whole number of a request, from 1 to `most`."""
    text = params.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and 0 < len(text) < 10 and 1 <= int(text) <= most):
        raise InputError(f"{name} {text[:40]!r}: expected a whole number from 1 to {most}")
    return int(text)


async def _content(request: Request) -> Any:
    """The JSON of a request's body.

    Raises:
        InputError: it is too large, or no JSON.
    """
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > _MOST_BYTES:
                raise InputError(f"the body has more than {_MOST_BYTES} bytes; send fewer answers at once")
    except ClientDisconnect as error:
        raise InputError("the body ended before its end") from error
    try:
        return json.loads(bytes(body))
    except (ValueError, RecursionError) as error:
        raise InputError("the body is no JSON") from error
