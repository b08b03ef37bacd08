"""The webhook: an ASGI application that takes bucket notifications over HTTP."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hmac
import logging
import time
from collections.abc import AsyncIterator, Callable

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, PlainTextResponse
from starlette.requests import ClientDisconnect

from deployments.relay.core import Count, Relay
from deployments.relay.events import Emit, emit_to_prefect
from deployments.relay.limits import TokenBucket
from deployments.relay.metrics import prometheus_text
from deployments.relay.notifications import NotificationError, read_notification
from deployments.relay.runs import LastRuns, keep_reading
from deployments.relay.settings import RelaySettings
from deployments.relay.sqs import SqsConsumer
from deployments.relay.tidy import keep_tidy

__all__ = ["create_app"]

logger = logging.getLogger("trapaudit.relay")

_REFUSALS_PER_SECOND = 5.0
_REFUSALS_AT_ONCE = 50


def create_app(
    settings: RelaySettings, emit: Emit = emit_to_prefect, clock: Callable[[], float] = time.monotonic
) -> FastAPI:
    """The relay as an ASGI application.

    ``POST /notifications`` and ``POST /notifications/SECRET`` take a notification: 202 with what became of it; 400 not a
    notification; 401 wrong or no secret; 408 too slow; 413 too large; 429 too many. ``GET /health`` needs no secret: 200 while
    the relay works, 503 once it has stopped.

    ``GET /metrics`` gives the same counts as Prometheus reads them, and what the last audit was like as Prefect's server has it
    (:mod:`deployments.relay.runs`), without a secret and without names.

    The secret is taken from the header ``X-Trapaudit-Secret``, from ``Authorization: Bearer`` (MinIO), from the password of
    ``Authorization: Basic``, or from the path of the address (Ceph, which sends no headers), and compared in constant time. It is
    never taken from the query of an address, which proxies and browsers keep.

    Args:
        settings: sources, secret and limits.
        emit: sends an event to Prefect.
        clock: seconds, never going back.

    Returns:
        The application; its ``state.relay`` is the :class:`Relay`.
    """
    relay = Relay(settings, emit, clock)
    webhook = _Webhook(settings, relay, clock, with_server=emit is emit_to_prefect)
    app = FastAPI(
        title="trapaudit relay",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,  # an answer would repeat the address, and the secret in it
        lifespan=webhook.lifespan,
    )
    app.state.relay = relay
    for address in ("/notifications", "/notifications/{secret}"):
        app.add_api_route(address, webhook.notify, methods=["POST"])
    app.add_api_route("/health", webhook.health, methods=["GET"])
    app.add_api_route("/metrics", webhook.metrics, methods=["GET"])
    return app


class _Webhook:
    """The handlers of the relay's addresses, and the tasks that run beside them."""

    def __init__(self, settings: RelaySettings, relay: Relay, clock: Callable[[], float], *, with_server: bool) -> None:
        self._settings = settings
        self._with_server = with_server
        self._last = LastRuns()
        self._relay = relay
        self._clock = clock
        self._accepted = TokenBucket(settings.rate, settings.burst)
        self._refused = TokenBucket(_REFUSALS_PER_SECOND, _REFUSALS_AT_ONCE)
        self._jobs: list[asyncio.Task[None]] = []

    @contextlib.asynccontextmanager
    async def lifespan(self, _: FastAPI) -> AsyncIterator[None]:
        """Run the relay, and the queue's consumer where there is a queue, as long as the application."""
        if self._settings.queue_url:
            consumer = SqsConsumer(self._settings.queue_url, self._relay)
            self._jobs.append(asyncio.create_task(consumer.run(), name="queue"))
        if self._with_server:
            if self._settings.tidy_seconds:
                self._jobs.append(asyncio.create_task(keep_tidy(self._settings.tidy_seconds), name="waiting runs"))
            reading = keep_reading(self._last, self._settings.runs_seconds)
            self._jobs.append(asyncio.create_task(reading, name="last runs"))
        self._jobs.append(asyncio.create_task(self._relay.run(), name="relay"))
        for job in self._jobs:
            job.add_done_callback(_note_end)
        try:
            yield
        finally:
            # The queue's consumer last: it deletes what the relay emits at its end.
            for job in reversed(self._jobs):
                job.cancel()
                with contextlib.suppress(asyncio.CancelledError, Exception):
                    await job
                if job.get_name() == "relay":
                    await self._relay.emit_due(everything=True)

    async def notify(self, request: Request) -> JSONResponse:
        """Take a notification."""
        now = self._clock()
        if not _has_secret(self._settings, request, request.path_params.get("secret")):
            if not self._refused.take(now):
                return _refusal(429, "too many requests", {"Retry-After": "10"})
            logger.warning("a notification without the right secret was refused")
            return _refusal(401, "wrong or missing secret", {"WWW-Authenticate": "Bearer"})
        if not self._accepted.take(now):
            self._relay.counts[Count.REFUSED_RATE] += 1
            return _refusal(429, "too many notifications", {"Retry-After": "1"})
        try:
            body = await asyncio.wait_for(_read(request, self._settings.max_body_bytes), self._settings.body_seconds)
        except TimeoutError:
            return _refusal(408, f"a notification may take {self._settings.body_seconds:g} s")
        except ClientDisconnect:
            return _refusal(400, "the body ended before its end")
        if body is None:
            self._relay.counts[Count.REFUSED_SIZE] += 1
            return _refusal(413, f"a notification may have {self._settings.max_body_bytes} bytes")
        try:
            notification = read_notification(body)
        except NotificationError as error:
            self._relay.counts[Count.MALFORMED] += 1
            logger.warning("a notification could not be read: %s", error)
            return _refusal(400, str(error))
        wanted = self._relay.take(notification)
        elsewhere = len(notification.uploads) - wanted
        counts = {"accepted": wanted, Count.ELSEWHERE: elsewhere, Count.OTHER: notification.n_other}
        return JSONResponse(counts, status_code=202)

    async def health(self) -> JSONResponse:
        """Whether the tasks run, and the relay's counts."""
        stopped = any(job.done() for job in self._jobs)
        status = "stopped" if stopped else "ok"
        return JSONResponse({"status": status, **self._relay.health()}, status_code=503 if stopped else 200)

    async def metrics(self) -> PlainTextResponse:
        """The relay's counts and the last runs as Prometheus reads them."""
        text = prometheus_text(self._relay.health(), self._last)
        return PlainTextResponse(text, media_type="text/plain; version=0.0.4")


