"""What a trial expects, by camera, as it is kept in OUT."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime

import numpy as np

from scd_core.audit.improvements import ImprovementRecord, write_improvements
from scd_core.identify.package import Package
from scd_core.improve.rate import gain_of, rate_of
from scd_core.improve.trial import Trial

__all__ = ["keep_record"]

MIN_VISITS = 5
"""Fewest visits in new places by which something is expected of a camera."""


def keep_record(
    out: str,
    trial: Trial,
    parent: Package,
    written: Package | None,
    now: datetime | None = None,
    *,
    is_recommended: bool = True,
) -> list[ImprovementRecord]:
    """Keep what is expected of the recommended way, in all new places and at each camera with 5 visits or more.

    Where nothing is recommended that is kept as well, so that what an earlier run found is not claimed any more. Intervals of
    cameras hold for all of them at once.

    Args:
        out: OUT.
        trial: what was found.
        parent: the model that was tried.
        written: the package that was written; None where none was.
        now: when; None is now.
        is_recommended: it is of the recommended way, so that it is held to what is expected.

    Raises:
        RunError: OUT cannot be written.
    """
    made_at = now or datetime.now(UTC)
    key = f"{made_at:%Y%m%dT%H%M%S-%f}{secrets.token_hex(2)}"
    digest = None if written is None else written.digest
    new_digest = digest if is_recommended else None
    best, before = trial.best, trial.as_run

    def record(camera: str | None, n: int, rates: tuple[float, ...]) -> ImprovementRecord:
        way = None if best is None else best.way.key
        return ImprovementRecord(key, made_at, parent.digest, new_digest, way, camera, n, *rates, written_digest=digest)

    if best is None:
        records = [
            record(None, before.new.n, (before.new.value,) * 2 + (before.new.low, before.new.high, 0.0, 0.0, 0.0))
        ]
    else:
        whole, gain = trial.expected, best.gain
        optimism = best.new.value - whole.value
        gains = tuple(one - optimism for one in (gain.value, gain.low, gain.high))
        records = [record(None, whole.n, (before.new.value, whole.value, whole.low, whole.high, *gains))]
        records += [record(*one) for one in _cameras(trial)]
    write_improvements(out, records)
    return records


def _cameras(trial: Trial) -> list[tuple[str, int, tuple[float, ...]]]:
    """Camera, visits, and the figures of a record from `model_rate` on, of each camera with visits enough."""
    assert trial.best is not None
    evidence = trial.evidence
    places = [
        np.flatnonzero(evidence.in_new & (evidence.camera == number)) for number in range(len(trial.labelled.cameras))
    ]
    counted = [
        (number, rows) for number, rows in enumerate(places) if len(np.unique(evidence.group[rows])) >= MIN_VISITS
    ]
    right, before = trial.rights[trial.best.way.key], trial.rights[trial.as_run.way.key]
    found: list[tuple[str, int, tuple[float, ...]]] = []
    for number, rows in counted:
        level = 1 - 0.05 / len(counted)
        group, cell = evidence.group[rows], evidence.cell[rows]
        rate, own = (rate_of(one[rows], group, cell, level) for one in (right, before))
        gain = gain_of(before[rows], right[rows], group, cell, level)
        figures = (own.value, rate.value, rate.low, rate.high, gain.value, gain.low, gain.high)
        found.append((trial.labelled.cameras[number], rate.n, figures))
    return found
