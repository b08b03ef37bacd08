"""Mask: fit Simplified Concrete Dropout masks for the selected predictions of a shard."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

from scd_core.identify.given import no_masks, of_classes
from scd_core.job import Shard
from scd_core.masks.contrast import contrast_masks
from scd_core.masks.rows import mask_predictions
from scd_core.names import MaskStatus
from scd_core.tables.schema import table_from_rows
from tasks.gpu import gpu_slot
from tasks.model import shard_model
from tasks.shards import kept, shard_key
from tasks.work import Work

__all__ = ["MASK", "mask_shard"]


def mask_shard(
    predictions: pa.Table, media: pa.Table, overlay_frames: pa.Table, rivals: Mapping[str, str], shard: Shard
) -> pa.Table:
    """Rows of the table `masks`; `media` has the rows of the overlay frames as well, `rivals` the names to contrast with.

    Names that another tool gave and the model has no class of have a row that says so, and so have those of a model that gives
    names only.
    """

    def compute() -> pa.Table:
        classifier = shard_model(shard)
        by_id = {row["media_id"]: row for row in media.to_pylist()}
        named, foreign = of_classes(predictions.to_pylist(), classifier.names)
        if classifier.no_masks is not None:
            return table_from_rows("masks", no_masks(named, classifier.no_masks) + no_masks(foreign))
        with gpu_slot(str(classifier.device)):
            rows = mask_predictions(named, by_id, classifier, shard.source, shard.config, overlay_frames.to_pylist())
            lacking = {row["target_id"] for row in rows if row["mask_status"] == MaskStatus.NOT_AVAILABLE}
            against = {
                target: rival for target, rival in rivals.items() if rival in classifier.names and target not in lacking
            }
            rows += contrast_masks(named, against, by_id, classifier, shard.source, shard.config)
        return table_from_rows("masks", rows + no_masks(foreign))

    return kept(shard, "masks", shard_key(predictions, "target_id"), compute)


MASK = Work(mask_shard, "mask", retries=1, retry_delays=(5.0,), tags=("trapaudit", "model", "gpu"), uses_model=True)
