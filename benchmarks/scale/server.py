"""A Prefect server that counts what it gets: the real one, behind a count of requests and events.

python -m benchmarks.scale.server PORT    (GET /count gives the counts as JSON)
"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from typing import Any

import uvicorn

__all__ = ["Counting"]


class Counting:
    """ASGI middleware: HTTP requests by method and path (ids left out), websocket messages that came in.

    Args:
        app: the server.
    """

    def __init__(self, app: Any) -> None:
        self.app = app
        self.requests: Counter[str] = Counter()
        self.messages: Counter[str] = Counter()

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Count, and pass on."""
        if scope["type"] == "http" and scope["path"] == "/count":
            body = json.dumps(
                {"requests": self.requests, "messages": self.messages, "seconds": time.process_time()}
            ).encode()
            await send(
                {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]}
            )
            await send({"type": "http.response.body", "body": body})
            return
        if scope["type"] == "http" and scope["path"] != "/api/health":
            self.requests[f"{scope['method']} {_without_ids(scope['path'])}"] += 1
        if scope["type"] == "websocket":
            inner, path = receive, scope["path"]

            async def receive() -> Any:
                message = await inner()
                if message["type"] == "websocket.receive":
                    self.messages[path] += 1
                return message

        await self.app(scope, receive, send)


def _without_ids(path: str) -> str:
    return "/".join("ID" if len(part) == 36 and part.count("-") == 4 else part for part in path.split("/"))


def main() -> None:
    """Serve until terminated."""
    from prefect.server.api.server import create_app

    uvicorn.run(Counting(create_app(final=True)), host="127.0.0.1", port=int(sys.argv[1]), log_level="error")


if __name__ == "__main__":
    main()
