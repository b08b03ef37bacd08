"""Classify: name the individual in every image, or every box, of a shard."""

from __future__ import annotations

import pyarrow as pa
from prefect import task
from prefect.cache_policies import NO_CACHE

from scd_core.identify.classifier import shared_model
from scd_core.identify.classify import classify_media
from scd_core.identify.targets import Boxes
from scd_core.job import Shard
from scd_core.tables.schema import table_from_rows
from tasks.gpu import device_here, gpu_slot
from tasks.shards import kept, shard_key

__all__ = ["classify_shard"]


@task(
    name="classify",
    task_run_name="classify-{number}",
    tags=["trapaudit", "model"],
    retries=1,
    retry_delay_seconds=5,
    cache_policy=NO_CACHE,
    persist_result=False,
)
def classify_shard(media: pa.Table, shard: Shard, boxes: Boxes | None, number: int) -> pa.Table:
    """Rows of the table `predictions` for media with status `ok`."""

    def compute() -> pa.Table:
        classifier = shared_model(shard.model, device_here(shard.config.classify.device), shard.model_digest)
        with gpu_slot(str(classifier.device)):
            rows = classify_media(media.to_pylist(), classifier, shard.source, shard.config, boxes)
        return table_from_rows("predictions", rows)

    return kept(shard, "predictions", shard_key(media, "media_id"), compute)
