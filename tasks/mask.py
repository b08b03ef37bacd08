"""Mask: fit Simplified Concrete Dropout masks for the selected predictions of a shard."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

from scd_core.identify.classifier import shared_model
from scd_core.job import Shard
from scd_core.masks.contrast import contrast_masks
from scd_core.masks.rows import mask_predictions
from scd_core.tables.schema import table_from_rows
from tasks.gpu import device_here, gpu_slot
from tasks.shards import kept, shard_key
from tasks.work import Work

__all__ = ["MASK", "mask_shard"]


def mask_shard(
    predictions: pa.Table, media: pa.Table, overlay_frames: pa.Table, rivals: Mapping[str, str], shard: Shard
) -> pa.Table:
    """Rows of the table `masks`; `media` has the rows of the overlay frames as well, `rivals` the names to contrast with."""

    def compute() -> pa.Table:
        classifier = shared_model(shard.model, device_here(shard.config.classify.device), shard.model_digest)
        by_id = {row["media_id"]: row for row in media.to_pylist()}
        with gpu_slot(str(classifier.device)):
            named = predictions.to_pylist()
            rows = mask_predictions(
                named, by_id, classifier, shard.source, shard.config, overlay_frames.to_pylist()
            ) + contrast_masks(named, rivals, by_id, classifier, shard.source, shard.config)
        return table_from_rows("masks", rows)

    return kept(shard, "masks", shard_key(predictions, "target_id"), compute)


MASK = Work(mask_shard, "mask", retries=1, retry_delays=(5.0,), tags=("trapaudit", "model", "gpu"), uses_model=True)
