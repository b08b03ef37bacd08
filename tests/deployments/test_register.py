"""`trapaudit deploy` against a Prefect server that was started for it, and an upload that wakes a run there."""

from __future__ import annotations

import asyncio
import contextvars
import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from deployments.deploy import register
from deployments.deploy_file import Deployment
from deployments.doctor import Check, check_server
from deployments.relay.events import emit_to_prefect, upload_event
from deployments.relay.settings import Place
from scd_core.errors import InputError
from tests.services.ports import free_port
from tests.services.recipes import recipe
from tests.services.shared import prefect_api
from tests.services.wait import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
WANTED = Deployment(
    "s3://cards/2026", "s3://models/jaguars", "s3://audit", timezone="Europe/Berlin", gpu_limits={"gpu-host1": 1}
)
NAMES = ["nightly-audit", "audit-uploads", "refresh-error-report"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    from prefect.settings import PREFECT_API_URL, temporary_settings

    folder = tmp_path_factory.mktemp("register")
    with prefect_api(folder, free_port()) as url, temporary_settings(updates={PREFECT_API_URL: url}):
        yield url


async def held() -> dict[str, Any]:
    """Everything `trapaudit deploy` makes; automations without their ids, which Prefect gives anew."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.sorting import DeploymentSort

    async with get_client() as client:
        deployments = sorted(await client.read_deployments(sort=DeploymentSort.NAME_ASC), key=lambda item: item.name)
        automations = sorted(await client.read_automations(), key=lambda item: item.name)
        queues = [await client.read_work_queue_by_name(name, "trapaudit-process") for name in ("audits", "reports")]
        limit = await client.read_global_concurrency_limit_by_name("gpu-host1")
        return {
            "deployments": [
                (item.id, item.name, item.parameters, item.tags, item.version, item.entrypoint, item.pull_steps or [],
                 item.enforce_parameter_schema, item.global_concurrency_limit and item.global_concurrency_limit.limit,
                 item.concurrency_options and item.concurrency_options.collision_strategy.value,
                 sorted((s.slug, str(s.schedule), s.active, str(s.parameters)) for s in item.schedules))
                for item in deployments
            ],
            "automations": [(item.name, item.enabled, str(item.trigger.expect)) for item in automations],
            "queues": [(queue.id, queue.concurrency_limit) for queue in queues],
            "limit": (limit.id, limit.limit),
        }  # fmt: skip


def test_doing_it_again_changes_nothing(server: str) -> None:
    assert register(WANTED) == NAMES
    first = asyncio.run(held())
    assert register(WANTED) == NAMES
    assert asyncio.run(held()) == first
    assert [item[1] for item in first["deployments"]] == sorted(NAMES)
    assert [item[8] for item in first["deployments"]] == [1, 1, 1]
    assert [item[9] for item in first["deployments"]] == ["ENQUEUE"] * 3
    assert all(not item[6] for item in first["deployments"])
    assert [limit for _, limit in first["queues"]] == [1, None]
    assert [name for name, *_ in first["automations"]] == [
        "trapaudit audit completed", "trapaudit audit was lost", "trapaudit lost runs", "trapaudit stuck runs",
        "trapaudit upload arrived",
    ]  # fmt: skip
    nightly = next(item for item in first["deployments"] if item[1] == "nightly-audit")
    assert "Europe/Berlin" in nightly[10][0][1]


def test_a_second_deployment_of_the_same_source_is_refused(server: str) -> None:
    register(WANTED)
    with pytest.raises(
        InputError, match=r"(nightly-audit|audit-uploads) already audits s3://cards/2026 into s3://audit"
    ):
        register(Deployment(**{**WANTED.__dict__, "name": "again"}))


def test_the_server_plans_the_nights(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With SQLAlchemy 2.1 its scheduler fails, unseen but for its own log, and no night is ever audited."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterName

    import deployments.doctor as doctor

    register(WANTED)

    async def planned() -> list[datetime]:
        async with get_client() as client:
            only = DeploymentFilter(name=DeploymentFilterName(any_=["nightly-audit"]))
            return [run.expected_start_time for run in await client.read_flow_runs(deployment_filter=only)]

    nights = until(lambda: found if len(found := asyncio.run(planned())) >= 3 else [], 600, "planned nights", pause=0.5)
    assert {night.astimezone(ZoneInfo("Europe/Berlin")).strftime("%H:%M") for night in nights} == {"02:30"}
    monkeypatch.setattr(doctor, "_SCHEDULER_SECONDS", 0.0)
    # the weekly report's too
    until(lambda: "no run is planned" not in check_server().found, 600, lambda: check_server().found, pause=0.5)

    async def forget() -> None:
        async with get_client() as client:
            only = DeploymentFilter(name=DeploymentFilterName(any_=["nightly-audit"]))
            for run in await client.read_flow_runs(deployment_filter=only):
                await client.delete_flow_run(run.id)

    def without_nights() -> Check | None:
        asyncio.run(forget())
        check = check_server()
        return None if check.ok or "nightly-audit" not in check.found else check

    check = until(without_nights, 600, "a look before the scheduler plans them again", pause=0.5)
    assert "nightly-audit: a schedule, but no run is planned" in check.found
    assert "sqlalchemy<2.1" in check.mend


def test_an_upload_wakes_a_run_that_knows_of_it(server: str) -> None:
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterName

    register(WANTED)
    now = datetime.now(UTC)
    event = upload_event(Place("cards", "2026"), Place("cards", "2026/card1"), 3, now, now)
    asyncio.run(emit_to_prefect(event))

    async def runs() -> list[Any]:
        async with get_client() as client:
            only = DeploymentFilter(name=DeploymentFilterName(any_=["audit-uploads"]))
            return await client.read_flow_runs(deployment_filter=only)

    found = until(lambda: asyncio.run(runs()), 600, "run of the upload", pause=0.5)
    assert len(found) == 1
    assert found[0].parameters["event"] == event["payload"]
    assert found[0].parameters["request"]["source"] == "s3://cards/2026"


def test_the_doctor_misses_the_worker_and_the_limit(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    register(WANTED)
    check = check_server()
    assert not check.ok
    assert check.mend == "start one: prefect worker start --pool trapaudit-process"


def test_a_gpu_limit_that_was_never_made_is_an_error(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from scd_core.errors import RunError
    from tasks.gpu import gpu_slot

    register(WANTED)
    monkeypatch.setenv("TRAPAUDIT_GPU_LIMIT", "gpu-host1")
    with gpu_slot("cuda:0"):
        pass
    monkeypatch.setenv("TRAPAUDIT_GPU_LIMIT", "gpu-host2")
    with gpu_slot("cpu"):
        pass
    with pytest.raises(RunError, match="TRAPAUDIT_GPU_LIMIT=gpu-host2: no such limit"), gpu_slot("cuda:0"):
        pytest.fail("went on without the limit")


def test_one_run_on_a_source_waits_for_the_other(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever deployments they are of: what `prefect deploy --all` registers has no limit on its work queue."""
    import flows.deployed as module

    monkeypatch.setattr("prefect.runtime.deployment.get_id", lambda: "d1")
    monkeypatch.setattr(module, "get_run_logger", lambda: logging.getLogger("run"))
    inside: list[str] = []
    entered, leave = threading.Event(), threading.Event()

    def audit(name: str, source: str, wait: bool = False) -> None:
        with module.alone_on(source):
            inside.append(name)
            entered.set()
            if wait:
                leave.wait(600)

    def thread(*arguments: object) -> threading.Thread:  # the server's address is in the context
        return threading.Thread(target=contextvars.copy_context().run, args=(audit, *arguments), daemon=True)

    first = thread("first", "s3://cards/2026", True)
    second = thread("second", "s3://cards/2026/")
    first.start()
    assert entered.wait(300)
    second.start()
    audit("elsewhere", "s3://cards/2027")
    second.join(3)
    assert inside == ["first", "elsewhere"]
    leave.set()
    first.join(300)
    second.join(300)
    assert inside == ["first", "elsewhere", "second"]


def test_a_person_is_told_of_a_run_that_failed(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The recipe of docs/deploying.md, with an address of Apprise that this test listens at."""
    from prefect.client.orchestration import get_client
    from prefect.states import Failed

    told: list[dict[str, Any]] = []

    class Listener(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    register(WANTED)
    listener = HTTPServer(("127.0.0.1", 0), Listener)
    threading.Thread(target=listener.serve_forever, daemon=True).start()
    try:
        monkeypatch.setenv("ALERT_URL", f"json://127.0.0.1:{listener.server_port}/")
        exec(recipe("alerts"), {})

        async def fail() -> None:
            async with get_client() as client:
                deployment = await client.read_deployment_by_name("nightly-audit/nightly-audit")
                run = await client.create_flow_run_from_deployment(deployment.id)
                await client.set_flow_run_state(run.id, Failed(message="SOURCE s3://cards/2026: gone"), force=True)

        asyncio.run(fail())
        until(lambda: told, 600, "message of the failed run")
    finally:
        listener.shutdown()
        listener.server_close()
    assert told[0]["title"] == "trapaudit audit failed"
    assert "SOURCE s3://cards/2026: gone" in told[0]["message"]


def test_an_event_that_no_server_takes_is_an_error(tmp_path: Path) -> None:
    from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings

    now = datetime.now(UTC)
    nowhere = f"http://127.0.0.1:{free_port()}/api"
    with (
        temporary_settings(updates={PREFECT_API_URL: nowhere, PREFECT_CLIENT_MAX_RETRIES: 0}),
        pytest.raises(Exception, match="connect"),
    ):
        asyncio.run(emit_to_prefect(upload_event(Place("a", ""), Place("a", ""), 1, now, now)))


def test_prefect_deploy_all_registers_the_same_three(server: str, tmp_path: Path) -> None:
    """With FastAPI beyond 0.150 it ended after the first one, on a look-up that Prefect's own server refuses."""
    from prefect.client.orchestration import get_client

    from deployments.deploy_file import packaged_file

    register(WANTED)
    places = {"SOURCE": WANTED.source, "MODEL": WANTED.model, "OUT": WANTED.out, "IMAGE": "trapaudit"}
    env = os.environ | {f"TRAPAUDIT_{name}": value for name, value in places.items()}
    command = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all", "--prefect-file", packaged_file()]
    done = subprocess.run(
        command, env=env | {"PREFECT_API_URL": server}, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]

    async def found() -> list[str]:
        async with get_client() as client:
            return sorted(item.name for item in await client.read_deployments())

    assert asyncio.run(found()) == sorted(NAMES)
