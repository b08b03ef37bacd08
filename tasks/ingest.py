"""Ingest: describe the objects of a shard, and what only a whole batch shows of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

import pyarrow as pa

from scd_core.config import MediaConfig
from scd_core.inputs.limits import file_limits
from scd_core.job import Shard
from scd_core.media import Manifest, assign_events, describe_objects, find_manifest, mark_clocks, mark_duplicates
from scd_core.storage.objects import ObjectRef
from scd_core.tables.schema import table_from_rows
from tasks.shards import kept, shard_key
from tasks.work import Work

__all__ = ["DESCRIBE", "FINISH_MEDIA", "describe_shard", "finish_media"]


def describe_shard(objects: Sequence[ObjectRef], shard: Shard, names: Mapping[str, str]) -> pa.Table:
    """Fetch, verify and describe the objects of a shard: rows of the table `media`.

    `names`: address of an object -> its name in the manifest, where that is not the address.
    """
    media_ids = pa.table({"media_id": [item.media_id for item in objects]})

    def compute() -> pa.Table:
        with file_limits(shard.config.files):
            manifest = _manifest(shard.source, shard.batch_key)
        return table_from_rows("media", describe_objects(objects, shard.source, shard.config.media, manifest, names))

    return kept(shard, "media", shard_key(media_ids, "media_id"), compute)


@lru_cache(maxsize=4)
def _manifest(source: str, batch_key: str) -> Manifest | None:
    """The manifest of SOURCE, read once per batch and process."""
    return find_manifest(source)


def finish_media(parts: Sequence[pa.Table], config: MediaConfig) -> pa.Table:
    """Duplicates, doubtful clocks and events over the whole batch, in the order of its files."""
    rows = sorted((row for part in parts for row in part.to_pylist()), key=lambda row: row["file"])
    return table_from_rows("media", assign_events(mark_clocks(mark_duplicates(rows)), config.event_gap_seconds))


DESCRIBE = Work(
    describe_shard, "describe", retries=2, retry_delays=(2.0, 10.0), retry_jitter=0.5, tags=("trapaudit", "ingest")
)
FINISH_MEDIA = Work(finish_media, "group", tags=("trapaudit", "ingest"))
