"""Triage: choose the predictions of a batch that deserve a mask."""

from __future__ import annotations

from collections.abc import Collection

import pyarrow as pa
from prefect import task
from prefect.cache_policies import NO_CACHE

from scd_core.audit.schema import table_from_rows
from scd_core.config import TriageConfig
from scd_core.identify.unknowns import group_unknowns
from scd_core.triage import triage

__all__ = ["triage_batch"]


@task(name="triage", tags=["trapaudit"], cache_policy=NO_CACHE, persist_result=False)
def triage_batch(
    predictions: pa.Table, media: pa.Table, n_labels: int, config: TriageConfig, human_flags: Collection[str]
) -> pa.Table:
    """The predictions of a whole batch with events, flags, control sample and selection."""
    rows = triage(predictions.to_pylist(), media.to_pylist(), n_labels, config, human_flags)
    return table_from_rows("predictions", group_unknowns(rows))
