"""The comparison that the page shows: of two models that are named, else of the model in use and its shadow or predecessor."""

from __future__ import annotations

from typing import Any

from scd_core.audit.compare.models import Comparison, compare_models
from scd_core.audit.query.connection import open_tables
from scd_core.audit.sql import load_sql
from scd_core.config import AuditConfig
from scd_core.errors import InputError
from scd_core.tables.store import AuditStore

__all__ = ["shown_comparison"]

_MOST = 1_000_000
"""Predictions of two models up to which they are compared without being named: beyond, it takes minutes."""


def shown_comparison(out: str, config: AuditConfig, models: tuple[str, str] | None = None) -> Comparison | None:
    """Two models side by side, for the page.

    Args:
        out: OUT.
        config: thresholds.
        models: old and new one, as :func:`scd_core.audit.compare.models.compare_models` takes them. None takes the model in use
            and its newest shadow; without a shadow the two that were last in use, unless they are versions of one file of
            predictions.

    Returns:
        The comparison; None where `models` is None and there are no two such models, they have more than a million
        predictions, or no labelled picture was named by both.

    Raises:
        InputError: two models that are named cannot be compared.
    """
    if models is not None:
        return compare_models(out, *models, config)
    pair = _pair(out)
    if pair is None:
        return None
    try:
        return compare_models(out, *pair, config)
    except InputError:  # nothing of both is labelled
        return None


def _pair(out: str) -> tuple[str, str] | None:
    if len({commit["model_digest"] for commit in AuditStore(out).committed().values()}) < 2:
        return None
    with open_tables(out, with_shadows=True) as connection:
        rows: list[Any] = connection.execute(load_sql("scd_core.audit.compare", "models_shown")).fetchall()
    used = [row for row in rows if row[2] is not None]
    shadows = [row for row in rows if row[2] is None]
    if not used:
        return None
    others = [row for row in used[1:] if row[1] is None or row[1] != used[0][1]]
    old, new = (used[0], shadows[0]) if shadows else (others[0], used[0]) if others else (None, None)
    if old is None or new is None or old[4] + new[4] > _MOST:
        return None
    return old[0], new[0]
