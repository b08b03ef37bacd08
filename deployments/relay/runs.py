"""What the last audit was like, and when a night last ended well, read from Prefect's server now and then."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from flows.throughput import ARTIFACT, SHARES
from flows.waiting import NIGHT
from scd_core.errors import first_line

__all__ = ["LastRuns", "StageTotals", "keep_reading", "read_last_runs", "stage_totals"]

logger = logging.getLogger("trapaudit.relay")


@dataclass(frozen=True)
class StageTotals:
    """One stage of the last run that audited anything, all its batches together.

    Attributes:
        pictures: that the stage took.
        seconds: it took, by the clock.
        shares: of its tasks' time, under the names of the view `throughput`, in [0, 1]; one that is not known is left out.
    """

    pictures: int
    seconds: float
    shares: dict[str, float]


@dataclass
class LastRuns:
    """What was read last; empty before that.

    Attributes:
        stages: of the last run that audited anything.
        audited_at: when it published them (Unix time, s); None: there is none.
        night_at: when a run of a nightly deployment last ended well (Unix time, s); None: none has.
        failures: times that the server could not be read.
    """

    stages: dict[str, StageTotals] = field(default_factory=dict)
    audited_at: float | None = None
    night_at: float | None = None
    failures: int = 0


def stage_totals(rows: Sequence[Mapping[str, Any]]) -> dict[str, StageTotals]:
    """Rows of :func:`flows.throughput.throughput_rows`, added up over the batches.

    A share is the mean over the batches where it is known, weighted by their seconds.

    >>> row = {"stage": "masks", "pictures": 10, "seconds": 2.0, "waits_for_storage": 0.5}
    >>> stage_totals([row, {**row, "pictures": 20, "seconds": 6.0, "waits_for_storage": 0.1}])["masks"]
    StageTotals(pictures=30, seconds=8.0, shares={'waits_for_storage': 0.2})
    """
    totals = {}
    for stage in dict.fromkeys(str(row["stage"]) for row in rows):
        own = [row for row in rows if row["stage"] == stage]
        shares = {}
        for name in SHARES:
            known = [row for row in own if row.get(name) is not None and row["seconds"]]
            if known:
                weight = sum(row["seconds"] for row in known)
                shares[name] = round(sum(row[name] * row["seconds"] for row in known) / weight, 4)
        seconds = round(sum(row["seconds"] for row in own), 1)
        totals[stage] = StageTotals(sum(row["pictures"] for row in own), seconds, shares)
    return totals


def read_last_runs(last: LastRuns) -> None:
    """Bring `last` up to date from the server of ``PREFECT_API_URL``.

    Raises:
        PrefectHTTPStatusError: the server refused.
        httpx.HTTPError: the server did not answer.
    """
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import (
        ArtifactCollectionFilter,
        ArtifactCollectionFilterKey,
        DeploymentFilter,
        DeploymentFilterName,
        DeploymentFilterTags,
        FlowRunFilter,
        FlowRunFilterState,
        FlowRunFilterStateType,
    )
    from prefect.client.schemas.objects import StateType
    from prefect.client.schemas.sorting import FlowRunSort

    nights = DeploymentFilter(
        name=DeploymentFilterName(like_=NIGHT), tags=DeploymentFilterTags(all_=["trapaudit", "audit"])
    )
    done = FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.COMPLETED])))
    with get_client(sync_client=True) as client:
        of_key = ArtifactCollectionFilter(key=ArtifactCollectionFilterKey(any_=[ARTIFACT]))
        found = client.read_latest_artifacts(artifact_filter=of_key, limit=1)
        ended = client.read_flow_runs(
            deployment_filter=nights, flow_run_filter=done, sort=FlowRunSort.END_TIME_DESC, limit=1
        )
    if found:
        rows: list[dict[str, Any]] = json.loads(str(found[0].data or "[]"))  # a table is kept as text
        last.stages = stage_totals(rows)
        last.audited_at = found[0].updated.timestamp() if found[0].updated else None
    if ended and ended[0].end_time is not None:
        last.night_at = ended[0].end_time.timestamp()


async def keep_reading(last: LastRuns, every_seconds: float) -> None:
    """Bring `last` up to date every so many seconds, until cancelled; a server that is away leaves it as it was."""
    while True:
        try:
            await asyncio.to_thread(read_last_runs, last)
        except Exception as error:  # noqa: BLE001 - whatever keeps the server from answering, the next time may do
            last.failures += 1
            logger.warning("the last runs could not be read (%s)", first_line(error))
        await asyncio.sleep(every_seconds)
