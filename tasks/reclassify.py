"""Reclassify: classify the masked predictions of a shard again, and decide."""

from __future__ import annotations

import pyarrow as pa

from scd_core.identify.given import no_decisions
from scd_core.job import Shard
from scd_core.names import MaskStatus
from scd_core.reclassify.rows import reclassify_predictions
from scd_core.tables.schema import table_from_rows
from tasks.gpu import gpu_slot
from tasks.model import shard_model
from tasks.shards import kept, shard_key
from tasks.work import Work

__all__ = ["RECLASSIFY", "reclassify_shard"]


def reclassify_shard(predictions: pa.Table, masks: pa.Table, media: pa.Table, shard: Shard) -> pa.Table:
    """Rows of the table `reclassifications`."""

    def compute() -> pa.Table:
        classifier = shard_model(shard)
        by_target = {row["target_id"]: row for row in masks.to_pylist() if row["contrast_id"] is None}
        without = [row for row in by_target.values() if row["mask_status"] == MaskStatus.NOT_AVAILABLE]
        lacking = {row["target_id"] for row in without}
        with gpu_slot(str(classifier.device)):
            rows = reclassify_predictions(
                [row for row in predictions.to_pylist() if row["target_id"] not in lacking],
                by_target,
                {row["media_id"]: row for row in media.to_pylist()},
                classifier,
                shard.source,
                shard.config,
                shard.expected,
            )
        return table_from_rows("reclassifications", rows + no_decisions(without))

    return kept(shard, "reclassifications", shard_key(predictions, "target_id"), compute)


RECLASSIFY = Work(
    reclassify_shard, "reclassify", retries=1, retry_delays=(5.0,), tags=("trapaudit", "model"), uses_model=True
)
