"""What `/metrics` has of the last runs, read from Prefect's own server."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from deployments.deploy import register
from deployments.deploy_file import Deployment
from deployments.relay.metrics import prometheus_text
from deployments.relay.runs import LastRuns, read_last_runs
from flows.throughput import ARTIFACT, throughput_rows
from flows.waiting import audits_of

pytestmark = pytest.mark.timeout(600)

HEALTH = {"waiting": 0, "prefect_failing_seconds": None, "counts": {}}
SOURCE = "s3://cards-last-runs"


@pytest.fixture
def client(prefect_server: str) -> Any:
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        register(Deployment(SOURCE, "s3://models/jaguars", "s3://audit-last", name="last-runs", cron="0 0 1 1 *"))
        yield client
        for item in audits_of(client, SOURCE):
            client.delete_deployment(item.id)


def ended(client: Any, flow: str, state: str) -> float:
    """A run of a deployment that ended in a state; about when."""
    from prefect.states import Completed, Crashed, Running

    (item,) = (item for item in audits_of(client, SOURCE) if item.name.startswith(flow))
    run = client.create_flow_run_from_deployment(item.id)
    client.set_flow_run_state(run.id, Running(), force=True)
    client.set_flow_run_state(run.id, Completed() if state == "COMPLETED" else Crashed(), force=True)
    return time.time()


def test_the_last_run_and_the_last_night_that_ended_well(client: Any) -> None:
    from prefect.client.schemas.actions import ArtifactCreate

    at = ended(client, "nightly-audit", "COMPLETED")
    ended(client, "audit-uploads", "COMPLETED")
    time.sleep(1.1)
    ended(client, "nightly-audit", "CRASHED")
    times = {
        "ingest": 4.0,
        "ingest:task": 8.0,
        "ingest:storage": 2.0,
        "ingest:model": 0.0,
        "ingest:slot": 0.0,
        "masks": 40.0,
    }
    counts = {"n_media": 100, "n_ok": 90, "n_predictions": 90, "n_masks": 9}
    commits = [{"batch_key": "secret-place", "seconds": times, "counts": counts}] * 2
    table = json.dumps(throughput_rows(commits))
    client.create_artifact(ArtifactCreate(key=ARTIFACT, type="table", data=table, description=f"of {SOURCE}"))
    last = LastRuns()
    read_last_runs(last)
    assert last.night_at is not None and abs(last.night_at - at) < 1.0, "the crashed one and the upload's do not count"
    assert last.audited_at is not None and abs(last.audited_at - time.time()) < 60
    lines = prometheus_text(HEALTH, last).splitlines()
    assert 'trapaudit_run_stage_pictures{stage="ingest"} 200' in lines
    assert 'trapaudit_run_stage_seconds{stage="masks"} 80.0' in lines
    assert 'trapaudit_run_stage_share{stage="ingest",of="waits_for_storage"} 0.25' in lines
    assert not any('stage="masks",of=' in line for line in lines), "what is not known is not there"
    text = "\n".join(lines)
    assert "cards" not in text and "secret-place" not in text


def test_a_server_without_runs_of_ours_leaves_zeros() -> None:
    lines = prometheus_text(HEALTH, LastRuns()).splitlines()
    assert "trapaudit_night_completed_timestamp_seconds 0" in lines
    assert "trapaudit_run_audited_timestamp_seconds 0" in lines
    assert json.dumps(lines).count("run_stage_pictures") == 2, "its help and type alone"
