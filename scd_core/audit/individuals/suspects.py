"""Names that are suspected: two that are one animal, and one that is two."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import duckdb
import numpy as np
from numpy.typing import NDArray
from scipy import stats

from scd_core.audit.individuals.whose import open_individuals, select
from scd_core.audit.slices.statistics import benjamini_hochberg
from scd_core.identify.embeddings import feature_matrix
from scd_core.identify.likeness import FEWEST, Alike, halves_alike, pairs_alike
from scd_core.names import NameSuspicion

__all__ = ["MAX_Q", "Suspect", "find_suspects", "list_suspects", "read_suspects", "why_none"]

MAX_Q = 0.2
"""Share of the suspicions of one kind that may be by chance."""

_FEWEST_OTHERS = 6
"""Other pairs, or other names, that show what chance gives."""

_OF_A_NAME = 60
"""Visits of a name that are compared, at most: those that people named first."""


@dataclass(frozen=True)
class Suspect:
    """A suspicion that two names are one animal, or that one name is two."""

    kind: NameSuspicion
    names: tuple[str, ...]
    """Two names, or one."""
    ratio: float
    """Mean similarity between the two groups of pictures over that within them."""
    usual: float
    """The mean of this ratio over all other pairs of names, or over all other names."""
    q_value: float
    """Benjamini-Hochberg, among all pairs or all names."""
    first: list[int]
    """Places of the pictures of the one group."""
    second: list[int]
    """Places of the pictures of the other group."""


def find_suspects(
    features: NDArray[np.floating], names: Sequence[str], flanks: Sequence[str | None] | None = None
) -> list[Suspect]:
    """Pairs of names that are more alike than other pairs, and names whose halves are less alike than those of other names.

    The ratio of a pair is compared with those of all other pairs as one more draw of them (Student's t of a prediction), and
    that of a name's halves with those of all other names; so what is common among these animals is not suspected. Beyond chance
    is not enough: a suspected pair is also more like the halves of one name than like other pairs, and suspected halves the
    reverse.

    Args:
        features: (N, D) of one embedding space; pictures of one visit are not independent: give one of each.
        names: N names.
        flanks: of each picture, None where it is not known.

    Returns:
        Those with a q-value of at most 0.2, the surest first; none where fewer than 6 others show what chance gives.
    """
    pairs = pairs_alike(features, names)
    halves = {(name,): alike for name, alike in halves_alike(features, names, flanks).items()}
    if not pairs or not halves:
        return []
    middle = float(np.mean([np.median([one.ratio for one in group.values()]) for group in (pairs, halves)]))
    found = _beyond_chance(pairs, NameSuspicion.ONE_ANIMAL, 1.0, middle)
    found += _beyond_chance(halves, NameSuspicion.TWO_ANIMALS, -1.0, middle)
    return sorted(found, key=lambda one: (one.q_value, one.kind, one.names))


def _beyond_chance(alike: dict[Any, Alike], kind: NameSuspicion, sign: float, middle: float) -> list[Suspect]:
    """Those whose ratio is larger (`sign` 1) or smaller (-1) than the others' by more than chance allows, and than `middle`."""
    if len(alike) <= _FEWEST_OTHERS:
        return []
    ratios = np.array([one.ratio for one in alike.values()])
    n = len(ratios) - 1
    usual = (ratios.sum() - ratios) / n
    spread = np.maximum(((ratios**2).sum() - ratios**2) / n - usual**2, 1e-12) * n / (n - 1)
    p_values = stats.t.sf(sign * (ratios - usual) / np.sqrt(spread * (1 + 1 / n)), n - 1)
    q_values = benjamini_hochberg(p_values.tolist(), [len(ratios)] * len(ratios))
    return [
        Suspect(kind, names, one.ratio, float(mean), float(q), one.first.tolist(), one.second.tolist())
        for (names, one), mean, q in zip(alike.items(), usual, q_values, strict=True)
        if q <= MAX_Q and sign * (one.ratio - mean) > 0 and sign * (one.ratio - middle) > 0
    ]


def read_suspects(connection: duckdb.DuckDBPyConnection) -> tuple[list[Suspect], list[dict[str, Any]]]:
    """Suspicions among the known individuals of an audit, and the pictures that their places mean.

    Args:
        connection: database of :func:`scd_core.audit.individuals.whose.open_individuals`.
    """
    pictures = select(connection, "suspect_pictures", most=_OF_A_NAME)
    rows = pictures.drop_columns(["features"]).to_pylist()
    if not rows:
        return [], []
    features = feature_matrix(pictures["features"])
    return find_suspects(features, [row["name"] for row in rows], [row["flank"] for row in rows]), rows


def list_suspects(out: str) -> list[dict[str, Any]]:
    """Suspicions of an audit, the surest first, each with what is known of its two groups of pictures.

    Args:
        out: OUT.

    Returns:
        `suspicion` (:class:`scd_core.names.NameSuspicion`); `names`; `likeness` and `usual_likeness`: ratios of similarities
        between and within; `q_value`; and for both groups (`first_`, `second_`) `pictures`: three files; `n_visits` that were
        compared, `n_labelled` of them; `cameras`; `seen` from and to, on the cameras' clocks.

    Raises:
        InputError: OUT holds no audit.
        RunError: OUT could not be read.
    """
    with open_individuals(out) as connection:
        suspects, rows = read_suspects(connection)
    found = []
    for one in suspects:
        row: dict[str, Any] = {"suspicion": str(one.kind), "names": ", ".join(one.names)}
        row |= {"likeness": round(one.ratio, 2), "usual_likeness": round(one.usual, 2), "q_value": one.q_value}
        for side, places in (("first", one.first), ("second", one.second)):
            row |= {f"{side}_{key}": value for key, value in _described([rows[place] for place in places]).items()}
        found.append(row)
    return found


def why_none(out: str) -> str:
    """Why nothing is suspected in an audit, in words: what was compared, or that nothing could be.

    Args:
        out: OUT, of which :func:`list_suspects` gives nothing.

    Raises:
        InputError: OUT holds no audit.
        RunError: OUT could not be read.
    """
    with open_individuals(out) as connection:
        counts = Counter(row["name"] for row in read_suspects(connection)[1])
    n = sum(count >= FEWEST for count in counts.values())
    if not counts:
        return (
            "no named picture has features that could be compared; an older version, and names of another tool, leave none: "
            "run the audit again with a model"
        )
    if n * (n - 1) // 2 <= _FEWEST_OTHERS:
        return f"{n} {'name has' if n == 1 else 'names have'} four visits or more, too few to show what chance gives"
    alike = f"no two of {n} names are more alike than chance allows"
    return f"{alike}, and none falls apart more" if n > _FEWEST_OTHERS else alike


def _described(pictures: Sequence[dict[str, Any]]) -> dict[str, Any]:
    times = [row["captured_at"] for row in pictures if row["captured_at"] is not None]
    shown = sorted(pictures, key=lambda row: (not row["is_labelled"], row["file"] or ""))[:3]
    return {
        "pictures": ", ".join(row["file"] for row in shown if row["file"]),
        "n_visits": len(pictures),
        "n_labelled": sum(row["is_labelled"] for row in pictures),
        "cameras": ", ".join(sorted({row["camera_id"] for row in pictures if row["camera_id"]})),
        "seen": f"{min(times)} to {max(times)}" if times else "",
    }
