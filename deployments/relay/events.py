"""The Prefect event of an upload, and how it is sent."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TypedDict

from deployments.relay.settings import Place

__all__ = ["Emit", "emit_to_prefect", "upload_event"]

EVENT = "trapaudit.upload.arrived"
"""Name of the event; `prefect.yaml` expects it."""

RESOURCE = "trapaudit.upload"
"""Start of its resource id, which goes on with ``.BUCKET/PREFIX``."""


class UploadPayload(TypedDict):
    """What the event of an upload carries; times are UTC in ISO 8601."""

    source: str
    prefix: str
    n_notifications: int
    first_at: str
    last_at: str


class UploadEvent(TypedDict):
    """An event as :class:`prefect.events.Event` takes it."""

    event: str
    occurred: datetime
    resource: dict[str, str]
    payload: UploadPayload


Emit = Callable[[UploadEvent], Awaitable[None]]
"""Sends an event, and returns once Prefect's server has taken it; raises where it has not."""


def upload_event(source: Place, batch: Place, n: int, first: datetime, last: datetime) -> UploadEvent:
    """An upload as a Prefect event: small, whatever the number of objects.

    Args:
        source: the watched source.
        batch: the upload's bucket and prefix.
        n: notifications that came.
        first: when the first one came (UTC).
        last: when the latest one came (UTC).
    """
    return {
        "event": EVENT,
        "occurred": last,
        "resource": {
            "prefect.resource.id": f"{RESOURCE}.{batch}",
            "prefect.resource.name": str(batch),
            "trapaudit.source": f"s3://{source}",
        },
        "payload": {
            "source": f"s3://{source}",
            "prefix": f"s3://{batch}",
            "n_notifications": n,
            "first_at": first.isoformat(),
            "last_at": last.isoformat(),
        },
    }


async def emit_to_prefect(event: UploadEvent) -> None:
    """Post an event to Prefect's server at PREFECT_API_URL.

    `prefect.events.emit_event` only queues it for a background thread, and would lose it unseen where the server is away;
    a posted event is answered, so a queue's message is deleted only after its event is out.

    Raises:
        httpx.HTTPError: the server was not reached, or refused.
    """
    from prefect.client.orchestration import get_client
    from prefect.events import Event

    content = Event.model_validate(event).model_dump(mode="json")
    async with get_client() as client:
        answer = await client.request("POST", "/events", json=[content])
        answer.raise_for_status()
