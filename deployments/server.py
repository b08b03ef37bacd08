"""The Prefect server that deployments live on: where it is, and how it notices runs whose worker died."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from typing import TYPE_CHECKING

from scd_core.errors import InputError, RunError, first_line

if TYPE_CHECKING:
    from prefect.events.schemas.automations import AutomationCore

__all__ = ["api_url", "lost_runs_automation", "stuck_runs_automation", "wait_for_server"]

LOST_RUNS = "trapaudit lost runs"
STUCK_RUNS = "trapaudit stuck runs"
_ENDS = {f"prefect.flow-run.{state}" for state in ("Completed", "Failed", "Cancelled", "Crashed")}


def api_url() -> str:
    """Address of the server's API.

    Raises:
        InputError: none is set; the server that a run starts for itself ends with it.
    """
    from prefect.settings import get_current_settings

    url = get_current_settings().api.url
    if not url:
        raise InputError(
            "no Prefect server: set PREFECT_API_URL, such as http://localhost:4200/api of `prefect server start`"
        )
    return url


async def wait_for_server(url: str, seconds: float = 120.0) -> None:
    """Wait until the server answers: `prefect server start --background` returns before it does.

    Args:
        url: its address, for the message.
        seconds: how long to wait (s).

    Raises:
        RunError: it did not.
    """
    from prefect.client.orchestration import get_client

    end = time.monotonic() + seconds
    while True:
        try:
            async with get_client() as client:
                failure = await client.api_healthcheck()
        except Exception as error:  # noqa: BLE001 - any way not to reach it is what is asked
            failure = error
        if failure is None:
            return
        if time.monotonic() > end:
            raise RunError(
                f"Prefect server {url}: not reached ({first_line(failure)}); start it, or mend PREFECT_API_URL"
            ) from failure
        await asyncio.sleep(1)


def lost_runs_automation(after_seconds: int) -> AutomationCore:
    """The automation that marks a run of ours as crashed when neither a heartbeat nor its end was heard for so long.

    A worker that was killed, or whose machine is gone, cannot tell; its run would stay "running" for ever and, being the
    one run its deployment may have, keep all later ones waiting.

    Args:
        after_seconds: silence that means death (s); at least two heartbeats of the workers, which are
            PREFECT_FLOWS_HEARTBEAT_FREQUENCY apart (180 s by default, 30 s in our images).
    """
    return _crash_unless(
        LOST_RUNS,
        "Marks a trapaudit run as crashed when its worker is gone.",
        f"nothing was heard of this run for {after_seconds} s: its worker is gone",
        after={"prefect.flow-run.heartbeat"},
        expect={"prefect.flow-run.heartbeat"} | _ENDS,
        within_seconds=after_seconds,
    )


def stuck_runs_automation(after_seconds: int) -> AutomationCore:
    """The automation that marks a run of ours as crashed when a worker took it and did not begin it for so long.

    Such a run is PENDING: it has no heartbeat yet, and it holds the one slot of its SOURCE. A machine that dies at that moment
    would keep all later runs waiting.

    Args:
        after_seconds: longest time between taking a run and beginning it (s); pulling an image is part of it.
    """
    begins = {f"prefect.flow-run.{state}" for state in ("Running", "Scheduled", "Late", "AwaitingConcurrencySlot")}
    return _crash_unless(
        STUCK_RUNS,
        "Marks a trapaudit run as crashed that a worker took and never began.",
        f"a worker took this run and did not begin it for {after_seconds} s: the worker is gone",
        after={"prefect.flow-run.Pending"},
        expect=begins | _ENDS,
        within_seconds=after_seconds,
    )


def _crash_unless(
    name: str, description: str, message: str, *, after: set[str], expect: set[str], within_seconds: int
) -> AutomationCore:
    """An automation that marks a run of ours as crashed where an event of `after` is followed by none of `expect` in time (s)."""
    from prefect.client.schemas.objects import StateType
    from prefect.events.actions import ChangeFlowRunState
    from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
    from prefect.events.schemas.events import ResourceSpecification

    trigger = EventTrigger(
        match=ResourceSpecification({"prefect.resource.id": "prefect.flow-run.*"}),
        match_related=ResourceSpecification(
            {"prefect.resource.role": "tag", "prefect.resource.id": "prefect.tag.trapaudit"}
        ),
        after=after,
        expect=expect,
        for_each={"prefect.resource.id"},
        posture=Posture.Proactive,
        threshold=1,
        within=timedelta(seconds=within_seconds),
    )
    return AutomationCore(
        name=name,
        description=description,
        trigger=trigger,
        actions=[ChangeFlowRunState(state=StateType.CRASHED, message=message)],
    )
