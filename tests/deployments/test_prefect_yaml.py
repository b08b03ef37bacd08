"""prefect.yaml against the flows it names, Prefect's own models, and what `trapaudit deploy` makes of it."""

from __future__ import annotations

import asyncio
import importlib
import json
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
import yaml
from prefect.cli.deploy._models import PrefectYamlModel
from prefect.cli.deploy._triggers import _initialize_deployment_triggers
from prefect.client.schemas.schedules import CronSchedule
from prefect.events.schemas.deployment_triggers import DeploymentEventTrigger
from prefect.events.schemas.events import ReceivedEvent
from prefect.server.events.actions import RunDeployment
from prefect.server.schemas.schedules import CronSchedule as ServerCronSchedule
from prefect.utilities.callables import parameter_schema

from deployments.deploy_file import Deployment, packaged_file, render
from deployments.relay.events import upload_event
from deployments.relay.settings import Place
from deployments.server import lost_runs_automation
from scd_core import __version__
from scd_core.errors import InputError
from scd_core.request import AuditRequest

CONTENT: dict[str, Any] = yaml.safe_load(packaged_file().read_text())
NAMES = ("nightly-audit", "audit-uploads", "refresh-error-report")
BY_NAME: dict[str, dict[str, Any]] = {item["name"]: item for item in CONTENT["deployments"]}
WANTED = Deployment("s3://cards/2026", "s3://models/jaguars", "s3://audit")


def flow_of(item: dict[str, Any]) -> Any:
    module, name = item["entrypoint"].rsplit(".", 1)
    return getattr(importlib.import_module(module), name)


def rendered(**changes: Any) -> dict[str, dict[str, Any]]:
    wanted = Deployment(**{**WANTED.__dict__, **changes})
    return {item["name"]: item for item in render(wanted, CONTENT)["deployments"]}


def test_prefect_reads_it() -> None:
    model = PrefectYamlModel.model_validate(CONTENT)
    assert tuple(item.name for item in model.deployments) == NAMES
    assert model.pull == []


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_is_one_of_its_flow(name: str) -> None:
    flow = flow_of(BY_NAME[name])
    schema = parameter_schema(flow).model_dump_for_openapi()
    given = BY_NAME[name]["parameters"]
    assert set(given) <= set(schema["properties"])
    assert set(schema.get("required", ())) <= set(given)
    flow.validate_parameters(given)
    for schedule in BY_NAME[name]["schedules"]:
        flow.validate_parameters({**given, **schedule.get("parameters", {})})
    assert len(json.dumps(given)) < 1000
    assert flow.name == name


@pytest.mark.parametrize("name", NAMES)
def test_each_has_what_operation_needs(name: str) -> None:
    item = BY_NAME[name]
    assert item["version"] == __version__
    assert item["concurrency_limit"] == {"limit": 1, "collision_strategy": "ENQUEUE", "grace_period_seconds": 600}
    assert "trapaudit" in item["tags"]
    assert item["work_pool"]["name"] == CONTENT["definitions"]["work_pools"]["process"]["name"]
    assert item["description"]


@pytest.mark.parametrize(("name", "delay", "hours"), [("audit-uploads", 60, 12), ("nightly-audit", 300, 20)])
def test_an_audit_is_tried_again_and_ends(name: str, delay: int, hours: int) -> None:
    flow = flow_of(BY_NAME[name])
    assert (flow.retries, flow.retry_delay_seconds, flow.timeout_seconds) == (1, delay, hours * 3600)


def test_names_of_another_tool_are_deployed_with_or_without_a_model() -> None:
    given = {"model": None, "predictions": "s3://names/predictions.csv", "predictions_column": "Species"}
    for name, item in rendered(**given).items():
        if name == "refresh-error-report":
            assert set(item["parameters"]) == {"out"}
            continue
        requests = [item["parameters"], *(one.get("parameters", item["parameters"]) for one in item["schedules"])]
        for parameters in requests:
            made = AuditRequest.model_validate(parameters["request"])
            assert (made.model, made.predictions, made.predictions_column) == tuple(given.values())
            flow_of(item).validate_parameters(parameters)
    listed = rendered(expected="s3://lists/expected.csv")["nightly-audit"]["parameters"]["request"]
    assert (
        listed["expected"] == "s3://lists/expected.csv"
        and "expected" not in rendered()["nightly-audit"]["parameters"]["request"]
    )
    both = rendered(predictions="names.csv", shadow="s3://models/next")["nightly-audit"]["parameters"]["request"]
    assert (both["model"], both["shadow"]) == ("s3://models/jaguars", "s3://models/next")
    assert Path(both["predictions"]).is_absolute()
    assert "predictions" not in rendered()["nightly-audit"]["parameters"]["request"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model": None}, "nothing gives names: pass --model"),
        ({"predictions_column": "Species"}, "--predictions-column: is of a table of predictions"),
        ({"predictions": "https://me:secret@host/names.csv"}, "no credentials in an address"),
    ],
)
def test_a_deployment_that_could_not_name_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        rendered(**changes)


