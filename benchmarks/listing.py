"""Listing and planning of a large SOURCE: seconds and memory from a bucket to batches and shards.

python -m benchmarks.listing --json FILE [--quick] [--keys N ...]
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.common import ROOT, Report, options, resolve_device

__all__ = ["main"]

COLUMNS = ("storage", "keys", "batches", "shards", "seconds", "list_seconds", "plan_seconds", "peak_memory_gb")
_NOTES = {
    "seconds": "list SOURCE and plan it into batches and shards, in a process of its own, imports not counted",
    "peak_memory_gb": "largest resident memory of that process, imports included",
    "s3": "moto's server on loopback; its own time is in the listing",
}
WORK = """
import json, resource, sys, time
from scd_core.audit.claims import claim_batches
from scd_core.audit.store import AuditStore
from scd_core.config import MediaConfig
from scd_core.media import batch_levels, list_source
source, out = sys.argv[1:]
config = MediaConfig()
store = AuditStore(out)
began = time.perf_counter()
objects = list_source(source, config).objects
listed = time.perf_counter()
batches = claim_batches(
    store, objects, model_digest="m" * 16, config_digest="c" * 16, batch_size=config.batch_size,
    batch_levels=batch_levels(config),
)
shards = sum(-(-len(batch.objects) // config.shard_size) for batch in batches)
ended = time.perf_counter()
print(json.dumps({
    "keys": len(objects), "batches": len(batches), "shards": shards, "seconds": ended - began,
    "list_seconds": listed - began, "plan_seconds": ended - listed,
    "peak_memory_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
}))
"""


def main(arguments: Sequence[str] | None = None) -> Report:
    """Parse the command line, measure, print, write."""
    parser = options("Listing and planning of a large SOURCE.")
    parser.add_argument("--keys", type=int, nargs="+", default=[10_000, 100_000], help="objects in SOURCE")
    chosen = parser.parse_args(arguments)
    report = Report("listing", resolve_device("cpu"), notes=dict(_NOTES))
    for keys in [10_000] if chosen.quick else chosen.keys:
        with _bucket(keys) as environment:
            report.rows.append({"storage": "s3"} | _measure(f"s3://cards-{keys}", f"s3://out-{keys}", environment))
        report.progress(f"s3, {keys} keys")
        with tempfile.TemporaryDirectory() as folder:
            _files(Path(folder) / "cards", keys)
            report.rows.append({"storage": "disk"} | _measure(f"{folder}/cards", f"{folder}/out", {}))
        report.progress(f"disk, {keys} keys")
    for row in report.rows:
        report.summary[f"{row['storage']}_seconds_{row['keys']}"] = row["seconds"]
        report.summary[f"{row['storage']}_memory_gb_{row['keys']}"] = row["peak_memory_gb"]
    report.show(COLUMNS, "listing and planning")
    report.finish(chosen.json)
    return report


def _measure(source: str, out: str, environment: dict[str, str]) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-c", WORK, source, out],
        cwd=ROOT, env=os.environ | environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"{source}: {done.stderr.strip().splitlines()[-1]}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _names(keys: int) -> Iterator[str]:
    """Keys as cameras write them: folders of 1 000, some with spaces, plus signs and letters beyond ASCII."""
    kinds = ("C{0:04d}/DCIM 1", "C{0:04d}/100+RECNX", "Höhle {0:04d}/card #2")
    for number in range(keys):
        folder = number // 1000
        yield f"{kinds[folder % len(kinds)].format(folder)}/IMG_{number % 1000:04d}.JPG"


@contextmanager
def _bucket(keys: int) -> Iterator[dict[str, str]]:
    """Moto's server with a bucket of small objects; gives the environment of a client."""
    from moto.s3.models import s3_backends
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        backend = s3_backends["123456789012"]["aws"]
        for bucket in (f"cards-{keys}", f"out-{keys}"):
            backend.create_bucket(bucket, "us-east-1")
        for name in _names(keys):
            backend.put_object(f"cards-{keys}", name, b"x")
        yield {
            "AWS_ENDPOINT_URL": f"http://{host}:{port}",
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing123",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
    finally:
        server.stop()


def _files(folder: Path, keys: int) -> None:
    for name in _names(keys):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


if __name__ == "__main__":
    main()
