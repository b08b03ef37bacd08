"""The webhook: whose notifications it takes, how many, and what becomes of them."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient

from deployments.relay.app import create_app

from .conftest import SECRET, Clock, Prefect, body, post, record, settings

Make = Callable[..., FastAPI]


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/notifications", {"X-Trapaudit-Secret": SECRET}),
        ("/notifications", {"Authorization": f"Bearer {SECRET}"}),
        ("/notifications", {"Authorization": "Basic " + base64.b64encode(f"me:{SECRET}".encode()).decode()}),
        (f"/notifications/{SECRET}", {}),
    ],
    ids=["header", "minio", "basic", "ceph"],
)
def test_the_secret_opens(make_app: Make, path: str, headers: dict[str, str]) -> None:
    status, answer = asyncio.run(post(make_app(), body("cam1/a.jpg"), path, headers))
    assert (status, answer) == (202, {"accepted": 1, "elsewhere": 0, "other": 0})


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/notifications", {}),
        ("/notifications", {"X-Trapaudit-Secret": ""}),
        ("/notifications", {"X-Trapaudit-Secret": SECRET[:-1]}),
        ("/notifications", {"X-Trapaudit-Secret": SECRET + "0"}),
        ("/notifications", {"Authorization": f"Token {SECRET}"}),
        ("/notifications", {"Authorization": "Basic !!!"}),
        ("/notifications", {"Authorization": "Basic =\xe4="}),
        (f"/notifications/{SECRET.upper()}", {}),
    ],
)
def test_without_the_secret_nothing_is_read(make_app: Make, path: str, headers: dict[str, str]) -> None:
    app = make_app()
    status, answer = asyncio.run(post(app, b"{ not even JSON", path, headers))
    assert (status, answer) == (401, {"detail": "wrong or missing secret"})
    assert app.state.relay.counts["notifications"] == 0


def test_no_answer_repeats_the_address_that_has_the_secret(make_app: Make) -> None:
    status, _ = asyncio.run(post(make_app(), b"{}", f"/notifications/{SECRET}/"))
    assert status == 404, "a redirection would have the secret in its headers"


def test_the_secret_is_compared_in_constant_time(make_app: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    import hmac

    compared: list[bytes] = []
    real = hmac.compare_digest
    monkeypatch.setattr(hmac, "compare_digest", lambda a, b: (compared.append(b), real(a, b))[1])
    asyncio.run(post(make_app(), b"", headers={"x-trapaudit-secret": "x" * 32}))
    assert compared == [SECRET.encode()] * 3


def test_guessing_is_slowed_down_and_does_not_shut_out_the_sender(make_app: Make) -> None:
    app = make_app()

    async def go() -> list[int]:
        wrong = [(await post(app, b"{}", headers={"x-trapaudit-secret": "no"}))[0] for _ in range(60)]
        return [*wrong, (await post(app, body("a.jpg")))[0]]

    *wrong, right = asyncio.run(go())
    assert wrong == [401] * 50 + [429] * 10
    assert right == 202


def test_a_relay_without_a_secret_takes_nothing_by_http(clock: Clock, prefect: Prefect) -> None:
    app = create_app(settings(secret=None, queue_url="http://queue"), emit=prefect, clock=clock)
    assert asyncio.run(post(app, body("a.jpg"), headers={"x-trapaudit-secret": ""}))[0] == 401


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_that_is_too_large_is_not_kept(make_app: Make, chunked: bool) -> None:
    app = make_app(max_body_bytes=1000)
    large = b"x" * 400
    status, answer = asyncio.run(post(app, [large] * 1000 if chunked else large * 1000))
    assert (status, answer["detail"]) == (413, "a notification may have 1000 bytes")
    assert app.state.relay.counts["refused_size"] == 1
    assert asyncio.run(post(app, [body("a.jpg")]))[0] == 202


def test_more_than_the_rate_is_refused_for_now(make_app: Make, clock: Clock) -> None:
    app = make_app(rate=2, burst=3)

    async def several(n: int) -> list[int]:
        return [(await post(app, body("a.jpg")))[0] for _ in range(n)]

    assert asyncio.run(several(5)) == [202, 202, 202, 429, 429]
    clock.now += 1
    assert asyncio.run(several(3)) == [202, 202, 429]


@pytest.mark.parametrize(
    "content",
    [
        b"{", b"\xff", b"[]]", b'{"Records": 3}', b'{"Records": [{}]}', b'{"\\ud800": 1}', b"[" * 90_000, b'"text"', b"null",
        b'{"a\\r\\nb": 1}', b'{"Records": [{"eventName": "ObjectCreated:\\ud800\\n", "s3": {"bucket": {"name": 3}}}]}',
        b'{"Records": [{"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": "cards"}, "object": {"key": "\\udcff"}}}]}',
    ],
)  # fmt: skip
def test_malformed_bodies_are_refused_in_words(make_app: Make, content: bytes) -> None:
    app = make_app()
    status, answer = asyncio.run(post(app, content))
    assert status == 400
    assert answer["detail"]
    assert app.state.relay.counts["malformed"] == 1


def test_an_upload_that_prefect_refuses_holds_up_no_other(make_app: Make, prefect: Prefect, clock: Clock) -> None:
    app = make_app(retry_seconds=5)
    relay = app.state.relay
    take = prefect.__call__

    async def choosy(event: dict[str, Any]) -> None:
        if event["payload"]["prefix"].endswith("cursed"):
            raise ValueError("422 Unprocessable Entity")
        await take(event)

    relay._emit = choosy

    async def go() -> None:
        await post(app, body("cursed/a.jpg"))
        clock.now += 1
        await post(app, body("card1/a.jpg", "card2/a.jpg"))
        clock.now += 60
        await relay.emit_due()
        for _ in range(3):
            clock.now += 20
            await relay.emit_due()

    asyncio.run(go())
    assert sorted(prefect.prefixes()) == ["s3://cards/card1", "s3://cards/card2"]
    assert relay.health()["waiting"] == 1
    assert relay.counts["emit_failures"] >= 2


def test_a_name_that_no_database_keeps_counts_as_its_source(make_app: Make, prefect: Prefect) -> None:
    app = make_app()
    status, answer = asyncio.run(post(app, body("card%00/a.jpg")))
    assert (status, answer["accepted"]) == (202, 1)
    asyncio.run(app.state.relay.emit_due(everything=True))
    assert prefect.prefixes() == ["s3://cards"]


def test_a_sender_that_goes_away_and_a_length_that_is_none(make_app: Make) -> None:
    app = make_app()
    sent = body("a.jpg")
    assert asyncio.run(post(app, [sent], headers={"x-trapaudit-secret": SECRET, "content-length": "\xb2"}))[0] == 202
    assert asyncio.run(post(app, []))[0] == 400


def test_another_bucket_is_acknowledged_counted_and_dropped(
    make_app: Make, prefect: Prefect, caplog: pytest.LogCaptureFixture
) -> None:
    app = make_app()

    async def go() -> list[tuple[int, dict[str, object]]]:
        answers = [await post(app, body("a.jpg", bucket="other")) for _ in range(20)]
        await app.state.relay.emit_due(everything=True)
        return answers

    with caplog.at_level(logging.WARNING, "trapaudit.relay"):
        answers = asyncio.run(go())
    assert answers[0] == (202, {"accepted": 0, "elsewhere": 1, "other": 0})
    assert app.state.relay.counts["elsewhere"] == 20
    assert prefect.events == []
    assert [line for line in caplog.messages if "'other'" in line] == [caplog.messages[0]]


def test_test_events_and_removals_wake_nobody(make_app: Make, prefect: Prefect) -> None:
    app = make_app()
    removal = json.dumps({"Records": [record("a.jpg", name="ObjectRemoved:Delete")]}).encode()
    for content in (b'{"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "cards"}', removal, b""):
        assert asyncio.run(post(app, content))[0] == 202
    asyncio.run(app.state.relay.emit_due(everything=True))
    assert prefect.events == []


def test_one_event_for_each_upload_once_it_rests(make_app: Make, prefect: Prefect, clock: Clock) -> None:
    app = make_app(sources=("s3://cards/2026",))
    relay = app.state.relay

    async def go() -> None:
        for number in range(5):
            await post(app, body(f"2026/card1/cam/{number}.jpg", f"2026/card2/{number}.jpg"))
            clock.now += 20
            assert await relay.emit_due() == 0
        clock.now += 39.9
        assert await relay.emit_due() == 0
        clock.now += 0.1
        assert await relay.emit_due() == 2
        assert await relay.emit_due() == 0

    asyncio.run(go())
    first, second = prefect.events
    assert first["event"] == "trapaudit.upload.arrived"
    assert first["resource"]["prefect.resource.id"] == "trapaudit.upload.cards/2026/card1"
    assert first["payload"]["prefix"] == "s3://cards/2026/card1"
    assert first["payload"]["source"] == "s3://cards/2026"
    assert (first["payload"]["n_notifications"], second["payload"]["n_notifications"]) == (5, 5)
    assert second["payload"]["prefix"] == "s3://cards/2026/card2"


def test_while_prefect_is_away_nothing_is_lost(make_app: Make, prefect: Prefect, clock: Clock) -> None:
    app = make_app(retry_seconds=5)
    relay = app.state.relay

    async def go() -> None:
        await post(app, body("card1/a.jpg", "card2/a.jpg"))
        clock.now += 60
        prefect.away = True
        assert await relay.emit_due() == 0
        assert relay.health()["waiting"] == 2
        assert await relay.emit_due() == 0  # not again at once
        assert relay.counts["emit_failures"] == 1
        clock.now += 5
        assert await relay.emit_due() == 0
        clock.now += 9
        assert await relay.emit_due() == 0
        assert relay.counts["emit_failures"] == 2  # the second wait is twice as long
        assert relay.health()["prefect_failing_seconds"] == 14
        prefect.away = False
        clock.now += 1
        assert await relay.emit_due() == 2

    asyncio.run(go())
    assert sorted(prefect.prefixes()) == ["s3://cards/card1", "s3://cards/card2"]
    assert relay.health()["prefect_failing_seconds"] is None


def test_ten_thousand_notifications_are_a_few_events(make_app: Make, prefect: Prefect) -> None:
    """A minute's worth, each its own request: memory does not grow with them, and nobody is turned away."""
    app = make_app(rate=1, burst=10_000)
    relay = app.state.relay

    async def send(numbers: range) -> set[int]:
        return {(await post(app, body(f"card{n % 7}/cam{n % 97}/IMG_{n:05}.jpg")))[0] for n in numbers}

    async def go() -> int:
        assert await send(range(1000)) == {202}
        grown = []
        tracemalloc.start()
        for start in (1000, 2000, 3000):  # what other threads of the tests keep meanwhile is no growth of each
            before = tracemalloc.get_traced_memory()[0]
            assert await send(range(start, start + 1000)) == {202}
            grown.append(tracemalloc.get_traced_memory()[0] - before)
        tracemalloc.stop()
        assert await send(range(4000, 10_000)) == {202}
        await relay.emit_due(everything=True)
        return min(grown)

    grown = asyncio.run(go())
    assert len(prefect.events) == 7
    assert sum(event["payload"]["n_notifications"] for event in prefect.events) == 10_000
    assert grown < 100_000, "bytes kept of 1000 notifications"