def triggers(name: str, items: dict[str, dict[str, Any]] = BY_NAME) -> list[DeploymentEventTrigger]:
    specs = json.loads(json.dumps(items[name].get("triggers", [])))
    made = _initialize_deployment_triggers(name, specs)
    assert all(isinstance(trigger, DeploymentEventTrigger) for trigger in made)
    return made  # type: ignore[return-value]


def arrived(prefix: str = "2026/card1", bucket: str = "cards") -> ReceivedEvent:
    moment = datetime(2026, 11, 21, 20, tzinfo=UTC)
    event = upload_event(Place(bucket, "2026"), Place(bucket, prefix), 7, moment, moment)
    return ReceivedEvent.model_validate({**event, "received": moment})


def fires(trigger: DeploymentEventTrigger, event: ReceivedEvent) -> bool:
    from prefect.server.events.schemas.automations import EventTrigger
    from prefect.server.events.schemas.events import ReceivedEvent as ServerEvent

    trigger.set_deployment_id(UUID(int=1))
    core = trigger.as_automation().trigger.model_dump(mode="json")
    return EventTrigger.model_validate(core).covers(ServerEvent.model_validate(event.model_dump(mode="json")))


def test_the_relays_event_fires_the_trigger_and_reaches_the_flow() -> None:
    """The relay's own event, Prefect's own matching and rendering, the flow's own check of its parameters."""
    trigger, _ = triggers("audit-uploads")
    event = arrived()
    assert fires(trigger, event)
    action = RunDeployment(
        source="selected", deployment_id="00000000-0000-0000-0000-000000000000", parameters=trigger.parameters
    )
    triggered: Any = SimpleNamespace(
        automation=None, triggering_event=event, triggering_labels={}, firing=None,
        all_firings=list, all_events=list, id="x",
    )  # fmt: skip
    parameters = asyncio.run(action.render_parameters(triggered))
    assert parameters["event"]["prefix"] == "s3://cards/2026/card1"
    assert parameters["event"]["n_notifications"] == 7
    flow = flow_of(BY_NAME["audit-uploads"])
    flow.validate_parameters({**BY_NAME["audit-uploads"]["parameters"], **parameters})


def test_a_deployment_is_woken_by_its_own_source_only() -> None:
    trigger, _ = triggers("audit-uploads", rendered())
    assert fires(trigger, arrived("2026"))
    assert fires(trigger, arrived("2026/card 1/[x]*"))
    assert not fires(trigger, arrived("20261"))
    assert not fires(trigger, arrived("2025/card1"))
    assert not fires(trigger, arrived(bucket="cards2"))
    star, _ = triggers("audit-uploads", rendered(source="s3://cards/20[26]*"))
    assert fires(star, arrived("20[26]*/card1"))
    assert not fires(star, arrived("2026/card1"))


def ended(state: str, deployment: str) -> ReceivedEvent:
    return ReceivedEvent.model_validate(
        {
            "event": f"prefect.flow-run.{state}",
            "occurred": "2026-11-21T20:00:00Z",
            "received": "2026-11-21T20:00:00Z",
            "resource": {"prefect.resource.id": "prefect.flow-run.1"},
            "related": [
                {
                    "prefect.resource.id": "prefect.flow.1",
                    "prefect.resource.role": "flow",
                    "prefect.resource.name": "x",
                },
                {
                    "prefect.resource.id": "prefect.deployment.1",
                    "prefect.resource.role": "deployment",
                    "prefect.resource.name": deployment,
                },
            ],
        }
    )


