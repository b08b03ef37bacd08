"""HTTP connections of the relay: one that takes too long to send a request, or to take its answer, is closed."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

__all__ = ["protocol_with_limit"]


class _LimitedProtocol(H11Protocol):
    seconds = 10.0
    _deadline: asyncio.TimerHandle | None = None
    _untaken: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._wait_for_request()

    def data_received(self, data: bytes) -> None:
        if self._deadline is None and (self.cycle is None or self.cycle.response_complete):
            self._wait_for_request()
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop_waiting()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        self._answers_taken()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._untaken is None:
            self._untaken = self.loop.call_later(self.seconds, self.transport.abort)

    def resume_writing(self) -> None:
        self._answers_taken()
        super().resume_writing()

    def _answers_taken(self) -> None:
        if self._untaken is not None:
            self._untaken.cancel()
            self._untaken = None

    def on_response_complete(self) -> None:
        self._stop_waiting()
        super().on_response_complete()

    def _wait_for_request(self) -> None:
        self._deadline = self.loop.call_later(self.seconds, self._give_up)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        self._deadline = None
        if not self.transport.is_closing():
            self.transport.abort()


def protocol_with_limit(header_seconds: float) -> type[H11Protocol]:
    """Uvicorn's protocol, which itself waits for ever for the headers of a connection's first request.

    Args:
        header_seconds: longest time from the connection to the end of the headers of each request (s), and that for which
            answers fill up and are not taken. The time between two requests of a connection is uvicorn's own
            `timeout_keep_alive`.
    """
    return type("LimitedProtocol", (_LimitedProtocol,), {"seconds": header_seconds})
