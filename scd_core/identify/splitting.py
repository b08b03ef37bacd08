"""Candidates that fall into two: when their pictures are less alike than those of known individuals ever are."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from scd_core.identify.candidate_rows import new_id, split_row
from scd_core.identify.likeness import halves_of
from scd_core.tables.rows import CandidateRow

__all__ = ["Part", "split_in_parts", "split_rows"]

_FEWEST_KNOWN = 6
"""Known individuals that show how unlike the halves of one may be."""
_LEAST_HALF = 3
"""Pictures of a half."""
_CHANCE = 0.02
"""With which the halves of one individual are as unlike as those of a candidate that is split."""


@dataclass(frozen=True)
class Part:
    """Pictures that leave a candidate."""

    targets: list[str]
    reason: str


def split_in_parts(
    members: Mapping[str, NDArray[np.floating]], similarity: float, known: Sequence[float]
) -> list[Part]:
    """Pictures that leave a candidate because it falls into two; each part as often as it falls apart itself.

    Two things must hold: the halves' mean similarity is below that from which groups are joined, so that they are not joined
    again; and the ratio of their likeness is smaller than that of the halves of known individuals by more than chance allows
    (Student's t of a prediction, one-sided at 0.02). On cats whose limit for joining was too low by 0.1, splits raised the
    adjusted Rand index from .16 to .45 (16 draws), and with the right limit there were none (docs/individuals.md).

    Args:
        members: target_id -> (D,) embedding of unit length.
        similarity: from which groups are joined.
        known: ratios of the halves of known individuals (:func:`scd_core.identify.likeness.halves_alike`).

    Returns:
        Parts; the pictures that stay are the largest part, and are in none.
    """
    if len(known) < _FEWEST_KNOWN or len(members) < 2 * _LEAST_HALF:
        return []
    spread = float(np.std(known, ddof=1)) * np.sqrt(1 + 1 / len(known))
    whole, parts = [(sorted(members), "")], []
    while whole:
        targets, why = whole.pop()
        unit = np.stack([members[target] for target in targets]).astype(np.float32)
        alike = halves_of(np.arange(len(targets)), unit) if len(targets) >= 2 * _LEAST_HALF else None
        is_split = False
        if alike is not None and min(len(alike.first), len(alike.second)) >= _LEAST_HALF:
            cross = float(unit[alike.first].mean(0) @ unit[alike.second].mean(0))
            chance = float(stats.t.cdf((alike.ratio - np.mean(known)) / max(spread, 1e-9), len(known) - 1))
            is_split = cross < similarity and chance <= _CHANCE
        if is_split and alike is not None:
            reason = (
                f"its {len(targets)} pictures fall into {len(alike.first)} and {len(alike.second)}: mean similarity {cross:.2f}, "
                f"{alike.ratio:.2f} of that within them, where halves of known individuals have {np.mean(known):.2f}"
            )
            whole += [([targets[place] for place in side], reason) for side in (alike.first, alike.second)]
        else:
            parts.append(Part(targets, why))
    parts.sort(key=lambda part: (-len(part.targets), part.targets))
    return parts[1:]


def split_rows(
    candidate_id: str, version: int, parts: Sequence[Part], of: Mapping[str, CandidateRow], taken: Collection[str]
) -> list[CandidateRow]:
    """Rows of `candidates` for pictures that leave a candidate, without the batch's stamp.

    Args:
        candidate_id: that they leave.
        version: of it.
        parts: what :func:`split_in_parts` gives.
        of: target_id -> the row that put the picture there.
        taken: ids that no new candidate may get.
    """
    used, found = set(taken), list[CandidateRow]()
    for part in parts:
        name = new_id(f"{candidate_id}\0{min(part.targets)}", used)
        found += [split_row(of[target], candidate_id, name, version + 1, part.reason) for target in part.targets]
    return found
