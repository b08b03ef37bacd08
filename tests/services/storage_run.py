"""The storage side of an audit, as tests run it: list, plan, describe in kept shards, write, commit."""

from __future__ import annotations

import json
import sys
from datetime import date

from scd_core.config import MediaConfig
from scd_core.errors import TrapauditError
from scd_core.media import describe_objects, list_objects
from scd_core.tables.plans import plan_batches
from scd_core.tables.schema import table_from_rows
from scd_core.tables.shards import drop_work, load_shard, save_shard
from scd_core.tables.store import AuditStore

CONFIG = MediaConfig(fetch_workers=4)
DAY = date(2024, 5, 3)


def audit(source: str, out: str, run_id: str = "r1", batch_size: int = 20) -> dict[str, bool]:
    """Audit what is new in SOURCE; batch_key -> whether this run committed it."""
    store = AuditStore(out)
    store.check_writable()
    objects = list_objects(source, CONFIG)
    won = {}
    for batch in plan_batches(store, objects, model_digest="m", config_digest="c", batch_size=batch_size):
        rows = []
        for start in range(0, len(batch.objects), 5):
            kept = load_shard(store, batch.batch_key, "media", f"s{start}")
            if kept is None:
                part = describe_objects(batch.objects[start : start + 5], source, CONFIG)
                kept = save_shard(store, batch.batch_key, "media", f"s{start}", table_from_rows("media", part))
            rows += kept.to_pylist()
        opener = store.open_batch(batch.batch_key, run_id)
        stamped = [row | {"run_id": opener, "batch_key": batch.batch_key, "model_digest": "m"} for row in rows]
        path = store.write_table("media", table_from_rows("media", stamped), DAY, batch.batch_key)
        content = {"model_digest": "m", "config_digest": "c", "batch_date": str(DAY), "files": {"media": path}}
        won[batch.batch_key] = store.commit(batch.batch_key, content)
        drop_work(store, batch.batch_key)
    return won


def rows(out: str) -> list[dict]:
    """The committed rows of `media`."""
    return sorted(AuditStore(out).read("media").to_pylist(), key=lambda row: row["file"])


if __name__ == "__main__":
    try:
        print(json.dumps({"won": audit(*sys.argv[1:])}))
    except TrapauditError as error:
        print(json.dumps({"error": str(error), "exit_code": error.exit_code}))
