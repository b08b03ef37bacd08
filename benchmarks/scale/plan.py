"""List a SOURCE and plan it into batches and shards, measured: ``python -m benchmarks.scale.plan SOURCE OUT``.

Prints one JSON object: numbers of keys, batches and shards, seconds, and the peak memory of the process.
"""

from __future__ import annotations

import json
import sys
import time

from benchmarks.memory import peak_mib
from scd_core.config import MediaConfig
from scd_core.media import batch_levels, list_source
from scd_core.tables.plans import plan_batches
from scd_core.tables.store import AuditStore


def main() -> None:
    """Measure; imports are not counted in the seconds."""
    source, out = sys.argv[1:]
    config = MediaConfig()
    store = AuditStore(out)
    began, busy = time.perf_counter(), time.process_time()
    objects = list_source(source, config).objects
    listed = time.perf_counter()
    batches = plan_batches(
        store, objects, model_digest="m" * 16, config_digest="c" * 16, batch_size=config.batch_size,
        batch_levels=batch_levels(config),
    )  # fmt: skip
    shards = sum(-(-len(batch.objects) // config.shard_size) for batch in batches)
    ended, busy = time.perf_counter(), time.process_time() - busy
    found = {
        "keys": len(objects), "batches": len(batches), "shards": shards, "seconds": ended - began,
        "list_seconds": listed - began, "plan_seconds": ended - listed, "cpu_seconds": busy,
        "peak_memory_gb": peak_mib() / 1024,
    }  # fmt: skip
    print(json.dumps(found))


if __name__ == "__main__":
    main()
