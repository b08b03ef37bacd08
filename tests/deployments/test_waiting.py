"""However many wake-ups come, one run of uploads waits for a SOURCE, and the night goes first: on Prefect's own server."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from deployments.deploy import register
from deployments.deploy_file import Deployment
from deployments.doctor import check_slots
from deployments.relay.events import emit_to_prefect, upload_event
from deployments.relay.settings import Place
from flows.deployed import keep_one_waiting
from flows.waiting import audits_of, tidy_waiting, waiting_runs
from tests.services.wait import until

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def client(prefect_server: str) -> Any:
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        yield client


@pytest.fixture
def source(client: Any, request: pytest.FixtureRequest) -> str:
    """A SOURCE of this test alone, with its deployments; no worker takes their runs."""
    name = request.node.name.replace("_", "-")[:50]
    place = f"s3://cards-{name}".rstrip("-")
    register(Deployment(place, "s3://models/jaguars", f"s3://audit-{name}", name=name, cron="0 0 1 1 *"))
    yield place
    for item in audits_of(client, place):
        client.delete_deployment(item.id)


def start(client: Any, source: str, flow: str, seconds_ago: float) -> Any:
    from prefect.states import Scheduled

    (item,) = (item for item in audits_of(client, source) if item.name.startswith(flow))
    when = datetime.now(UTC) - timedelta(seconds=seconds_ago)
    return client.create_flow_run_from_deployment(item.id, state=Scheduled(scheduled_time=when))


def waiting(client: Any, source: str) -> list[Any]:
    return waiting_runs(client, [item.id for item in audits_of(client, source)], datetime.now(UTC))


def test_of_many_runs_that_wait_one_is_left_and_the_night_goes_first(client: Any, source: str) -> None:
    first = start(client, source, "audit-uploads", 900)
    for _ in range(20):
        start(client, source, "audit-uploads", 600)
    night = start(client, source, "nightly-audit", 300)
    start(client, source, "nightly-audit", 60)
    assert len(waiting(client, source)) == 23
    done = tidy_waiting(client, source)
    assert (done.n_waiting, done.n_cancelled) == (2, 21)
    assert [run.id for run in waiting(client, source)] == [night.id, first.id]
    again = tidy_waiting(client, source)
    assert (again.n_waiting, again.n_cancelled) == (2, 0)


def test_runs_of_another_source_and_runs_planned_for_later_are_left_alone(client: Any, source: str) -> None:
    other = f"{source}-other"
    register(Deployment(other, "s3://models/jaguars", "s3://audit-other", name="other-source", cron="0 0 1 1 *"))
    for _ in range(3):
        start(client, other, "audit-uploads", 60)
        start(client, source, "audit-uploads", -3600)
    start(client, source, "audit-uploads", 60)
    assert tidy_waiting(client, source).n_cancelled == 0
    assert len(waiting(client, other)) == 3
    for item in audits_of(client, other):
        client.delete_deployment(item.id)


def test_whoever_audits_keeps_the_queue_tidy_while_events_come(client: Any, source: str) -> None:
    """Events go straight to the server, so that its trigger starts a run for each."""

    async def emit() -> None:
        now = datetime.now(UTC)
        for number in range(12):
            place = Place.of(source)
            await emit_to_prefect(upload_event(place, Place(place.bucket, f"card{number}"), 1, now, now))

    def states() -> Counter[str]:
        ids = [item.id for item in audits_of(client, source)]
        return Counter(
            run.state_name
            for deployment in ids
            for run in client.read_flow_runs(deployment_filter=_only(deployment), limit=200)
            if run.created_by and run.created_by.type == "AUTOMATION"
        )

    with keep_one_waiting(source, every_seconds=0.5):
        asyncio.run(emit())
        until(
            lambda: states()["Cancelled"] >= 11,
            240,
            "a run for each of twelve events, and all but one of them cancelled",
        )
        until(lambda: len(waiting(client, source)) <= 1, 60, "one run waits")
    assert len(waiting(client, source)) == 1, "one is left to do the work of all"


def test_doctor_shows_who_holds_the_slot_and_a_run_that_no_worker_began(client: Any, source: str) -> None:
    from prefect.states import Pending

    run = start(client, source, "nightly-audit", 10)
    client.set_flow_run_state(run.id, Pending(timestamp=datetime.now(UTC) - timedelta(minutes=3)), force=True)
    check = check_slots()
    assert check is not None and check.ok and f"run {run.name} is pending" in check.found
    assert "slots are in the server's memory" in check.found, "so the server of the tests keeps them"
    monkeypatched = pytest.MonkeyPatch()
    monkeypatched.setattr("deployments.doctor._PENDING_MINUTES", -1)
    check = check_slots()
    monkeypatched.undo()
    assert check is not None and not check.ok and f"prefect flow-run cancel {run.id}" in check.mend


def test_a_run_that_a_worker_took_and_never_began_is_crashed_and_done_again(client: Any, source: str) -> None:
    """The machine died while it was pending: there is no heartbeat that could stay away."""
    from prefect.states import Pending

    register(
        Deployment(source, "s3://models/jaguars", "s3://audit-stuck", name=_name(client, source), cron="0 0 1 1 *",
                   stuck_after_seconds=10)
    )  # fmt: skip
    run = start(client, source, "nightly-audit", 10)
    client.set_flow_run_state(run.id, Pending(), force=True)
    until(lambda: client.read_flow_run(run.id).state_name == "Crashed", 300, "it is crashed", pause=1)
    again = until(lambda: _runs_of(client, source, "audit-uploads"), 300, "what it left is done again", pause=1)
    assert again[0].state_name in ("Scheduled", "Late")


def _name(client: Any, source: str) -> str:
    return next(item.name for item in audits_of(client, source)).split("-", 2)[2]


def _runs_of(client: Any, source: str, flow: str) -> list[Any]:
    (item,) = (item for item in audits_of(client, source) if item.name.startswith(flow))
    return client.read_flow_runs(deployment_filter=_only(item.id), limit=10)


def _only(deployment: Any) -> Any:
    from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterId

    return DeploymentFilter(id=DeploymentFilterId(any_=[deployment]))
