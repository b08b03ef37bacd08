"""What masks have shown for each reason of a flag, for the budget of the next batch."""

from __future__ import annotations

from collections import Counter

from scd_core.tables.store import AuditStore

__all__ = ["mask_yields"]

_BATCHES = 30
"""Newest batches that count."""


def mask_yields(out: str, model_digest: str) -> dict[str, float]:
    """Share of a model's masks that showed something, by the first reason for which the name was flagged.

    Args:
        out: OUT of the audit.
        model_digest: the model that names.

    Returns:
        Reason -> (telling + 1) / (masks + 2) over the newest 30 batches of the model, so that few masks settle nothing and no
        share is 0; none where no batch of it has these counts.

    Raises:
        RunError: OUT could not be read.
    """
    store = AuditStore(out)
    commits = sorted(store.committed().values(), key=lambda one: str(one.get("committed_at")))
    own = [one for one in commits if one["model_digest"] == model_digest and "runs" in one["files"]]
    files = [one["files"]["runs"] for one in own[-_BATCHES:]]
    made, telling = Counter[str](), Counter[str]()
    for row in store.read_files("runs", files, ["masks_by_reason", "telling_by_reason"]).to_pylist():
        made.update(dict(row["masks_by_reason"] or ()))
        telling.update(dict(row["telling_by_reason"] or ()))
    return {reason: (telling[reason] + 1) / (n + 2) for reason, n in sorted(made.items())}
