"""`trapaudit doctor`: everything an audit needs, checked before a night depends on it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from scd_core import __version__
from scd_core.doctor import (
    Check,
    check_device,
    check_disk,
    check_model,
    check_out,
    check_software,
    check_source,
)
from scd_core.errors import InputError, first_line
from scd_core.inputs.config import load_config
from tasks.gpu import LIMIT_VARIABLE

if TYPE_CHECKING:
    from prefect.client.orchestration import PrefectClient
    from prefect.client.schemas.responses import DeploymentResponse

__all__ = ["check_server", "diagnose"]

_SERVER_SECONDS = 30.0
_PENDING_MINUTES = 30
"""Longest time between a worker taking a run and beginning it; pulling an image is part of it."""
_LEASES = "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE=prefect.server.concurrency.lease_storage.filesystem there"
_SCHEDULER_SECONDS = 120.0
"""The server plans the runs of a new deployment once a minute."""


def diagnose(source: str | None, model: str | None, out: str | None, config: str | None = None) -> Iterator[Check]:
    """Check what was named, and what every machine needs, one after the other.

    Args:
        source: URL or path of the images; None leaves it out.
        model: URL or path of a model package; None leaves it out.
        out: URL or path of the audit tables; None leaves it out.
        config: URL of the settings, for the device.
    """
    yield check_software()
    yield check_disk(out)
    server = check_server()
    yield server
    if server.ok and (slots := check_slots()) is not None:
        yield slots
    if source:
        yield check_source(source, out)
    if out:
        yield check_out(out)
    if model:
        yield check_model(model)
    try:
        device = load_config(config).classify.device
    except InputError as error:
        yield Check("config", False, str(error), "see docs/config.md")
    else:
        yield check_device(device)


def check_server() -> Check:
    """Whether Prefect's server is there, has deployments of this version, plans their runs, has workers for them, and this
    worker's GPU limit.

    Without a server it is well too: a run needs none.
    """
    from prefect.settings import get_current_settings

    url = get_current_settings().api.url
    if not url:
        return Check("server", True, "PREFECT_API_URL is not set: runs at the command line need no server")
    try:
        return asyncio.run(asyncio.wait_for(_look_at_server(url), _SERVER_SECONDS))
    except Exception as error:  # noqa: BLE001 - any way not to reach it is what is asked
        return Check("server", False, f"{url}: not reached ({first_line(error)})", "start it, or mend PREFECT_API_URL")


def check_slots() -> Check | None:
    """Who holds the one slot of each SOURCE; None where there is no server, or it has no deployments of ours."""
    from prefect.settings import get_current_settings

    url = get_current_settings().api.url
    if not url:
        return None
    try:
        return asyncio.run(asyncio.wait_for(_look_at_slots(), _SERVER_SECONDS))
    except Exception as error:  # noqa: BLE001 - as above
        return Check(
            "slots", False, f"{url}: runs could not be read ({first_line(error)})", "look into the server's log"
        )


async def _look_at_slots() -> Check | None:
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import (
        DeploymentFilter,
        DeploymentFilterTags,
        FlowRunFilter,
        FlowRunFilterState,
        FlowRunFilterStateType,
    )
    from prefect.client.schemas.objects import StateType

    ours = DeploymentFilter(tags=DeploymentFilterTags(all_=["trapaudit"]))
    at_work = FlowRunFilterStateType(any_=[StateType.PENDING, StateType.RUNNING])
    held = FlowRunFilter(state=FlowRunFilterState(type=at_work))
    now, lines, stuck = datetime.now(UTC), [], []
    async with get_client() as client:
        names: dict[object, str] = {
            item.id: item.name for item in await client.read_deployments(deployment_filter=ours)
        }
        for run in await client.read_flow_runs(deployment_filter=ours, flow_run_filter=held, limit=200):
            minutes = (now - run.state.timestamp).total_seconds() / 60 if run.state else 0.0
            state = (run.state_name or "").lower()
            lines.append(f"{names.get(run.deployment_id)}: run {run.name} is {state} for {minutes:.0f} min")
            if run.state_type == StateType.PENDING and minutes > _PENDING_MINUTES:
                stuck.append(str(run.id))
        if not names:
            return None
        in_memory = await _slots_are_in_memory(client)
    found = "; ".join(lines) or "no run is at work"
    if in_memory:
        found += f"; slots are in the server's memory, and a run loses its own when the server restarts: set {_LEASES}"
    if stuck:
        mend = f"no worker began it: prefect flow-run cancel {stuck[0]}; `trapaudit deploy` has such runs end by themselves"
        return Check("slots", False, found, mend)
    return Check("slots", True, found)


async def _slots_are_in_memory(client: PrefectClient) -> bool:
    """Whether the server forgets who holds a slot when it is restarted; False where it does not say."""
    from prefect.exceptions import PrefectHTTPStatusError

    try:
        settings = (await client.request("GET", "/admin/settings")).json()
    except PrefectHTTPStatusError:  # a server of another maker, or one that keeps its settings to itself
        return False
    module = settings.get("server", {}).get("concurrency", {}).get("lease_storage", "")
    return str(module).endswith(".memory")


async def _look_at_server(url: str) -> Check:
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterTags, WorkerFilter, WorkerFilterStatus
    from prefect.client.schemas.objects import WorkerStatus
    from prefect.client.schemas.sorting import DeploymentSort
    from prefect.exceptions import ObjectNotFound

    async with get_client() as client:
        if (failure := await client.api_healthcheck()) is not None:
            raise failure
        found = await client.read_deployments(
            deployment_filter=DeploymentFilter(tags=DeploymentFilterTags(all_=["trapaudit"])),
            sort=DeploymentSort.NAME_ASC,
        )
        where = f"{url}: {len(found)} deployments"
        if old := sorted(item.name for item in found if item.version not in (None, __version__)):
            return Check(
                "server", False, f"{where}, {', '.join(old)} not of version {__version__}", "run `trapaudit deploy`"
            )
        if idle := await _without_runs(client, found):
            return Check(
                "server", False, f"{where}; {', '.join(idle)}: a schedule, but no run is planned",
                "look into the server's log: its scheduler fails, as with SQLAlchemy 2.1; pip install 'sqlalchemy<2.1' there",
            )  # fmt: skip
        pools = sorted({item.work_pool_name for item in found if item.work_pool_name})
        online = WorkerFilter(status=WorkerFilterStatus(any_=[WorkerStatus.ONLINE]))
        for pool in pools:
            if not await client.read_workers_for_work_pool(pool, worker_filter=online, offset=0, limit=1):
                return Check(
                    "server", False, f"{where}; no worker of pool {pool} is online",
                    f"start one: prefect worker start --pool {pool}",
                )  # fmt: skip
        if name := os.environ.get(LIMIT_VARIABLE):
            try:
                await client.read_global_concurrency_limit_by_name(name)
            except ObjectNotFound:
                return Check(
                    "server", False, f"{where}; {LIMIT_VARIABLE}={name}: no such limit",
                    f"run `trapaudit deploy --gpu-limit {name}=1`",
                )  # fmt: skip
        return Check("server", True, where)


async def _without_runs(client: PrefectClient, deployments: Sequence[DeploymentResponse]) -> list[str]:
    """Names of deployments that have a schedule for a while already, and yet no run that is planned."""
    from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterId, FlowRunFilter, FlowRunFilterState
    from prefect.client.schemas.filters import FlowRunFilterStateType as StateTypes
    from prefect.client.schemas.objects import StateType

    planned = FlowRunFilter(state=FlowRunFilterState(type=StateTypes(any_=[StateType.SCHEDULED])))
    idle = []
    for item in deployments:
        age = (datetime.now(UTC) - item.updated).total_seconds() if item.updated else 0.0
        if item.paused or age < _SCHEDULER_SECONDS or not any(schedule.active for schedule in item.schedules):
            continue
        only = DeploymentFilter(id=DeploymentFilterId(any_=[item.id]))
        if not await client.read_flow_runs(deployment_filter=only, flow_run_filter=planned, limit=1):
            idle.append(item.name)
    return idle
