"""The queue: moto's SQS over HTTP, in this process."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import Callable, Coroutine
from typing import Any

import boto3
import pytest

from deployments.relay.core import Relay
from deployments.relay.sqs import SqsConsumer, _aws_client
from tests.services.recipes import recipe
from tests.services.servers import S3Server
from tests.services.wait import until

from .conftest import Clock, Prefect, body, settings


@pytest.fixture
def queue(moto: S3Server, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, str]:
    for name, value in moto.env().items():
        monkeypatch.setenv(name, value)
    client = boto3.client("sqs", endpoint_url=moto.endpoint, region_name=moto.region)
    return client, client.create_queue(QueueName=f"q{uuid.uuid4().hex[:8]}")["QueueUrl"]


@pytest.fixture
def queue_clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The time of moto's queues in this process, which stands still: how long a message is hidden is counted by it."""
    clock = Clock()
    clock.now = time.time()
    monkeypatch.setattr("moto.sqs.models.unix_time_millis", lambda: 1000 * clock.now)
    return clock


def run(url: str, relay: Relay, script: Callable[[SqsConsumer, Any], Coroutine[Any, Any, None]]) -> None:
    async def go() -> None:
        consumer = SqsConsumer(url, relay)
        async with _aws_client() as client:
            await script(consumer, client)

    asyncio.run(asyncio.wait_for(go(), 600))


def left(client: Any, url: str) -> tuple[int, int]:
    """Messages that can be received, and hidden ones."""
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    found = client.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    return int(found[names[0]]), int(found[names[1]])


async def receive_all(consumer: SqsConsumer, client: Any) -> None:
    while await consumer.receive(client, wait_seconds=0):
        pass


def delivery(relay: Relay, clock: Clock) -> Callable[[SqsConsumer, Any], Coroutine[Any, Any, None]]:
    """A script that takes all messages, and gets their events out once their uploads have been quiet."""

    async def script(consumer: SqsConsumer, client: Any) -> None:
        await receive_all(consumer, client)
        clock.now += 60
        await relay.emit_due()
        await consumer.delete_done(client)

    return script


def test_a_message_is_deleted_only_after_its_event_is_out(queue: Any, clock: Clock, prefect: Prefect) -> None:
    sqs, url = queue
    for number in range(12):
        sqs.send_message(QueueUrl=url, MessageBody=body(f"card1/{number}%2B.jpg").decode())
    relay = Relay(settings(secret=None, queue_url=url), prefect, clock)

    async def script(consumer: SqsConsumer, client: Any) -> None:
        await receive_all(consumer, client)
        await consumer.delete_done(client)
        assert left(sqs, url) == (0, 12)
        clock.now += 60
        prefect.away = True
        assert await relay.emit_due() == 0
        await consumer.delete_done(client)
        assert left(sqs, url) == (0, 12)
        prefect.away = False
        clock.now += 60
        assert await relay.emit_due() == 1
        await consumer.delete_done(client)
        assert left(sqs, url) == (0, 0)
        assert consumer.held == {}

    run(url, relay, script)
    assert [event["payload"]["n_notifications"] for event in prefect.events] == [12]


def test_a_message_of_two_uploads_waits_for_both(queue: Any, clock: Clock, prefect: Prefect) -> None:
    sqs, url = queue
    relay = Relay(settings(secret=None, queue_url=url), prefect, clock)
    sqs.send_message(QueueUrl=url, MessageBody=body("card1/a.jpg", "card1/b.jpg", "card2/a.jpg").decode())

    async def script(consumer: SqsConsumer, client: Any) -> None:
        await receive_all(consumer, client)
        clock.now += 59
        sqs.send_message(QueueUrl=url, MessageBody=body("card2/c.jpg").decode())
        await receive_all(consumer, client)
        clock.now += 1
        assert await relay.emit_due() == 1
        await consumer.delete_done(client)
        assert left(sqs, url) == (0, 2)
        clock.now += 60
        assert await relay.emit_due() == 1
        await consumer.delete_done(client)
        assert left(sqs, url) == (0, 0)

    run(url, relay, script)


def test_what_needs_no_event_is_deleted_and_what_is_none_is_left(queue: Any, clock: Clock, prefect: Prefect) -> None:
    sqs, url = queue
    sns = json.dumps({"Type": "Notification", "Message": body("a/b.jpg", bucket="other").decode()})
    for text in ('{"Event": "s3:TestEvent"}', sns, body("a.jpg", name="ObjectRemoved:Delete").decode(), "poison"):
        sqs.send_message(QueueUrl=url, MessageBody=text)
    relay = Relay(settings(secret=None, queue_url=url), prefect, clock)

    async def script(consumer: SqsConsumer, client: Any) -> None:
        await receive_all(consumer, client)
        await consumer.delete_done(client)
        assert left(sqs, url) == (0, 1)
        assert consumer.held == {}

    run(url, relay, script)
    assert relay.counts["malformed"] == 1
    assert (relay.counts["elsewhere"], relay.counts["other"], relay.counts["tests"]) == (1, 1, 1)
    assert prefect.events == []


