"""One audit in a process of its own, measured: `python -m benchmarks.scale.run ORDER`, ORDER a JSON object.

Prints one JSON object: counts and wall times of the commit, the driver's memory, its processor time.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.memory import forget_peak, peak_mib

__all__ = ["LATENCY", "PLACE", "slow_reads"]

LATENCY = "TRAPAUDIT_BENCHMARK_LATENCY"
"""Seconds that every read of a picture takes longer: what an object store far away costs."""
PLACE = "TRAPAUDIT_BENCHMARK_PLACE"
"""Folder whose files are read so slowly."""


def slow_reads() -> None:
    """Make reads of pictures slow in this process; also the set-up of Ray's worker processes."""
    seconds, place = float(os.environ.get(LATENCY, 0)), os.environ.get(PLACE)
    if not seconds or not place:
        return
    from scd_core.storage import Storage

    read = Storage.read

    def later(self: Storage, path: str, **more: Any) -> bytes:
        if path.startswith(place):
            time.sleep(seconds)
        return read(self, path, **more)

    Storage.read = later  # type: ignore[method-assign]


def main() -> None:
    """Do what is ordered.

    Order: ``source``, ``model``, ``out``, ``config``, ``runner``; ``workers`` (processors that Ray may use),
    ``latency`` (s), ``warm`` (SOURCE of a first audit that is not counted, so that processes and model are there).
    """
    order = json.loads(sys.argv[1])
    from flows.audit_batch import audit_batch
    from flows.prefect_runner import task_runner_for
    from scd_core.config import AuditConfig
    from scd_core.request import AuditRequest

    if order["runner"] == "ray":
        import ray

        ray.init(
            address="local", num_cpus=order["workers"], num_gpus=0, include_dashboard=False, object_store_memory=256 * 2**20,
            log_to_driver=False, logging_level=logging.ERROR,
            runtime_env={
                "env_vars": {LATENCY: str(order["latency"]), PLACE: order["source"]},
                "worker_process_setup_hook": slow_reads,
            },
        )  # fmt: skip
    else:
        os.environ |= {LATENCY: str(order["latency"]), PLACE: order["source"]}
        slow_reads()
    settings = AuditConfig.from_mapping(order["config"], "order")

    def run(source: str, out: str) -> list[dict[str, Any]]:
        request = AuditRequest(
            source=source, model=order["model"], out=out, settings=settings, report=False, runner=order["runner"]
        )
        return audit_batch.with_options(task_runner=task_runner_for(request))(request).batches

    if order.get("warm"):
        run(order["warm"], f"{order['out']}-warm")
    before, processor = forget_peak(), time.process_time()
    began = time.perf_counter()
    commits = run(order["source"], order["out"])
    seconds = time.perf_counter() - began
    from scd_core.audit import read_table

    row = read_table(order["out"], "runs").iloc[0]
    found = {
        "seconds": seconds,
        "driver_processor_seconds": time.process_time() - processor,
        "driver_memory_mib": peak_mib(),
        "driver_memory_before_mib": before,
        "counts": commits[0]["counts"],
        "stages": {str(name): float(value) for name, value in dict(row["seconds"]).items()},
        "out_bytes": sum(path.stat().st_size for path in Path(order["out"]).rglob("*.parquet")),
    }
    print("\n" + json.dumps(found))


if __name__ == "__main__":
    main()
