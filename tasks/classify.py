"""Classify: name the individual in every image, or every box, of a shard."""

from __future__ import annotations

import pyarrow as pa

from scd_core.identify.classify import classify_media
from scd_core.identify.targets import Boxes
from scd_core.job import Shard
from scd_core.masks.gradient import GradientNaming
from scd_core.tables.schema import table_from_rows
from tasks.gpu import gpu_slot
from tasks.model import shard_model
from tasks.shards import kept, shard_key
from tasks.work import Work

__all__ = ["CLASSIFY", "classify_shard"]


def classify_shard(media: pa.Table, shard: Shard, boxes: Boxes | None) -> pa.Table:
    """Rows of the table `predictions` for media with status `ok`."""

    def compute() -> pa.Table:
        classifier = shard_model(shard)
        with gpu_slot(str(classifier.device)):
            naming = GradientNaming(classifier) if shard.config.classify.measure_gradient else None
            rows = classify_media(
                media.to_pylist(), classifier, shard.source, shard.config, boxes, naming, shard.expected
            )
        return table_from_rows("predictions", rows)

    return kept(shard, "predictions", shard_key(media, "media_id"), compute)


CLASSIFY = Work(
    classify_shard, "classify", retries=1, retry_delays=(5.0,), tags=("trapaudit", "model"), uses_model=True
)
