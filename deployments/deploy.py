"""`trapaudit deploy`: the deployments of prefect.yaml registered with a Prefect server."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.deployments.runner import EntrypointType, RunnerDeployment
from prefect.events import DeploymentEventTrigger
from prefect.exceptions import PrefectHTTPStatusError
from prefect.flows import load_flow_from_entrypoint
from prefect.schedules import Schedule

from deployments.deploy_file import Deployment, packaged_file, render
from deployments.server import api_url, lost_runs_automation, stuck_runs_automation, wait_for_server
from scd_core.errors import InputError, RunError, first_line
from scd_core.storage import clean_url

__all__ = ["register"]


def register(wanted: Deployment, prefect_file: Path | None = None) -> list[str]:
    """Make the pool, register the deployments, and set the limits; done twice, it changes nothing.

    Args:
        wanted: what is to be deployed.
        prefect_file: another prefect.yaml than the packaged one.

    Returns:
        Names of the deployments.

    Raises:
        InputError: what is wanted cannot be used, another deployment already audits SOURCE into OUT, or there is no server.
        RunError: the server was not reached, or refused.
    """
    path = prefect_file or packaged_file()
    try:
        content = render(wanted, yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, yaml.YAMLError, KeyError, TypeError) as error:
        raise InputError(f"{path}: not the prefect.yaml of trapaudit ({error!r})") from error
    url = api_url()
    try:
        asyncio.run(_register(wanted, content, url))
    except PrefectHTTPStatusError as error:
        raise RunError(f"the Prefect server refused: {first_line(error)}") from error
    return [item["name"] for item in content["deployments"]]


async def _register(wanted: Deployment, content: dict[str, Any], url: str) -> None:
    await wait_for_server(url)
    await _prepare(wanted, content)
    for item in content["deployments"]:
        await _deployment(item).aapply()
    await _limit(wanted, content)


def _deployment(item: dict[str, Any]) -> RunnerDeployment:
    """One entry of prefect.yaml as what Prefect registers."""
    limit, pool = item["concurrency_limit"], item["work_pool"]
    return RunnerDeployment.from_flow(
        load_flow_from_entrypoint(item["entrypoint"]),
        item["name"],
        entrypoint_type=EntrypointType.MODULE_PATH,
        parameters=item["parameters"],
        description=item["description"],
        version=str(item["version"]),
        tags=item["tags"],
        enforce_parameter_schema=item["enforce_parameter_schema"],
        work_pool_name=pool["name"],
        work_queue_name=pool["work_queue_name"],
        job_variables=pool["job_variables"],
        schedules=[_schedule(**schedule) for schedule in item["schedules"]],
        concurrency_limit=ConcurrencyLimitConfig(
            limit=limit["limit"],
            collision_strategy=ConcurrencyLimitStrategy(limit["collision_strategy"]),
            grace_period_seconds=limit["grace_period_seconds"],
        ),
        triggers=[DeploymentEventTrigger.model_validate(trigger) for trigger in item.get("triggers", ())],
    )


def _schedule(interval: int | None = None, **values: Any) -> Schedule:
    """One schedule of prefect.yaml; an interval (s) counts from a fixed moment, so that deploying again moves nothing."""
    if interval is None:
        return Schedule(**values)
    return Schedule(interval=timedelta(seconds=interval), anchor_date=datetime(2026, 1, 1, tzinfo=UTC), **values)


async def _prepare(wanted: Deployment, content: dict[str, Any]) -> None:
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import WorkPoolCreate
    from prefect.client.schemas.sorting import DeploymentSort
    from prefect.exceptions import ObjectNotFound
    from prefect.workers.utilities import get_default_base_job_template_for_infrastructure_type

    ours = {item["name"] for item in content["deployments"]}
    places = content["deployments"][0]["parameters"]["request"]
    pool = content["deployments"][0]["work_pool"]["name"]
    async with get_client() as client:
        offset = 0
        while found := await client.read_deployments(limit=200, offset=offset, sort=DeploymentSort.NAME_ASC):
            for other in found:
                audited = other.parameters.get("request") or other.parameters  # before 0.2 they lay side by side
                same = all(_same(audited.get(key), places[key]) for key in ("source", "out"))
                if same and other.name not in ours:
                    raise InputError(
                        f"deployment {other.name} already audits {clean_url(places['source'])} into "
                        f"{clean_url(places['out'])}; delete it, use its --name, or choose another --out"
                    )
            offset += len(found)
        try:
            existing = await client.read_work_pool(pool)
        except ObjectNotFound:
            template = await get_default_base_job_template_for_infrastructure_type(wanted.pool)
            await client.create_work_pool(WorkPoolCreate(name=pool, type=wanted.pool, base_job_template=template or {}))
        else:
            if existing.type != wanted.pool:
                raise InputError(f"work pool {pool} is of type {existing.type}, not {wanted.pool}; rename or delete it")


async def _limit(wanted: Deployment, content: dict[str, Any]) -> None:
    """One audit per SOURCE, whichever deployment it is of; the GPU limits; the end of lost and stuck runs."""
    from prefect.client.orchestration import get_client

    async with get_client() as client:
        for queue, pool in {
            (item["work_pool"]["work_queue_name"], item["work_pool"]["name"])
            for item in content["deployments"]
            if "request" in item["parameters"]
        }:
            found = await client.read_work_queue_by_name(queue, work_pool_name=pool)
            await client.update_work_queue(found.id, concurrency_limit=1)
        for name, slots in wanted.gpu_limits.items():
            await client.upsert_global_concurrency_limit_by_name(name, slots)
        for seconds, automation_for in (
            (wanted.lost_after_seconds, lost_runs_automation),
            (wanted.stuck_after_seconds, stuck_runs_automation),
        ):
            if not seconds:
                continue
            automation = automation_for(seconds)
            held = await client.read_automations_by_name(automation.name)
            if held:
                await client.update_automation(held[0].id, automation)
            else:
                await client.create_automation(automation)


def _same(one: object, other: str) -> bool:
    return isinstance(one, str) and one.rstrip("/") == other