def test_ten_thousand_uploads_become_one_of_their_source(make_app: Make, prefect: Prefect) -> None:
    app = make_app(max_prefixes=100, max_body_bytes=10_000_000)

    async def go() -> None:
        assert (await post(app, body(*[f"card{n}/a.jpg" for n in range(10_000)])))[0] == 202
        assert app.state.relay.health()["waiting"] == 101
        await app.state.relay.emit_due(everything=True)

    asyncio.run(go())
    assert len(prefect.events) == 101
    assert {"prefix": "s3://cards", "n": 9900} in [
        {"prefix": event["payload"]["prefix"], "n": event["payload"]["n_notifications"]} for event in prefect.events
    ]


def test_health_and_life_over_http(prefect: Prefect) -> None:
    """Through httpx, with the application's own start and end: what waits when it stops is emitted."""

    async def go() -> None:
        app = create_app(settings(), emit=prefect)
        async with app.router.lifespan_context(app):
            async with AsyncClient(transport=ASGITransport(app), base_url="http://relay") as client:
                sent = await client.post(
                    "/notifications", content=body("a/b.jpg"), headers={"X-Trapaudit-Secret": SECRET}
                )
                assert sent.status_code == 202
                health = await client.get("/health")
                assert health.status_code == 200
                assert health.json()["status"] == "ok"
                assert health.json()["waiting"] == 1
                assert "cards" not in health.text
                assert (await client.get("/docs")).status_code == 404
            assert prefect.events == []
        assert prefect.prefixes() == ["s3://cards/a"]
        async with AsyncClient(transport=ASGITransport(app), base_url="http://relay") as client:
            assert (await client.get("/health")).status_code == 503

    asyncio.run(go())
