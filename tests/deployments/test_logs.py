"""One JSON object a line, with the ids of its run."""

from __future__ import annotations

import contextvars
import json
import logging
import logging.config
import threading
from pathlib import Path

import pytest
import yaml

from deployments.deploy_file import packaged_file
from flows.logs import JsonLines, in_batch


def line(message: str = "batch %s", *args: object, **extra: object) -> dict[str, object]:
    record = logging.LogRecord("prefect.flow_runs", logging.INFO, __file__, 1, message, args or ("b",), None)
    record.__dict__.update(extra)
    text = JsonLines().format(record)
    assert "\n" not in text
    return json.loads(text)  # type: ignore[no-any-return]


def test_a_line_names_its_run_and_task() -> None:
    found = line(flow_run_id="f1", flow_run_name="<unknown>", task_run_id="t1", task_name="mask")
    assert found["message"] == "batch b"
    assert found["level"] == "INFO"
    assert (found["flow_run_id"], found["task_run_id"], found["task_name"]) == ("f1", "t1", "mask")
    assert "flow_run_name" not in found
    assert "extra" not in found
    assert str(found["time"]).endswith("+00:00")


def test_a_line_names_its_batch_in_threads_too() -> None:
    """Prefect's thread runner copies the context of whoever submits."""
    found: list[dict[str, object]] = []
    with in_batch("k1"):
        found.append(line())
        context = contextvars.copy_context()
        thread = threading.Thread(target=lambda: context.run(lambda: found.append(line())))
        thread.start()
        thread.join()
    assert [item["batch_key"] for item in found] == ["k1", "k1"]
    assert "batch_key" not in line()
    assert line(batch_key="k2")["batch_key"] == "k2"


def test_what_json_does_not_know_is_text_and_an_error_keeps_its_trace() -> None:
    assert line(where=Path("/data"), n=3)["extra"] == {"where": "/data", "n": 3}
    try:
        raise ValueError("two\nlines")
    except ValueError as error:
        record = logging.LogRecord(
            "x", logging.ERROR, __file__, 1, "failed", (), (type(error), error, error.__traceback__)
        )
    text = JsonLines().format(record)
    assert "\n" not in text
    assert "ValueError: two" in json.loads(text)["exception"]


def test_prefect_takes_the_settings_file(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from prefect.logging.configuration import load_logging_config

    path = packaged_file().with_name("logging.yaml")
    config = load_logging_config(path)
    ours = set(yaml.safe_load(path.read_text())["loggers"])
    assert {"prefect.flow_runs", "prefect.task_runs", "prefect.workers"} <= ours
    console = config["handlers"]["console"]
    assert console["formatter"] == "lines"
    formatter = logging.config.DictConfigurator(config).configure_formatter(config["formatters"]["lines"])
    assert isinstance(formatter, JsonLines)
    for name in ("prefect.flow_runs", "prefect.task_runs"):
        assert config["loggers"][name]["handlers"] == ["api"]
