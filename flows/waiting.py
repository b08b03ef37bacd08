"""One waiting run: whoever audits a SOURCE keeps others from piling up behind it, and lets the night go first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from scd_core.storage import clean_url

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.objects import FlowRun, State
    from prefect.client.schemas.responses import DeploymentResponse

__all__ = ["NIGHT", "Tidied", "audits_of", "tidy_all", "tidy_waiting", "waiting_runs"]

_PAGE = 200
NIGHT = "nightly-audit"
_WAITING = (
    "Scheduled",
    "Late",
    "AwaitingConcurrencySlot",
)  # one that waits for its own retry is in none of these states
_COVERED = "another run waits already, and lists all of SOURCE when it starts"


@dataclass(frozen=True)
class Tidied:
    """What was done to the runs that wait."""

    n_waiting: int  # runs that still wait
    n_cancelled: int  # runs that were cancelled, since one that waits does their work


def audits_of(client: SyncPrefectClient, source: str) -> list[DeploymentResponse]:
    """Deployments that audit a SOURCE (URL or path of the images), by name."""
    place = clean_url(source).rstrip("/")
    return [item for item in _audits(client) if _source_of(item) == place]


def _audits(client: SyncPrefectClient) -> list[DeploymentResponse]:
    from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterTags
    from prefect.client.schemas.sorting import DeploymentSort

    ours = DeploymentFilter(tags=DeploymentFilterTags(all_=["trapaudit", "audit"]))
    found: list[DeploymentResponse] = []
    while page := client.read_deployments(
        deployment_filter=ours, limit=_PAGE, offset=len(found), sort=DeploymentSort.NAME_ASC
    ):
        found += page
    return found


def waiting_runs(client: SyncPrefectClient, deployments: Sequence[UUID], now: datetime) -> list[FlowRun]:
    """Runs of some deployments that are due and have not begun, in the order in which they were to begin.

    Args:
        client: of the server.
        deployments: ids; none has no runs.
        now: the time; runs that are planned for later do not wait.
    """
    from prefect.client.schemas.filters import (
        FlowRunFilter,
        FlowRunFilterDeploymentId,
        FlowRunFilterNextScheduledStartTime,
        FlowRunFilterState,
        FlowRunFilterStateName,
    )
    from prefect.client.schemas.sorting import FlowRunSort

    if not deployments:
        return []
    due = FlowRunFilter(
        deployment_id=FlowRunFilterDeploymentId(any_=list(deployments)),
        state=FlowRunFilterState(name=FlowRunFilterStateName(any_=list(_WAITING))),
        next_scheduled_start_time=FlowRunFilterNextScheduledStartTime(before_=now),
    )
    found: list[FlowRun] = []
    while page := client.read_flow_runs(
        flow_run_filter=due, limit=_PAGE, offset=len(found), sort=FlowRunSort.NEXT_SCHEDULED_START_TIME_ASC
    ):
        found += page
    return found


def tidy_waiting(client: SyncPrefectClient, source: str, now: datetime | None = None) -> Tidied:
    """Leave one waiting run of each deployment of a SOURCE, the oldest, and let the night's begin before that of uploads.

    A run lists SOURCE when it begins, so the one that waits does what all of them would. The night is one of its own because it
    leaves uploads alone that are under way.

    Args:
        client: of the server.
        source: URL or path of the images.
        now: the time; None is now.

    Raises:
        PrefectHTTPStatusError: the server refused.
        httpx.HTTPError: the server did not answer.
    """
    from prefect.states import Cancelled, Scheduled

    now = now or datetime.now(UTC)
    deployments = {item.id: item.name for item in audits_of(client, source)}
    first: dict[UUID | None, FlowRun] = {}
    n_cancelled = 0
    for run in waiting_runs(client, list(deployments), now):
        if run.deployment_id not in first:
            first[run.deployment_id] = run
            continue
        client.set_flow_run_state(run.id, Cancelled(message=_COVERED), force=True)
        n_cancelled += 1
    nights = [run for key, run in first.items() if key and deployments[key].startswith(NIGHT)]
    for night in nights:
        begins = night.next_scheduled_start_time or now
        for run in first.values():
            if run not in nights and (run.next_scheduled_start_time or now) <= begins:
                later: State[object] = Scheduled(
                    scheduled_time=begins + timedelta(seconds=1), message="the night goes first"
                )
                client.set_flow_run_state(run.id, later, force=True)
    return Tidied(len(first), n_cancelled)


def tidy_all() -> int:
    """Tidy what waits for each SOURCE that the server's deployments audit (:func:`tidy_waiting`).

    Returns:
        Runs that were cancelled.

    Raises:
        PrefectHTTPStatusError: the server refused.
        httpx.HTTPError: the server did not answer.
    """
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        sources = sorted({source for item in _audits(client) if (source := _source_of(item)) is not None})
        return sum(tidy_waiting(client, source).n_cancelled for source in sources)


def _source_of(deployment: DeploymentResponse) -> str | None:
    request = deployment.parameters.get("request")
    source = request.get("source") if isinstance(request, dict) else None
    return source.rstrip("/") if isinstance(source, str) else None