def _note_end(job: asyncio.Task[None]) -> None:
    if not job.cancelled() and (error := job.exception()) is not None:
        logger.error("%s stopped: %s", job.get_name(), error, exc_info=error)


def _refusal(status: int, reason: str, headers: dict[str, str] | None = None) -> JSONResponse:
    # What the sender still has to say is not waited for.
    return JSONResponse({"detail": reason}, status_code=status, headers={"Connection": "close", **(headers or {})})


def _has_secret(settings: RelaySettings, request: Request, in_path: str | None) -> bool:
    if settings.secret is None:
        return False
    secret = settings.secret.get_secret_value().encode()
    # Every offer is compared, and none with ==, so the time reveals nothing.
    right = False
    for offer in (request.headers.get("x-trapaudit-secret"), _authorization(request), in_path):
        right |= hmac.compare_digest((offer or "").encode("utf-8", "replace"), secret)
    return right


def _authorization(request: Request) -> str | None:
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(value.strip(), validate=True).decode().partition(":")[2]
        except ValueError:  # no base64, or no text in it
            return None
    return None


async def _read(request: Request, most: int) -> bytes | None:
    """The body; None as soon as it is known to be too large."""
    declared = request.headers.get("content-length", "")
    if declared.isascii() and declared.isdigit() and int(declared) > most:
        return None
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most:
            return None
    return bytes(body)
