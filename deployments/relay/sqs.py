"""The queue: the same notifications from SQS, each message deleted only after its event is out."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager
from typing import Any

from deployments.relay.core import Count, Relay
from deployments.relay.notifications import NotificationError, read_notification
from scd_core.errors import first_line

__all__ = ["SqsConsumer"]

logger = logging.getLogger("trapaudit.relay")

_LONG_POLL_SECONDS = 20
_PER_CALL = 10
"""Messages in one SQS call; SQS takes no more."""

_RETRY_SECONDS = 5.0
_PAUSE_SECONDS = 0.5


class _Message:
    """A message that waits for the events of its uploads."""

    def __init__(self, handle: str, done: Callable[[_Message], None]) -> None:
        self.handle = handle
        self._done = done
        self._open = 1  # the reading itself, so that it is not done before all its uploads are known

    def hold(self) -> None:
        self._open += 1

    def settle(self) -> None:
        self._open -= 1
        if self._open == 0:
            self._done(self)


class SqsConsumer:
    """Reads a queue by long polls into the relay.

    A message is hidden from others as long as its event waits, and deleted once that is out. Messages that a relay held when
    it died come again; twice or in another order does no harm. A message that is no notification is left to the queue's
    redrive policy.

    Args:
        queue_url: the queue; credentials, region and endpoint come from the standard AWS variables.
        relay: takes the notifications.
        client: makes the SQS client, a context manager; default aiobotocore's.
    """

    def __init__(
        self, queue_url: str, relay: Relay, client: Callable[[], AbstractAsyncContextManager[Any]] | None = None
    ) -> None:
        self.queue_url = queue_url
        self.relay = relay
        self.held: dict[str, _Message] = {}
        self._done: asyncio.Queue[_Message] = asyncio.Queue()
        self._client = client or _aws_client
        self._visibility = relay.settings.visibility_seconds
        self._max_held = relay.settings.max_held

    async def run(self) -> None:
        """Receive, extend and delete until cancelled; then delete what is done and end."""
        async with self._client() as client:
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._repeat(client, self.receive, 0.0))
                    group.create_task(self._repeat(client, self.extend, self._visibility / 3))
                    group.create_task(self._repeat(client, self.delete_done, _PAUSE_SECONDS))
            finally:
                await self.delete_done(client)

    async def receive(self, client: Any, wait_seconds: int = _LONG_POLL_SECONDS) -> int:
        """Read up to ten messages; returns how many came."""
        if len(self.held) >= self._max_held:
            await self.relay.emit_due(everything=True)
            await asyncio.sleep(_PAUSE_SECONDS)
            return 0
        answer = await client.receive_message(
            QueueUrl=self.queue_url,
            MaxNumberOfMessages=_PER_CALL,
            WaitTimeSeconds=wait_seconds,
            VisibilityTimeout=self._visibility,
        )
        messages = answer.get("Messages", [])
        for content in messages:
            self._take(content)
        return len(messages)

    async def extend(self, client: Any) -> None:
        """Hide the messages that wait for another while."""
        for part in _parts(list(self.held.values())):
            entries = [
                {"Id": str(number), "ReceiptHandle": message.handle, "VisibilityTimeout": self._visibility}
                for number, message in enumerate(part)
            ]
            answer = await client.change_message_visibility_batch(QueueUrl=self.queue_url, Entries=entries)
            for failure in answer.get("Failed", []):
                # Its time ran out or it was deleted: the queue will give it again, so it is forgotten here.
                self.held.pop(part[int(failure["Id"])].handle, None)

    async def delete_done(self, client: Any) -> None:
        """Delete the messages whose events are out."""
        done = []
        while not self._done.empty():
            done.append(self._done.get_nowait())
        for part in _parts(done):
            entries = [{"Id": str(number), "ReceiptHandle": message.handle} for number, message in enumerate(part)]
            try:
                answer = await client.delete_message_batch(QueueUrl=self.queue_url, Entries=entries)
            except Exception:
                for message in part:
                    self._done.put_nowait(message)
                raise
            for failure in answer.get("Failed", []):
                logger.warning("a message could not be deleted (%s); it will come again", failure.get("Code"))

    def _take(self, content: dict[str, Any]) -> None:
        message = _Message(content["ReceiptHandle"], self._finish)
        try:
            notification = read_notification(content["Body"])
        except NotificationError as error:
            self.relay.counts[Count.MALFORMED] += 1
            logger.warning("message %s could not be read: %s; left to the queue", content.get("MessageId"), error)
            return
        self.held[message.handle] = message
        self.relay.take(notification, message)
        message.settle()

    def _finish(self, message: _Message) -> None:
        self.held.pop(message.handle, None)
        self._done.put_nowait(message)

    async def _repeat(self, client: Any, step: Callable[[Any], Any], pause: float) -> None:
        while True:
            try:
                await step(client)
            except Exception as error:  # noqa: BLE001 - the queue may be away for any reason; it is read again
                self.relay.counts[Count.QUEUE_FAILURES] += 1
                logger.warning("queue: %s", first_line(error))
                await asyncio.sleep(_RETRY_SECONDS)
            await asyncio.sleep(pause)


def _parts(messages: list[_Message]) -> Iterable[list[_Message]]:
    return (messages[start : start + _PER_CALL] for start in range(0, len(messages), _PER_CALL))


def _aws_client() -> AbstractAsyncContextManager[Any]:
    from aiobotocore.config import AioConfig
    from aiobotocore.session import get_session

    # Longer than a long poll, or every quiet one would end in a timeout.
    config = AioConfig(read_timeout=_LONG_POLL_SECONDS + 20, retries={"max_attempts": 2})
    return get_session().create_client("sqs", config=config)
