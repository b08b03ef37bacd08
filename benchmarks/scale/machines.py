"""What an audit costs as it grows: workers, shards, Prefect's server.

``python -m benchmarks.scale --json FILE [--quick] [--parts throughput cost growth server listing]``. Every audit is a real
run of the flow in a process of its own. `python -m benchmarks.scale.docs` writes the tables of docs/scaling.md from the result.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.common import ROOT, Report, options, resolve_device
from benchmarks.scale.audits import NETWORK, Audits, counted_server
from scd_core.config import AuditConfig
from scd_core.identify import load_model
from scd_core.identify.classify import classify_media
from scd_core.masks.rows import mask_predictions
from scd_core.media import describe_objects, list_source
from scd_core.reclassify.rows import reclassify_predictions
from scd_core.scenes import packaged_model
from scd_core.tables.schema import table_from_rows

__all__ = ["COLUMNS", "line_through", "main"]

PARTS = ("throughput", "cost", "growth", "server", "listing")
COLUMNS = {
    "throughput": (
        "runner", "workers", "latency_ms", "images", "ingest_images_per_second", "classify_images_per_second",
        "images_per_second", "over_one_worker",
    ),
    "cost": ("stage", "megapixels", "network", "images", "core_seconds_per_image"),
    "growth": (
        "images", "shard_size", "shards", "driver_memory_mib", "driver_growth_mib", "driver_processor_seconds",
        "out_bytes_per_image",
    ),
    "server": (
        "images", "task_runs", "requests", "events", "requests_per_1000_images", "events_per_1000_images", "server_seconds",
    ),
    "listing": ("objects", "core_seconds", "peak_memory_mib"),
}  # fmt: skip
NOTES = {
    "throughput_4_over_1": "images a second by 4 workers over 1, every read of a picture 500 ms slower, a small network",
    "core_seconds_per_image": "processor time of describing and naming one photograph of 3 megapixels, on one thread",
    "core_seconds_per_mask": "processor time of its mask and re-classification, on one thread",
    "driver_mib_per_1000_images": "slope of the driver's peak memory over images, fitted with one over shards",
    "driver_mib_per_100_shards": "slope of the driver's peak memory over shards, fitted with one over images",
    "driver_mib_base": "the driver's memory before the first image: libraries",
    "driver_seconds_per_1000_images": "processor time of the driver, slope over images at 256 images a shard",
    "requests_per_1000_images": "HTTP requests to Prefect's server, slope over images at 256 images a shard",
    "events_per_1000_images": "events over websockets (states of task runs, logs counted as requests), the same",
    "requests_per_run": "HTTP requests of a run whatever its size",
    "server_seconds_per_1000_images": "processor time of Prefect's server on SQLite, the same slope",
    "listing_seconds_per_million": "processor time of listing SOURCE on a local disk and planning it, slope over objects",
    "listing_mib_per_million": "the driver's memory for the listing, slope over objects",
    "out_bytes_per_image": "Parquet of all tables, without masks",
}
MEGAPIXELS = (2048, 1536)
LATENCY_SECONDS = 0.5


def main(arguments: Sequence[str] | None = None) -> Report:
    """Parse the command line, measure, print, write."""
    parser = options(str(__doc__).splitlines()[0])
    parser.add_argument(
        "--parts", nargs="+", choices=PARTS, help="what is measured; by default all, without growth if --quick"
    )
    chosen = parser.parse_args(arguments)
    report = Report("scale", resolve_device("cpu"), notes=dict(NOTES), summary=dict.fromkeys(NOTES))
    report.notes["cores_allowed"] = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as folder, counted_server(Path(folder) / "server") as (url, count):
        bench = Bench(Audits(Path(folder), chosen.seed[0], url), chosen.quick, report, count)
        for part in chosen.parts or [part for part in PARTS if not (chosen.quick and part == "growth")]:
            getattr(bench, part)()
            rows = [row for row in report.rows if row["part"] == part]
            report.show(COLUMNS[part], part, rows)
            if chosen.json:  # a long run that ends early leaves what it had
                chosen.json.write_text(json.dumps(report.as_json(), indent=1) + "\n")
    report.finish(chosen.json)
    return report


class Bench:
    """The parts of the benchmark.

    Args:
        audits: makes pictures and runs audits.
        quick: fewer images.
        report: takes rows and summary.
        count: gives what Prefect's server has counted.
    """

    def __init__(self, audits: Audits, quick: bool, report: Report, count: Callable[[], dict[str, Any]]) -> None:
        self.audits, self.quick, self.report, self.count = audits, quick, report, count

    def throughput(self) -> None:
        """Images a second by 1, 2 and 4 workers, where a distant store is what they wait for."""
        n_images = 32 if self.quick else 96
        source = self.audits.pictures(n_images, (320, 240))
        rates: dict[int, float] = {}
        for workers in (1, 4) if self.quick else (1, 2, 4):
            found = self.audits.run(
                source, runner="ray", workers=workers, latency=LATENCY_SECONDS, shard_size=8, model=str(packaged_model("clean")),
                warm=self.audits.pictures(64, (64, 48)),
            )  # fmt: skip
            stages = found["stages"]
            rates[workers] = n_images / (stages["ingest"] + stages["classify"])
            self.report.rows.append({
                "part": "throughput", "runner": "ray", "workers": workers, "latency_ms": 1000 * LATENCY_SECONDS,
                "images": n_images, "ingest_images_per_second": n_images / stages["ingest"],
                "classify_images_per_second": n_images / stages["classify"],
                "images_per_second": rates[workers], "over_one_worker": rates[workers] / rates[1],
            })  # fmt: skip
            self.report.progress(f"throughput, {workers} workers: {rates[workers]:.1f} images/s")
        self.report.summary["throughput_4_over_1"] = rates[4] / rates[1]

    def cost(self) -> None:
        """Processor seconds per photograph of 3 megapixels, stage by stage, on one thread."""
        n_images, n_masks = (8, 2) if self.quick else (32, 8)
        source, config = str(self.audits.pictures(n_images, MEGAPIXELS)), AuditConfig()
        torch.set_num_threads(1)
        classifier = load_model(self.audits.model)
        seconds: dict[str, float] = {}

        def timed(stage: str, table: str, work: Callable[[], Sequence[Mapping[str, Any]]]) -> list[Any]:
            began = time.process_time()
            rows = table_from_rows(table, work()).to_pylist()
            seconds[stage] = (time.process_time() - began) / len({row["media_id"] for row in rows})
            return rows

        objects = list_source(source, config.media).objects
        media = timed("ingest", "media", lambda: describe_objects(objects, source, config.media, None))
        named = timed("classify", "predictions", lambda: classify_media(media, classifier, source, config, None))
        few = named[:n_masks]
        by_id = {row["media_id"]: row for row in media}
        masks = timed("mask", "masks", lambda: mask_predictions(few, by_id, classifier, source, config))
        by_target = {row["target_id"]: row for row in masks}
        timed(
            "reclassify",
            "reclassifications",
            lambda: reclassify_predictions(few, by_target, by_id, classifier, source, config),
        )
        counts = {"ingest": n_images, "classify": n_images, "mask": n_masks, "reclassify": n_masks}
        megapixels = MEGAPIXELS[0] * MEGAPIXELS[1] / 1e6
        self.report.rows += [
            {"part": "cost", "stage": stage, "megapixels": megapixels, "network": NETWORK, "images": counts[stage],
             "core_seconds_per_image": value}
            for stage, value in seconds.items()
        ]  # fmt: skip
        self.report.summary["core_seconds_per_image"] = seconds["ingest"] + seconds["classify"]
        self.report.summary["core_seconds_per_mask"] = seconds["mask"] + seconds["reclassify"]
        self.report.progress(f"cost of {n_images} photographs")

    def growth(self) -> None:
        """The driver's memory and time against images and shards, on Ray, where the driver touches no picture."""
        sizes = ((128, 32),) if self.quick else ((256, 256), (256, 4), (2048, 256))
        rows = []
        for n_images, shard_size in sizes:
            found = self.audits.run(
                self.audits.pictures(n_images, (64, 48)), runner="ray", workers=2, shard_size=shard_size,
                warm=self.audits.pictures(8, (64, 48)),
            )  # fmt: skip
            rows.append({
                "part": "growth", "images": n_images, "shard_size": shard_size, "shards": 2 * -(-n_images // shard_size),
                "driver_memory_mib": found["driver_memory_mib"],
                "driver_growth_mib": found["driver_memory_mib"] - found["driver_memory_before_mib"],
                "driver_processor_seconds": found["driver_processor_seconds"],
                "out_bytes_per_image": found["out_bytes"] / n_images, "before": found["driver_memory_before_mib"],
            })  # fmt: skip
            self.report.progress(f"growth, {n_images} images in shards of {shard_size}")
        summary = self.report.summary
        summary["driver_mib_base"] = float(np.median([row.pop("before") for row in rows]))
        summary["out_bytes_per_image"] = rows[-1]["out_bytes_per_image"]
        self.report.rows += rows
        if not self.quick:
            table = np.array([[row["images"] / 1000, row["shards"] / 100, 1.0] for row in rows])
            growth = np.array([row["driver_growth_mib"] for row in rows])
            by_images, by_shards, _ = np.linalg.lstsq(table, growth, rcond=None)[0]
            summary["driver_mib_per_1000_images"], summary["driver_mib_per_100_shards"] = (
                float(by_images),
                float(by_shards),
            )
            usual = [row for row in rows if row["shard_size"] == 256]
            slope, _ = line_through([(row["images"], row["driver_processor_seconds"]) for row in usual])
            summary["driver_seconds_per_1000_images"] = 1000 * slope

    def server(self) -> None:
        """Requests and events that Prefect's server gets, and what they cost it."""
        rows = []
        for n_images in (128,) if self.quick else (512, 2048):
            source = self.audits.pictures(n_images, (64, 48))
            before = self.count()
            self.audits.run(source, runner="threads", shard_size=256)
            after = self.count()
            requests = {key: value - before["requests"].get(key, 0) for key, value in after["requests"].items()}
            n_requests = sum(requests.values())
            n_events = sum(after["messages"].values()) - sum(before["messages"].values())
            seconds = after["seconds"] - before["seconds"]
            n_tasks = 2 * -(-n_images // 256) + 3
            rows.append({
                "part": "server", "images": n_images, "task_runs": n_tasks, "requests": n_requests, "events": n_events,
                "requests_per_1000_images": 1000 * n_requests / n_images,
                "events_per_1000_images": 1000 * n_events / n_images, "server_seconds": seconds,
            })  # fmt: skip
            self.report.notes[f"requests_of_{n_images}_images"] = {
                key: value for key, value in requests.items() if value
            }
            self.report.progress(f"server, {n_images} images: {n_requests} requests, {n_events} events")
        self.report.rows += rows
        if self.quick:
            return
        summary = self.report.summary
        slope, base = line_through([(row["images"], row["requests"]) for row in rows])
        summary["requests_per_1000_images"], summary["requests_per_run"] = 1000 * slope, base
        summary["events_per_1000_images"] = 1000 * line_through([(row["images"], row["events"]) for row in rows])[0]
        slope, _ = line_through([(row["images"], row["server_seconds"]) for row in rows])
        summary["server_seconds_per_1000_images"] = 1000 * slope

    def listing(self) -> None:
        """Listing and planning, which one process does for all of SOURCE."""
        points = []
        for n_objects in (2_000, 10_000) if self.quick else (50_000, 150_000, 300_000):
            source = self.audits.folder / f"objects{n_objects}"
            for start in range(0, n_objects, 1000):
                camera = source / f"C{start // 1000:04}" / "d1"
                camera.mkdir(parents=True)
                for number in range(min(1000, n_objects - start)):
                    (camera / f"IMG_{number:06}.JPG").write_bytes(b"x")
            before = _seconds_of_children()
            done = subprocess.run(
                [sys.executable, "-m", "benchmarks.scale.plan", str(source), str(self.audits.folder / f"plans{n_objects}")],
                cwd=ROOT, capture_output=True, text=True, check=True,
            )  # fmt: skip
            shutil.rmtree(source)
            found = json.loads(done.stdout)
            row = {"core_seconds": _seconds_of_children() - before, "peak_memory_mib": 1024 * found["peak_memory_gb"]}
            points.append((n_objects, row))
            self.report.rows.append({"part": "listing", "objects": n_objects} | row)
            self.report.progress(f"listing of {n_objects} objects")
        summary = self.report.summary
        summary["listing_seconds_per_million"] = 1e6 * line_through([(n, row["core_seconds"]) for n, row in points])[0]
        # Below some 100 000 objects the peak is that of the imports.
        large = [(n, row["peak_memory_mib"]) for n, row in points[-2:]]
        summary["listing_mib_per_million"] = 1e6 * line_through(large)[0]


def _seconds_of_children() -> float:
    """Processor time of all processes that this one started and that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def line_through(points: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Slope and intercept of the least-squares line.

    >>> slope, base = line_through([(0, 1), (2, 5), (4, 9)])
    >>> round(slope, 6), round(base, 6)
    (2.0, 1.0)
    """
    slope, base = np.polyfit([x for x, _ in points], [y for _, y in points], 1)
    return float(slope), float(base)
