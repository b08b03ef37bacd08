"""The limit of triage's reason `evidence_outside`, from what people labelled of a model's names."""

from __future__ import annotations

import numpy as np

from scd_core.audit.query.connection import read_table
from scd_core.errors import InputError
from scd_core.names import ErrorType, GradientRegion
from scd_core.triage.outside import outside_score

__all__ = ["outside_limits"]

_ENOUGH = 50
"""Fewest right names with a label."""
_SHARE = 0.9
"""Share of the right names that lie below the limit."""
_FLOOR = {GradientRegion.BOX: 0.5, GradientRegion.WINDOW: 0.4}
"""A limit is never lower: names of a good model that have a little more outside than its others are no reason to look."""


def outside_limits(out: str, model_digest: str) -> dict[str, float]:
    """Limits by which a tenth of a model's right names are flagged, as far as labels show.

    Right names count by `event_weight`, since labels come mostly from what is flagged.

    Args:
        out: OUT of the audit.
        model_digest: the model that names.

    Returns:
        `gradient_region` -> limit of :func:`scd_core.triage.outside.outside_score`; none where fewer than 50 right names of this
        model with this region are labelled in the newest report.

    Raises:
        RunError: OUT could not be read.
    """
    columns = [
        "model_digest",
        "error_type",
        "is_current",
        "probability",
        "gradient_outside",
        "gradient_region",
        "event_weight",
    ]
    try:
        rows = read_table(out, "errors", columns)
    except InputError:
        # OUT holds no audit yet.
        return {}
    found: dict[str, float] = {}
    rights = rows[
        (rows["model_digest"] == model_digest)
        & (rows["error_type"] == ErrorType.CORRECT)
        & rows["is_current"].fillna(False)
        & rows["gradient_outside"].notna()
        & rows["event_weight"].notna()
    ]
    for region, floor in _FLOOR.items():
        own = rights[rights["gradient_region"] == region]
        if len(own) >= _ENOUGH:
            scores = np.array(
                [outside_score(*pair) for pair in zip(own["gradient_outside"], own["probability"], strict=True)]
            )
            order = np.argsort(scores, kind="stable")
            weights = np.cumsum(own["event_weight"].to_numpy()[order])
            place = int(np.searchsorted(weights, _SHARE * weights[-1]))
            found[region] = max(floor, float(scores[order][place]))
    return found
