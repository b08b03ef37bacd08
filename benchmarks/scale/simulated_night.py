"""One night over a simulated SOURCE, measured: ``python -m benchmarks.scale.simulated_night OUT KEYS [fill]``.

Prints one JSON object; with `fill`, OUT gets commits of all keys but the last thousand instead.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import count, islice
from pathlib import Path
from unittest.mock import patch

import pyarrow as pa

from benchmarks.memory import peak_mib
from scd_core.job import Job, list_job, plan_job, prepare_job
from scd_core.request import AuditRequest
from scd_core.storage import Storage, open_source
from scd_core.storage.entry import Entry, LeaveOut
from scd_core.storage.objects import ObjectRef
from scd_core.storage.other import OtherStorage
from scd_core.tables.schema import conform, table_schema
from scd_core.tables.store import AuditStore

__all__ = ["MODEL", "NEW", "commit_refs"]

SOURCE = "s3://simulated/cards"
MODEL = Path(__file__).resolve().parents[2] / "scd_core" / "scenes" / "models" / "clean"
NEW = 1_000
_FOLDER = 1_000
_BATCH = 50_000


class _Simulated(OtherStorage):
    """A bucket with `n` keys in folders of a thousand, a card each; the last thousand were written today."""

    def __init__(self, n: int) -> None:
        super().__init__(None, "simulated/cards")
        self.n = n
        self.shown = 0

    def uri_of(self, path: str) -> str:
        return f"s3://{path}"

    def path_of(self, uri: str) -> str:
        return uri.removeprefix("s3://")

    def entries(
        self, relative: str = "", *, versions: bool = False, leave_out: LeaveOut | None = None
    ) -> Iterator[Entry]:
        for folder in range(-(-self.n // _FOLDER)):
            name = _folder(folder)
            if leave_out is not None and leave_out.leaves_out(name):
                continue
            for number in range(folder * _FOLDER, min((folder + 1) * _FOLDER, self.n)):
                self.shown += 1
                yield _entry(name, number, self.n)

    def _head(self, path: str, version_id: str | None) -> Entry | None:
        return None


def _folder(folder: int) -> str:
    return f"C{folder // 20:05}/2026-{folder % 20:02}"


def _entry(folder: str, number: int, n: int) -> Entry:
    moment = datetime.now(UTC) - timedelta(days=0.2) if number >= n - NEW else _OLD
    return Entry(
        f"simulated/cards/{folder}/IMG_{number % _FOLDER:04}.JPG", 1_000_000 + number, f"{number:032x}", None, moment
    )


_OLD = datetime(2026, 1, 1, tzinfo=UTC)


def _night(out: str, keys: int) -> None:
    """List and plan, and print what it took as JSON."""
    store = _Simulated(keys)

    def opened(url: str) -> Storage:
        return store if url == SOURCE else open_source(url)

    job = prepare_job(AuditRequest(source=SOURCE, model=str(MODEL), out=out))
    base = peak_mib()
    began, busy = time.perf_counter(), time.process_time()
    with (
        patch("scd_core.media.listing.open_source", opened),
        patch("scd_core.media.manifest.open_source", opened),
        patch("scd_core.job.open_source", opened),
    ):
        listed = list_job(job)
        batches = plan_job(job, listed.objects)
    found = {
        "keys": keys, "new": sum(len(batch.objects) for batch in batches), "shown": store.shown,
        "closed": listed.n_closed, "seconds": time.perf_counter() - began, "cpu_seconds": time.process_time() - busy,
        "peak_memory_mib": peak_mib(), "base_memory_mib": base,
    }  # fmt: skip
    print(json.dumps(found))


def _fill(out: str, keys: int) -> None:
    """Commit all but the last thousand, in batches as a run would."""
    job = prepare_job(AuditRequest(source=SOURCE, model=str(MODEL), out=out))
    commit_refs(job, (_ref(number, keys) for number in range(keys - NEW)))


def commit_refs(job: Job, objects: Iterable[ObjectRef]) -> None:
    """Commit objects as done, in batches as a run would."""
    store, left = AuditStore(job.request.out), iter(objects)
    for start in count(0, _BATCH):
        refs = list(islice(left, _BATCH))
        if not refs:
            return
        columns = {
            "media_id": [ref.media_id for ref in refs], "uri": [ref.uri for ref in refs],
            "file": [ref.file for ref in refs], "etag": [ref.etag for ref in refs],
            "size_bytes": [ref.size_bytes for ref in refs], "content_sha256": [ref.etag * 2 for ref in refs],
            "status": ["ok"] * len(refs),
        }  # fmt: skip
        key = f"{start:032x}"
        path = store.write_table("media", conform(pa.table(columns), table_schema("media")), date(2026, 1, 1), key)
        content = {"model_digest": job.model_digest, "config_digest": job.config_digest, "batch_date": "2026-01-01"}
        store.commit(key, content | {"files": {"media": path}, "counts": {}})


def _ref(number: int, n: int) -> ObjectRef:
    entry = _entry(_folder(number // _FOLDER), number, n)
    file = entry.path.removeprefix("simulated/cards/")
    return ObjectRef(f"s3://{entry.path}", file, entry.size, entry.etag, None, entry.modified)


if __name__ == "__main__":
    (_fill if sys.argv[3:] else _night)(sys.argv[1], int(sys.argv[2]))
