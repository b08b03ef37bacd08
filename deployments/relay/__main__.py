"""`python -m deployments.relay`: the webhook on uvicorn, and the queue where the settings have one."""

from __future__ import annotations

import logging
import os
import sys

from deployments.relay.settings import RelaySettings
from flows.logs import JsonLines
from scd_core.errors import InputError

__all__ = ["main"]

_LAST_SECONDS = 5
"""Longest time that connections keep the relay from ending; uploads that wait are reported after it."""


def main() -> int:
    """Run until stopped; exit code 2, and one line, where the settings cannot be used."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.getLogger("trapaudit").setLevel(logging.INFO)
    try:
        settings = RelaySettings.from_environment(os.environ)
    except InputError as error:
        print(f"trapaudit: {error}", file=sys.stderr)
        return error.exit_code
    try:
        import uvicorn

        from deployments.relay.app import create_app
        from deployments.relay.protocol import protocol_with_limit
    except ImportError as error:
        print(f"trapaudit: relay: {error.name} is missing; pip install 'trapaudit[relay]'", file=sys.stderr)
        return 2
    # No access log: Ceph's addresses carry the secret.
    uvicorn.run(
        create_app(settings),
        host=settings.host,
        port=settings.port,
        http=protocol_with_limit(settings.header_seconds),
        timeout_graceful_shutdown=_LAST_SECONDS,
        limit_concurrency=settings.max_connections,
        log_config=None,
        access_log=False,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
