"""docs/scaling.md quotes the result file and multiplies rightly; the counting server counts what goes through it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.docs_page import DOCS
from benchmarks.scale import docs as scale_docs
from benchmarks.scale import machines as scale
from benchmarks.scale import run as scale_run
from benchmarks.scale.listing import measure
from benchmarks.scale.server import Counting

FIGURES = {
    "core_seconds_per_image": 0.36, "core_seconds_per_mask": 3.6, "requests_per_1000_images": 2.0,
    "events_per_1000_images": 30.0, "server_seconds_per_1000_images": 0.5, "driver_seconds_per_1000_images": 1.0,
    "driver_mib_base": 700.0, "driver_mib_per_1000_images": 10.0, "driver_mib_per_100_shards": 20.0,
    "listing_seconds_per_million": 60.0, "listing_mib_per_million": 1024.0, "out_bytes_per_image": 500.0,
}  # fmt: skip


def test_the_page_is_as_the_result_has_it() -> None:
    assert scale_docs.main(["--check"]) == 0, "run python -m benchmarks.scale.docs"
    if not scale_docs.RESULT.is_file():
        assert scale_docs.NO_RESULT in (DOCS / scale_docs.PAGE).read_text()
        return
    result = json.loads(scale_docs.RESULT.read_text())
    assert set(result["summary"]) == set(scale.NOTES) and None not in result["summary"].values()
    assert {row["part"] for row in result["rows"]} == set(scale.PARTS)


def test_a_changed_result_changes_the_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = {
        "about": {
            "date": "2026-11-24T10:00:00Z", "commit": "abc", "torch": "2", "device": "cpu",
            "notes": dict.fromkeys(FIGURES, "what"),
            "machine": {"cores": 2, "cpu": "a processor", "load_average": 0.5},
        },
        "summary": FIGURES | {"throughput_4_over_1": None},
        "rows": [{"part": "listing", "objects": 100, "core_seconds": 0.1234, "peak_memory_mib": 321.0}],
    }  # fmt: skip
    page, file = tmp_path / scale_docs.PAGE, tmp_path / "scale.json"
    file.write_text(json.dumps(result))
    page.write_text(f"before\n{scale_docs.BEGIN}\nold\n{scale_docs.END}\nafter\n")
    arguments = ["--docs", str(tmp_path), "--result", str(file)]
    assert scale_docs.main([*arguments, "--check"]) == 1 and "old" in page.read_text()
    assert scale_docs.main(arguments) == 0
    text = page.read_text()
    assert text.startswith("before\n") and text.endswith("after\n") and "old" not in text
    assert "| 100 | 0.123 | 321 |" in text and "throughput_4_over_1" not in text
    assert scale_docs.main([*arguments, "--check"]) == 0
    page.write_text("no markers")
    assert scale_docs.main(arguments) == 1 and "marker" in capsys.readouterr().err


def test_the_estimate_multiplies_rightly() -> None:
    (table,) = scale_docs.estimate(FIGURES)
    values = {
        line.split(" | ")[0].removeprefix("| "): line.split(" | ")[2].removesuffix(" |")
        for line in table.splitlines()[2:]
    }
    assert values["images a second"] == "347"  # 10e6 / 28 800
    assert values["describing and naming"] == "1,000 core hours"  # 10e6 x 0.36 / 3600
    assert values["masks"] == "1,000,000" and values["masks and re-classification"] == "1,000 core hours"
    assert values["cores"] == "250"
    assert values["task runs"] == "140,625"  # 2 x 39 062.5 + 2 x 31 250
    assert values["requests to Prefect"].startswith("36,000")  # 20 000 x 140 625 / 78 125
    assert values["driver, its own work"] == "2.8 h of one core"
    assert values["driver, memory of a batch"] == "1.2 GiB"  # 700 + 50 x 10 + 3.9 x 20 MiB
    assert values["driver, listing"] == "10 min and 10.0 GiB"
    assert values["reads from the store"] == "33 TB, 9.2 Gbit/s"


def test_the_server_counts_requests_and_messages() -> None:
    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            while (await receive())["type"] != "websocket.disconnect":
                pass
        else:
            await send({"type": "http.response.start", "status": 200})

    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    async def use() -> None:
        counting = Counting(app)
        run = "0b8e1f9c-6f0c-4a53-9d0d-6a3f3f1d2c11"
        for path in (f"/api/flow_runs/{run}/set_state", "/api/logs/", "/api/logs/", "/api/health"):
            await counting({"type": "http", "method": "POST", "path": path}, None, send)
        messages = iter(["websocket.connect", "websocket.receive", "websocket.receive", "websocket.disconnect"])

        async def receive() -> dict[str, str]:
            return {"type": next(messages)}

        await counting({"type": "websocket", "path": "/api/events/in"}, receive, send)
        await counting({"type": "http", "method": "GET", "path": "/count"}, None, send)

    asyncio.run(use())
    counts = json.loads(sent[-1]["body"])
    assert counts["requests"] == {"POST /api/flow_runs/ID/set_state": 1, "POST /api/logs/": 2}
    assert counts["messages"] == {"/api/events/in": 2}


def test_reads_of_pictures_alone_are_slow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from scd_core.storage import Storage, open_source

    monkeypatch.setattr(Storage, "read", Storage.read)
    monkeypatch.setenv(scale_run.LATENCY, "0.25")
    monkeypatch.setenv(scale_run.PLACE, str(tmp_path / "pictures"))
    scale_run.slow_reads()
    waits: list[float] = []
    monkeypatch.setattr(scale_run.time, "sleep", waits.append)
    for folder in ("pictures", "tables"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a").write_bytes(b"x")
        storage = open_source(str(tmp_path / folder))
        assert storage.read(storage.path("a")) == b"x"
    assert waits == [0.25]


def test_listing_and_planning_ismeasured_in_a_process_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "cards" / "C01").mkdir(parents=True)
    for number in range(3):
        (tmp_path / "cards" / "C01" / f"{number}.jpg").write_bytes(b"x")
    found = measure(str(tmp_path / "cards"), str(tmp_path / "out"), {})
    assert (found["keys"], found["batches"], found["shards"]) == (3, 1, 1)
    assert found["peak_memory_gb"] > 0


def test_a_line_through_points() -> None:
    assert scale.line_through([(0, 1), (2, 5), (4, 9)]) == pytest.approx((2, 1))


def test_a_night_over_a_simulated_source_plans_what_is_new_and_closes_the_rest(tmp_path):
    from benchmarks.scale.simulated import measure_night

    out = str(tmp_path / "out")
    assert measure_night(out, 5_000, "fill") == {}
    first, second = (measure_night(out, 5_000) for _ in range(2))
    assert (first["new"], first["shown"], first["closed"]) == (1_000, 5_000, 0)
    assert (second["new"], second["shown"], second["closed"]) == (1_000, 1_000, 4_000)
    assert first["peak_memory_mib"] - first["base_memory_mib"] < 150
