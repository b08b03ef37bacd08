"""Listing and planning of a large SOURCE: seconds and memory from a bucket to batches and shards.

python -m benchmarks.scale.listing --json FILE [--quick] [--keys N ...] [--server ceph]

The server is Ceph's object gateway where it is installed (`tests/services/rgw.sh`), else moto's, whose own work for one
page of a listing grows with the number of keys in the bucket. On Ceph, more than `--put-up-to` keys are written into the bucket's
index (:mod:`benchmarks.scale.rgw_index`), and are not laid on a disk.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from benchmarks.common import ROOT, Report, options, resolve_device

__all__ = ["main", "measure"]

COLUMNS = (
    "storage",
    "keys",
    "batches",
    "shards",
    "seconds",
    "list_seconds",
    "plan_seconds",
    "cpu_seconds",
    "peak_memory_gb",
)
_WRITERS = 8
_NOTES = {
    "seconds": "list SOURCE and plan it into batches and shards, in a process of its own, imports not counted",
    "cpu_seconds": "of these, the processor's time of that process; the rest is the server's, the disk's and other programs'",
    "peak_memory_gb": "largest resident memory of that process, imports included",
    "new": "of a night: all but these are committed in OUT, on Ceph too",
    "storage": "ceph: its object gateway on loopback, its work on the same cores; moto: the same; disk: a local folder",
}


def main(arguments: Sequence[str] | None = None) -> Report:
    """Parse the command line, measure, print, write."""
    parser = options("Listing and planning of a large SOURCE.")
    parser.add_argument("--keys", type=int, nargs="+", default=[10_000, 100_000], help="objects in SOURCE")
    parser.add_argument("--server", choices=["ceph", "moto"], default="ceph" if shutil.which("radosgw") else "moto")
    parser.add_argument("--put-up-to", type=int, default=200_000, help="most objects that are put one by one")
    chosen = parser.parse_args(arguments)
    report = Report("listing", resolve_device("cpu"), notes=dict(_NOTES))
    with _ceph() if chosen.server == "ceph" else _moto() as environment:
        for keys in [10_000] if chosen.quick else chosen.keys:
            is_indexed = chosen.server == "ceph" and keys > chosen.put_up_to
            _fill(environment, keys, 1 if is_indexed else keys)
            if is_indexed:
                _fill_index(Path(environment["CEPH_CONF"]), keys)
            report.progress(f"{chosen.server} filled, {keys} keys")
            found = measure(f"s3://cards-{keys}", f"s3://out-{keys}", environment)
            report.rows.append({"storage": chosen.server} | found)
            report.progress(f"{chosen.server}, {keys} keys: {found['seconds']:.0f} s")
            if is_indexed:
                night = f"s3://cards-{keys}", f"s3://out-{keys}/night", environment
                measure(*night, "fill", module="listed_night")
                found = measure(*night, module="listed_night")
                report.rows.append({"storage": "ceph, a night"} | found | {"keys": keys, "new": found["keys"]})
                report.progress(f"{keys} keys, {found['keys']} of them new: {found['seconds']:.0f} s")
                continue
            with tempfile.TemporaryDirectory() as folder:
                _files(Path(folder) / "cards", keys)
                report.rows.append({"storage": "disk"} | measure(f"{folder}/cards", f"{folder}/out", {}))
            report.progress(f"disk, {keys} keys")
    for row in report.rows:
        report.summary[f"{row['storage']}_seconds_{row['keys']}"] = row["seconds"]
        report.summary[f"{row['storage']}_memory_gb_{row['keys']}"] = row["peak_memory_gb"]
    report.show(COLUMNS, "listing and planning")
    report.finish(chosen.json)
    return report


def measure(source: str, out: str, environment: dict[str, str], *more: str, module: str = "plan") -> dict[str, Any]:
    """List and plan a SOURCE in a process of its own, with these environment variables besides its own."""
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.scale.{module}", source, out, *more],
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


def _environment(port: int, region: str) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing123",
        "AWS_DEFAULT_REGION": region,
    }


@contextmanager
def _ceph() -> Iterator[dict[str, str]]:
    """Ceph's object gateway; gives the environment of a client."""
    script, folder = ROOT / "tests" / "services" / "rgw.sh", f"/tmp/rgw-{secrets.token_hex(4)}"
    port, monitor = _free_port(), _free_port()
    try:
        subprocess.run([script, "start", folder, str(port), str(monitor)], check=True, timeout=180)
        yield _environment(port, "default") | {"CEPH_CONF": f"{folder}/ceph.conf"}
    finally:
        subprocess.run([script, "stop", folder], check=False, timeout=60)
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _moto() -> Iterator[dict[str, str]]:
    """Moto's server, in a process of its own; gives the environment of a client."""
    port = _free_port()
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        for _ in range(600):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.1)
        yield _environment(port, "us-east-1")
    finally:
        server.terminate()
        server.wait(30)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _fill_index(conf: Path, keys: int) -> None:
    """Write the names into the index of a bucket that has the first of them."""
    stats = ["radosgw-admin", "-c", str(conf), "-n", "client.rgw", "bucket", "stats", f"--bucket=cards-{keys}"]
    found = subprocess.run(stats, capture_output=True, text=True, check=True)
    names = "\n".join(_names(keys)).encode()
    command = ["/usr/bin/python3", ROOT / "benchmarks" / "scale" / "rgw_index.py", conf, json.loads(found.stdout)["id"]]
    subprocess.run(command, input=names, check=True)


def _fill(environment: dict[str, str], keys: int, n_put: int) -> None:
    """Make the two buckets, and put the first objects, of one byte, by plain requests: signing each costs more than the put."""
    import boto3

    client = boto3.client(
        "s3",
        endpoint_url=environment["AWS_ENDPOINT_URL"],
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        region_name=environment["AWS_DEFAULT_REGION"],
    )
    for bucket in (f"cards-{keys}", f"out-{keys}"):
        client.create_bucket(Bucket=bucket)
    client.put_bucket_acl(Bucket=f"cards-{keys}", ACL="public-read-write")

    def put(names: list[str]) -> None:
        link = http.client.HTTPConnection(environment["AWS_ENDPOINT_URL"].removeprefix("http://"))
        for name in names:
            # The bucket's owner must be able to read what anybody put.
            link.request("PUT", f"/cards-{keys}/{quote(name)}", b"x", {"x-amz-acl": "bucket-owner-full-control"})
            answer = link.getresponse()
            answer.read()
            if answer.status != 200:
                raise RuntimeError(f"{name}: {answer.status} {answer.reason}")
        link.close()

    names = list(_names(n_put))
    with ThreadPoolExecutor(_WRITERS) as pool:
        list(pool.map(put, (names[start::_WRITERS] for start in range(_WRITERS))))
    client.put_bucket_acl(Bucket=f"cards-{keys}", ACL="private")


def _files(folder: Path, keys: int) -> None:
    for name in _names(keys):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


if __name__ == "__main__":
    main()
