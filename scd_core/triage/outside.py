"""Triage's reason `evidence_outside`: a name whose gradient lies further outside the animal than it does for right names."""

from __future__ import annotations

import math
from collections.abc import Mapping

from scd_core.names import GradientRegion
from scd_core.tables.rows import PredictionRow

__all__ = ["is_outside", "outside_score"]

_PER_LOG_ODDS = 0.04
"""How much more of its gradient must lie outside for each unit by which the name's log-odds are higher."""
_LIMITS = {GradientRegion.BOX: 0.55, GradientRegion.WINDOW: 0.42}
"""Score from which a name is flagged, where no labels give a limit; chosen on the seeds 1 and 2 of real cats in real places."""


def outside_score(outside: float, probability: float) -> float:
    """Share of a name's gradient outside the animal, less what so sure a name may have there.

    A place that a model takes for an animal's makes sure names, and so do animals that it knows well; of two names with as much
    outside the less sure one is wrong more often.

    Args:
        outside: `gradient_outside`, 0-1.
        probability: of the name, 0-1.

    Returns:
        At most 1.6; the share itself for a probability of 0.5.

    >>> round(outside_score(0.7, 0.5), 3), round(outside_score(0.7, 0.9), 3)
    (0.7, 0.612)
    """
    sure = min(max(probability, 1e-9), 1 - 1e-9)
    return outside - _PER_LOG_ODDS * math.log(sure / (1 - sure))


def is_outside(row: PredictionRow, least: float | None, limits: Mapping[str, float]) -> bool:
    """Whether a name's gradient lies outside the animal by a limit.

    Args:
        row: a prediction with a name.
        least: the limit that the settings give; None takes `limits`, and a default for a region that is not among them.
        limits: `gradient_region` -> limit.

    Returns:
        False where nothing was measured.
    """
    outside, region = row.get("gradient_outside"), row.get("gradient_region")
    if outside is None or region not in _LIMITS:
        return False
    limit = least if least is not None else limits.get(region, _LIMITS[GradientRegion(region)])
    return outside_score(outside, row["probability"] or 0.0) >= limit