def test_a_report_follows_each_completed_audit_and_not_itself() -> None:
    (trigger,) = triggers("refresh-error-report")
    assert fires(trigger, ended("Completed", "nightly-audit"))
    assert fires(trigger, ended("Completed", "audit-uploads"))
    assert not fires(trigger, ended("Completed", "refresh-error-report"))
    assert not fires(trigger, ended("Failed", "nightly-audit"))
    assert BY_NAME["audit-uploads"]["parameters"]["request"]["report"] is False


def test_a_lost_audit_is_done_again_after_a_pause() -> None:
    _, trigger = triggers("audit-uploads")
    assert fires(trigger, ended("Crashed", "nightly-audit"))
    assert not fires(trigger, ended("Crashed", "refresh-error-report"))
    assert trigger.schedule_after.total_seconds() == 60
    automation = lost_runs_automation(600)
    assert automation.trigger.within.total_seconds() == 600  # type: ignore[union-attr]
    assert automation.actions[0].state == "CRASHED"  # type: ignore[union-attr]


def test_names_keep_two_sources_apart() -> None:
    items = rendered(name="north", detections="s3://boxes/md.json", config="s3://audit/config.yaml", poll_minutes=5)
    assert set(items) == {f"{name}-north" for name in NAMES}
    uploads = items["audit-uploads-north"]
    assert uploads["work_pool"]["work_queue_name"] == "audits-north"
    assert uploads["triggers"][1]["match_related"]["prefect.resource.name"] == [
        "nightly-audit-north",
        "audit-uploads-north",
    ]
    assert uploads["schedules"] == [
        {
            "interval": 300,
            "slug": "poll",
            "active": True,
            "parameters": {"request": uploads["parameters"]["request"] | {"only_complete": True}},
        }
    ]
    assert uploads["parameters"] == {
        "request": {
            "source": "s3://cards/2026", "model": "s3://models/jaguars", "out": "s3://audit", "runner": "prefect",
            "report": False, "detections": "s3://boxes/md.json", "config": "s3://audit/config.yaml",
        }
    }  # fmt: skip
    assert items["refresh-error-report-north"]["parameters"] == {
        "out": "s3://audit",
        "config": "s3://audit/config.yaml",
    }
    assert items["refresh-error-report-north"]["work_pool"]["work_queue_name"] == "reports-north"
    for item in items.values():
        flow_of(item).validate_parameters(item["parameters"])


@pytest.mark.parametrize("pool", ["process", "docker", "kubernetes"])
def test_each_kind_of_pool(pool: str) -> None:
    for item in rendered(pool=pool, image="trapaudit:test").values():
        assert item["work_pool"]["name"] == f"trapaudit-{pool}"
        assert item["work_pool"]["job_variables"].get("image") == (None if pool == "process" else "trapaudit:test")
    assert "$TRAPAUDIT" not in json.dumps(render(WANTED, CONTENT))


def test_a_local_source_is_absolute_and_not_woken() -> None:
    items = rendered(source="cards", model="model", out="audit")
    assert Path(items["nightly-audit"]["parameters"]["request"]["source"]).is_absolute()
    assert items["audit-uploads"]["triggers"][0]["enabled"] is False


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"timezone": "Mars/Olympus"}, "not a zone"),
        ({"cron": "never"}, "not a cron line"),
        ({"name": "a/b"}, "letters, digits"),
        ({"pool": "docker"}, "name the image"),
        ({"source": "https://me:secret@host.example/cards"}, "no credentials in an address"),
    ],
)
def test_what_cannot_be_deployed_is_refused_in_words(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        rendered(**changes)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(("day", "times"), [("2026-03-28", ["02:30", "01:30", "02:30"]), ("2026-10-24", ["02:30"] * 3)])
def test_a_clock_change_neither_leaves_out_a_night_nor_doubles_one(day: str, times: list[str]) -> None:
    """What the comment in prefect.yaml says; in Berlin 02:30 does not exist on 29 March, and comes twice on 25 October."""
    line = rendered(timezone="Europe/Berlin")["nightly-audit"]["schedules"][0]
    CronSchedule(cron=line["cron"], timezone=line["timezone"])
    schedule = ServerCronSchedule(cron=line["cron"], timezone=line["timezone"])
    start = datetime.fromisoformat(day).replace(tzinfo=ZoneInfo("Europe/Berlin"))
    found = asyncio.run(schedule.get_dates(3, start=start))
    assert [f"{moment:%H:%M}" for moment in found] == times
    assert [moment.day for moment in found] == [start.day, start.day + 1, start.day + 2]
