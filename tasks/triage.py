"""Triage: choose the predictions of a batch that deserve a mask."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType

import pyarrow as pa

from scd_core.audit.errors.outside import outside_limits
from scd_core.audit.slices.confusions import known_confusions, unchanged_confusions
from scd_core.audit.slices.mask_yields import mask_yields
from scd_core.identify.available import Searched, with_available
from scd_core.job import Shard
from scd_core.tables.schema import table_from_rows
from scd_core.triage import triage
from tasks.shards import kept, shard_key
from tasks.work import Work

_LIMITS = pa.schema([("region", pa.string()), ("limit", pa.float64())])
_YIELDS = pa.schema([("reason", pa.string()), ("yield", pa.float64())])
_PAIRS = pa.schema([("true_id", pa.string()), ("predicted_id", pa.string())])

__all__ = ["TRIAGE", "confusions_of", "limits_of", "triage_batch", "unchanged_of", "yields_of"]


def triage_batch(
    predictions: pa.Table,
    media: pa.Table,
    n_labels: int,
    shard: Shard,
    human_flags: Collection[str],
    confusions: Collection[tuple[str, str]] = (),
    unknown_threshold: float | None = None,
    limits: Mapping[str, float] = MappingProxyType({}),
    unchanged: Collection[tuple[str, str]] = (),
    yields: Mapping[str, float] = MappingProxyType({}),
    lineages: Mapping[str, str] = MappingProxyType({}),
    searched: Searched | None = None,
) -> pa.Table:
    """The predictions of a whole batch with events, flags, control sample and selection."""

    def compute() -> pa.Table:
        settings = shard.config.triage
        named, frames = predictions.to_pylist(), media.to_pylist()
        if searched is not None:
            named = with_available(named, {row["media_id"]: row for row in frames}, searched)
        rows = triage(
            named,
            frames,
            n_labels,
            settings,
            human_flags,
            confusions,
            unknown_threshold,
            limits,
            unchanged,
            yields,
            lineages,
        )
        return table_from_rows("predictions", rows)

    return kept(shard, "triage", shard_key(predictions, "target_id"), compute)


def confusions_of(shard: Shard) -> list[tuple[str, str]]:
    """Pairs that earlier reports found to be confused, as they were when the batch was first worked on.

    They are kept with the batch's unfinished work: a run that finishes it after another report selects the same rows.
    """

    return _kept_pairs(shard, "pairs", known_confusions)


def unchanged_of(shard: Shard) -> list[tuple[str, str]]:
    """Those of :func:`confusions_of` of which masks have never changed a name, kept in the same way."""
    return _kept_pairs(shard, "unchanged", unchanged_confusions)


def _kept_pairs(shard: Shard, key: str, find: Callable[[str], list[tuple[str, str]]]) -> list[tuple[str, str]]:
    def compute() -> pa.Table:
        pairs = find(shard.out)
        return pa.table(
            {"true_id": [true for true, _ in pairs], "predicted_id": [given for _, given in pairs]}, schema=_PAIRS
        )

    found = kept(shard, "confusions", key, compute)
    return list(zip(found.column("true_id").to_pylist(), found.column("predicted_id").to_pylist(), strict=True))


def limits_of(shard: Shard) -> dict[str, float]:
    """Limits of `evidence_outside` from the labels of earlier reports, kept as :func:`confusions_of` keeps its pairs."""
    return _kept_numbers(shard, "outside", "limits", _LIMITS, outside_limits)


def yields_of(shard: Shard, n_targets: int) -> dict[str, float]:
    """What masks have shown by reason in earlier batches, kept in the same way; none where the budget is enough for all."""
    if n_targets <= shard.config.triage.budget:
        return {}
    return _kept_numbers(shard, "yields", "yields", _YIELDS, mask_yields)


def _kept_numbers(
    shard: Shard, stage: str, key: str, schema: pa.Schema, find: Callable[[str, str], dict[str, float]]
) -> dict[str, float]:
    def compute() -> pa.Table:
        found = find(shard.out, shard.model_digest)
        return pa.table([list(found), list(found.values())], schema=schema)

    found = kept(shard, stage, key, compute)
    names, numbers = (found.column(name).to_pylist() for name in schema.names)
    return dict(zip(names, numbers, strict=True))


TRIAGE = Work(triage_batch, "triage")
