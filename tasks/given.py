"""Names of another tool: prediction rows of a shard from a file of predictions, without a network."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

from scd_core.identify.given import given_rows
from scd_core.identify.targets import Boxes
from scd_core.inputs.predictions import GivenEntry
from scd_core.job import Shard
from scd_core.tables.schema import table_from_rows
from tasks.shards import kept, shard_key
from tasks.work import Work

__all__ = ["TAKE_NAMES", "take_names"]


def take_names(media: pa.Table, shard: Shard, names: Mapping[str, GivenEntry], boxes: Boxes | None) -> pa.Table:
    """Rows of the table `predictions` for media with status `ok`; `names`: media file -> what the tool gave."""

    def compute() -> pa.Table:
        return table_from_rows("predictions", given_rows(media.to_pylist(), names, shard.config.classify, boxes))

    return kept(shard, "predictions", shard_key(media, "media_id"), compute)


TAKE_NAMES = Work(take_names, "take names")
