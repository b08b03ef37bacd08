"""prefect.yaml filled in: sources, pool, times and names of one deployment."""

from __future__ import annotations

import re
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from scd_core.errors import InputError
from scd_core.request import RunnerName
from scd_core.storage import clean_url

__all__ = ["Deployment", "Pool", "packaged_file", "render"]

Pool = Literal["process", "docker", "kubernetes"]


@dataclass(frozen=True)
class Deployment:
    """What `trapaudit deploy` is given.

    Attributes:
        source, model, out: as for a run; local paths become absolute. No model where `predictions` give the names.
        config, detections: URLs of the settings and of boxes; None for the defaults, and for none.
        predictions, predictions_column: URL of names that another tool gives, read anew by each run, and their column.
        shadow: a second model, which names beside the first each night.
        expected: URL of individuals expected at cameras or sites, read anew by each run.
        pool: kind of work pool.
        name: suffix of all names, where one server audits several sources.
        image: image of the docker and kubernetes pools.
        cron, timezone: when the nightly audit runs, and the IANA name of the zone that this is in.
        poll_minutes: also look for uploads so often (min); None for not.
        runner, ray_address: where shards are worked on, as for a run.
        gpu_limits: concurrency limits to make: name -> slots.
        lost_after_seconds: a run without a heartbeat for so long is marked crashed (s); 0 leaves that to others.
        stuck_after_seconds: so is a run that a worker took and did not begin for so long (s).
    """

    source: str
    model: str | None
    out: str
    config: str | None = None
    detections: str | None = None
    predictions: str | None = None
    predictions_column: str | None = None
    shadow: str | None = None
    expected: str | None = None
    pool: Pool = "process"
    name: str | None = None
    image: str | None = None
    cron: str = "30 2 * * *"
    timezone: str = "UTC"
    poll_minutes: int | None = None
    runner: RunnerName = "prefect"
    ray_address: str | None = None
    gpu_limits: Mapping[str, int] = field(default_factory=dict)
    lost_after_seconds: int = 600
    stuck_after_seconds: int = 1800


def packaged_file() -> Path:
    """prefect.yaml of the installed package."""
    return Path(__file__).with_name("prefect.yaml")


def render(wanted: Deployment, content: dict[str, Any]) -> dict[str, Any]:
    """prefect.yaml with the sources, the pool and the times of one deployment filled in.

    Args:
        wanted: what is to be deployed.
        content: prefect.yaml, parsed.

    Returns:
        A prefect.yaml without variables.

    Raises:
        InputError: an address, name, time or zone cannot be used.
    """
    if not wanted.model and not wanted.predictions:
        raise InputError(
            "nothing gives names: pass --model MODEL, or --predictions FILE for those that another tool gives"
        )
    if wanted.predictions_column and not wanted.predictions:
        raise InputError("--predictions-column: is of a table of predictions; give it with --predictions")
    optional = ("model", "config", "detections", "predictions", "shadow", "expected")
    places = {key: _address(key, getattr(wanted, key)) for key in ("source", "out")}
    places |= {key: _address(key, url) for key in optional if (url := getattr(wanted, key))}
    places |= {"predictions_column": wanted.predictions_column} if wanted.predictions_column else {}
    places |= {"runner": wanted.runner} | ({"ray_address": wanted.ray_address} if wanted.ray_address else {})
    if wanted.name is not None and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,60}", wanted.name):
        raise InputError(f"--name {wanted.name}: letters, digits, - and _ only")
    if wanted.pool != "process" and not wanted.image:
        raise InputError(f"--pool {wanted.pool}: name the image with --image or TRAPAUDIT_IMAGE")
    _check_times(wanted)
    suffix = f"-{wanted.name}" if wanted.name else ""
    pool = content["definitions"]["work_pools"][wanted.pool]
    deployments = deepcopy(content["deployments"])
    names = {item["name"]: item["name"] + suffix for item in deployments}
    for item in deployments:
        for parameters in [item["parameters"], *(schedule.get("parameters", {}) for schedule in item["schedules"])]:
            _fill(parameters, places)
        queue = item["work_pool"]["work_queue_name"] + suffix
        item["work_pool"] = deepcopy(pool) | {"work_queue_name": queue}
        if "image" in item["work_pool"]["job_variables"]:
            item["work_pool"]["job_variables"]["image"] = wanted.image
        for schedule in item["schedules"]:
            _set_times(schedule, wanted)
        for trigger in item.get("triggers", ()):
            trigger["name"] += suffix
            related = trigger.get("match_related")
            if related:
                related["prefect.resource.name"] = [names[name] for name in related["prefect.resource.name"]]
            elif pattern := _upload_pattern(places["source"]):
                trigger["match"]["prefect.resource.id"] = pattern
            else:
                trigger["enabled"] = False  # a local disk sends no notifications
        item["name"] = names[item["name"]]
    kept = {key: content[key] for key in ("prefect-version", "name", "build", "push", "pull")}
    return kept | {"deployments": deployments}


def _fill(parameters: dict[str, Any], places: Mapping[str, str]) -> None:
    """Put the addresses into the parameters of a deployment, or of one of its schedules."""
    if "request" in parameters:
        # What is not given stands in the file as a variable.
        given = {key: value for key, value in parameters["request"].items() if key != "model"}
        parameters["request"] = {**given, **places}
    elif "out" in parameters:
        parameters |= {key: places[key] for key in ("out", "config") if key in places}


def _address(name: str, url: str) -> str:
    if clean_url(url) != url:
        raise InputError(f"{name}: {clean_url(url)}: no credentials in an address; Prefect keeps and shows parameters")
    if "://" not in url:
        return str(Path(url).resolve())
    return url.rstrip("/")


def _upload_pattern(source: str) -> list[str] | None:
    scheme, _, place = source.partition("://")
    if scheme not in ("s3", "s3a"):
        return None
    literal = "trapaudit.upload." + re.sub(r"([*?\[])", r"[\1]", place)
    return [literal, f"{literal}/*"]


def _check_times(wanted: Deployment) -> None:
    from prefect.client.schemas.schedules import CronSchedule

    try:
        ZoneInfo(wanted.timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise InputError(f"--timezone {wanted.timezone}: not a zone such as Europe/Berlin") from error
    try:
        CronSchedule(cron=wanted.cron, timezone=wanted.timezone)
    except ValueError as error:
        raise InputError(f"--cron {wanted.cron!r}: not a cron line such as '30 2 * * *'") from error


def _set_times(schedule: dict[str, Any], wanted: Deployment) -> None:
    if "timezone" in schedule:
        schedule["timezone"] = wanted.timezone
    if schedule["slug"] == "nightly":
        schedule["cron"] = wanted.cron
    if schedule["slug"] == "poll" and wanted.poll_minutes is not None:
        schedule |= {"interval": wanted.poll_minutes * 60, "active": True}
