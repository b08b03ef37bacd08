"""A relay without a network: fake clock, recorded events, requests straight into the application."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI

from deployments.relay.app import create_app
from deployments.relay.settings import RelaySettings

SECRET = "0123456789abcdef0123456789abcdef"


class Clock:
    """Seconds that pass only when the test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Prefect:
    """Takes events, or is away."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.away = False

    async def __call__(self, event: dict[str, Any]) -> None:
        if self.away:
            raise ConnectionError("All connection attempts failed")
        self.events.append(event)

    def prefixes(self) -> list[str]:
        return [event["payload"]["prefix"] for event in self.events]


def settings(**values: Any) -> RelaySettings:
    given = {"secret": SECRET, "sources": ("s3://cards",), "quiet_seconds": 60, "max_wait_seconds": 300, **values}
    return RelaySettings.model_validate(given)


def record(key: str, bucket: str = "cards", source: str = "aws:s3", name: str = "ObjectCreated:Put") -> dict[str, Any]:
    return {
        "eventVersion": "2.1",
        "eventSource": source,
        "eventTime": "2026-11-21T20:00:00.000Z",
        "eventName": name,
        "s3": {"bucket": {"name": bucket}, "object": {"key": key, "size": 10, "eTag": "ab"}},
    }


def body(*keys: str, **more: str) -> bytes:
    return json.dumps({"Records": [record(key, **more) for key in keys]}).encode()


async def post(
    app: FastAPI, content: bytes | list[bytes], path: str = "/notifications", headers: dict[str, str] | None = None
) -> tuple[int, dict[str, Any]]:
    """One request through ASGI; a list is a body in chunks whose length was not declared."""
    chunks = [content] if isinstance(content, bytes) else content
    given = {"x-trapaudit-secret": SECRET} if headers is None else headers
    if isinstance(content, bytes):
        given = {**given, "content-length": str(len(content))}
    waiting = [
        {"type": "http.request", "body": chunk, "more_body": number + 1 < len(chunks)}
        for number, chunk in enumerate(chunks)
    ]
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return waiting.pop(0) if waiting else {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope: dict[str, Any] = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "scheme": "http",
        "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "", "server": ("relay", 80),
        "client": ("127.0.0.1", 1), "headers": [(k.lower().encode(), v.encode("latin-1")) for k, v in given.items()],
    }  # fmt: skip
    await app(scope, receive, send)
    return sent[0]["status"], json.loads(b"".join(part.get("body", b"") for part in sent[1:]) or b"{}")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def prefect() -> Prefect:
    return Prefect()


@pytest.fixture
def make_app(clock: Clock, prefect: Prefect) -> Callable[..., FastAPI]:
    def make(**values: Any) -> FastAPI:
        return create_app(settings(**values), emit=prefect, clock=clock)

    return make
