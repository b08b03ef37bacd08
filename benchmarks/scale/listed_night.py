"""One night over a real SOURCE of which 1 000 are new, measured: ``python -m benchmarks.scale.listed_night SOURCE OUT [fill]``.

Prints one JSON object; with `fill`, OUT gets commits of all that is listed but the last thousand instead.
"""

from __future__ import annotations

import json
import sys
import time

from benchmarks.memory import peak_mib
from benchmarks.scale.simulated_night import MODEL, NEW, commit_refs
from scd_core.job import list_job, plan_job, prepare_job
from scd_core.request import AuditRequest


def main() -> None:
    """Measure; imports are not counted in the seconds."""
    source, out, *what = sys.argv[1:]
    job = prepare_job(AuditRequest(source=source, model=str(MODEL), out=out))
    began, busy = time.perf_counter(), time.process_time()
    listed = list_job(job)
    at = time.perf_counter()
    if what:
        commit_refs(job, list(listed.objects)[:-NEW])
        print("{}")
        return
    batches = plan_job(job, listed.objects)
    ended, busy = time.perf_counter(), time.process_time() - busy
    found = {
        "keys": sum(len(batch.objects) for batch in batches), "batches": len(batches),
        "shards": sum(-(-len(batch.objects) // job.config.media.shard_size) for batch in batches),
        "seconds": ended - began, "list_seconds": at - began, "plan_seconds": ended - at, "cpu_seconds": busy,
        "peak_memory_gb": peak_mib() / 1024,
    }  # fmt: skip
    print(json.dumps(found))


if __name__ == "__main__":
    main()