def test_a_message_that_waits_stays_hidden(queue: Any, queue_clock: Clock, clock: Clock, prefect: Prefect) -> None:
    """Without the extension the second consumer would be given the message after three seconds."""
    sqs, url = queue
    sqs.send_message(QueueUrl=url, MessageBody=body("a/b.jpg").decode())
    relay = Relay(settings(secret=None, queue_url=url, visibility_seconds=3), prefect, clock)

    async def script(consumer: SqsConsumer, client: Any) -> None:
        await receive_all(consumer, client)
        queue_clock.now += 2
        await consumer.extend(client)
        queue_clock.now += 2
        assert left(sqs, url) == (0, 1)
        queue_clock.now += 2
        assert left(sqs, url) == (1, 0)  # nothing extended it a second time

    run(url, relay, script)


def test_a_relay_that_dies_loses_nothing(queue: Any, queue_clock: Clock, clock: Clock) -> None:
    sqs, url = queue
    sqs.send_message(QueueUrl=url, MessageBody=body("a/b.jpg").decode())
    first, second = Prefect(), Prefect()

    async def die(consumer: SqsConsumer, client: Any) -> None:
        await receive_all(consumer, client)

    run(url, Relay(settings(secret=None, queue_url=url, visibility_seconds=3), first, clock), die)
    assert sqs.receive_message(QueueUrl=url).get("Messages") is None
    queue_clock.now += 3.5  # its time runs out
    sqs.send_message(QueueUrl=url, MessageBody=body("a/b.jpg").decode())  # and SQS notifies of it twice
    relay = Relay(settings(secret=None, queue_url=url), second, clock)

    run(url, relay, delivery(relay, clock))
    assert first.events == []
    assert [event["payload"]["n_notifications"] for event in second.events] == [2]
    assert left(sqs, url) == (0, 0)


def test_held_messages_are_bounded(queue: Any, clock: Clock, prefect: Prefect) -> None:
    sqs, url = queue
    for number in range(30):
        sqs.send_message(QueueUrl=url, MessageBody=body(f"card{number}/a.jpg").decode())
    relay = Relay(settings(secret=None, queue_url=url, max_held=10), prefect, clock)

    async def script(consumer: SqsConsumer, client: Any) -> None:
        most = 0
        for _ in range(8):
            await consumer.receive(client, wait_seconds=0)
            most = max(most, len(consumer.held))
        assert most <= 20
        await relay.emit_due(everything=True)
        await consumer.delete_done(client)
        assert left(sqs, url) == (0, 0)

    run(url, relay, script)
    assert len(prefect.events) == 30


def test_the_consumer_runs_by_itself_and_survives_a_queue_that_is_away(
    queue: Any, prefect: Prefect, monkeypatch: pytest.MonkeyPatch
) -> None:
    import deployments.relay.sqs as module

    monkeypatch.setattr(module, "_RETRY_SECONDS", 0.1)
    monkeypatch.setattr(module, "_LONG_POLL_SECONDS", 1)
    sqs, url = queue
    relay = Relay(settings(secret=None, queue_url=url, quiet_seconds=0.2), prefect)
    consumer = SqsConsumer(url, relay)
    failures = iter([OSError("no route to host"), OSError("no route to host")])
    receive = SqsConsumer.receive

    async def sometimes(self: SqsConsumer, client: Any) -> int:
        if (failure := next(failures, None)) is not None:
            raise failure
        return await receive(self, client, wait_seconds=1)

    consumer.receive = sometimes.__get__(consumer)  # type: ignore[method-assign]
    sqs.send_message(QueueUrl=url, MessageBody=body("a/b.jpg").decode())

    async def go() -> None:
        jobs = [asyncio.create_task(relay.run()), asyncio.create_task(consumer.run())]
        await asyncio.to_thread(until, lambda: left(sqs, url) == (0, 0), 300, "end of the queue")
        for job in jobs:
            job.cancel()
        await asyncio.gather(*jobs, return_exceptions=True)

    asyncio.run(go())
    assert prefect.prefixes() == ["s3://cards/a"]
    assert relay.counts["queue_failures"] == 2
    assert left(sqs, url) == (0, 0)


def test_the_recipe_for_aws(queue: Any, moto: S3Server, clock: Clock, prefect: Prefect) -> None:
    """docs/deploying.md as it stands, then an upload: bucket, queue, consumer, event."""
    sqs, _ = queue
    s3 = moto.client()
    s3.create_bucket(Bucket="cards")
    said: list[str] = []
    exec(recipe("AWS"), {"print": said.append})
    (line,) = said
    name, _, url = line.partition("=")
    assert name == "TRAPAUDIT_RELAY_QUEUE_URL"
    s3.put_object(Bucket="cards", Key="card 1/豹+(a).jpg", Body=b"x")
    relay = Relay(settings(secret=None, queue_url=url), prefect, clock)

    run(url, relay, delivery(relay, clock))
    assert prefect.prefixes() == ["s3://cards/card 1"]
    assert left(sqs, url) == (0, 0)
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    assert json.loads(attributes["RedrivePolicy"])["maxReceiveCount"] == 20
    assert json.loads(attributes["Policy"])["Statement"][0]["Condition"]["ArnEquals"]["aws:SourceArn"].endswith(
        ":cards"
    )
