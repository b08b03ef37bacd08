"""Candidates for new individuals: unknowns grouped with those of earlier nights, under ids that stay."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from scd_core.identify.candidate_rows import candidate_rows, new_id, pictures_words
from scd_core.identify.content import draw_name
from scd_core.identify.linkage import average_linkage
from scd_core.identify.regroup import regroup
from scd_core.identify.standing import EarlierCandidate, Standing
from scd_core.names import UNKNOWN, CandidateChange
from scd_core.tables.rows import CandidateRow, PredictionRow

__all__ = ["group_unknowns", "ranked", "with_candidates"]

MOST_REGROUPED = 3000
"""Pictures of all batches that are grouped anew each night: the similarities of all pairs are held."""

_AT_ONCE = 3000
"""Pictures of a batch that are put to candidates together, where there are more."""

_MOST_NEAR = 6000
"""Earlier candidates that they are grouped with."""


def group_unknowns(
    rows: Sequence[PredictionRow],
    embedded: Mapping[str, NDArray[np.floating]],
    standing: Standing,
    similarity: float,
    taken: AbstractSet[str] = frozenset(),
) -> list[CandidateRow]:
    """Put the unknowns of a batch to candidates, together with those of earlier batches.

    Average linkage on whitened embeddings: two groups are one individual where the mean similarity of all their pairs of pictures
    is at least a limit that hiding known individuals gives. All pictures are grouped anew, so what the first nights got wrong is
    put right by later ones: a candidate keeps its id for the group that has most of its pictures, the others are `split` off;
    one that is whole in another's group is `merged`. Above 3 000 pictures earlier candidates are joined by what they are like on
    the whole.

    An id is a hash of the content of the first picture, so it depends on neither the order of rows nor on numbers that the
    grouping gives.

    Args:
        rows: prediction rows of a batch; those named ``unknown`` are grouped.
        embedded: target_id -> (D,) whitened embedding of unit length, of this batch and of earlier ones; an unknown without one
            is a candidate of its own.
        standing: candidates of earlier batches.
        similarity: mean similarity from which two groups are one.
        taken: more ids that no new candidate may get.

    Returns:
        A row for each unknown, for each picture that leaves its candidate, and for each candidate that is merged into another;
        without the batch's stamp.
    """
    unknown = sorted((row for row in rows if row.get("predicted_id") == UNKNOWN), key=draw_name)
    used = set(taken) | standing.homes.keys()
    seen = [row for row in unknown if row["target_id"] in embedded]
    found: list[CandidateRow] = []
    for row in unknown:
        if row["target_id"] not in embedded:
            found += candidate_rows(
                new_id(draw_name(row), used), CandidateChange.NEW, "the network sees nothing to compare in it", [row], 1
            )
    own = {row["target_id"] for row in seen}
    earlier = sorted((standing.members.keys() & embedded.keys()) - own)
    if seen and len(earlier) + len(seen) <= MOST_REGROUPED:
        return found + regroup(seen, earlier, embedded, standing, similarity, used)
    standing_now = dict(standing.candidates)
    for start in range(0, len(seen), _AT_ONCE):
        part = seen[start : start + _AT_ONCE]
        found += _group_part(
            part, np.stack([embedded[row["target_id"]] for row in part]), standing_now, similarity, used
        )
    return found


def _group_part(
    rows: Sequence[PredictionRow],
    unit: NDArray[np.floating],
    standing: dict[str, EarlierCandidate],
    similarity: float,
    used: set[str],
) -> list[CandidateRow]:
    """Rows of candidates that these pictures change; `standing` and `used` are brought up to date."""
    near = _near(unit, standing, similarity)
    sums = np.concatenate([np.stack([one.total for one in near]), unit]) if near else unit
    counts = np.array([one.n_pictures for one in near] + [1] * len(rows))
    groups: dict[int, list[int]] = defaultdict(list)
    for place, group in enumerate(average_linkage(sums, counts, similarity).tolist()):
        groups[group].append(place)
    found: list[CandidateRow] = []
    for places in groups.values():
        old = sorted(
            (near[place] for place in places if place < len(near)), key=lambda one: (-one.n_pictures, one.candidate_id)
        )
        new = [place - len(near) for place in places if place >= len(near)]
        if not new and len(old) < 2:
            continue
        members = [rows[place] for place in new]
        if not old:
            name = new_id(draw_name(members[0]), used)
            found += candidate_rows(
                name, CandidateChange.NEW, f"{pictures_words(len(new))} like no earlier candidate", members, 1
            )
            standing[name] = EarlierCandidate(name, unit[new].sum(0), len(new), 1)
            continue
        kept, *others = old
        if new:
            reason = f"{pictures_words(len(new))} like its {kept.n_pictures}"
            found += candidate_rows(kept.candidate_id, CandidateChange.GROWN, reason, members, kept.version + 1)
        for other in others:
            found.append(_merged_row(other, kept, len(new), similarity))
            del standing[other.candidate_id]
        total = sum((one.total for one in old), unit[new].sum(0))
        count = sum(one.n_pictures for one in old) + len(new)
        standing[kept.candidate_id] = replace(kept, total=total, n_pictures=count, version=kept.version + 1)
    return found


def _near(
    unit: NDArray[np.floating], standing: Mapping[str, EarlierCandidate], similarity: float
) -> list[EarlierCandidate]:
    """Earlier candidates that one of the pictures at least is like; no other can be joined by them."""
    every = [one for _, one in sorted(standing.items()) if one.n_pictures]
    best: list[NDArray[np.floating]] = [np.zeros(0)]
    for start in range(0, len(every), _AT_ONCE):
        means = np.stack([one.total / one.n_pictures for one in every[start : start + _AT_ONCE]])
        best.append((means @ unit.T).max(1))
    likeness = np.concatenate(best)
    chosen = np.flatnonzero(likeness >= similarity)
    # The nearest ones of very many, since the similarities of all pairs are held.
    chosen = np.sort(chosen[np.argsort(-likeness[chosen], kind="stable")[:_MOST_NEAR]])
    return [every[place] for place in chosen.tolist()]


def _merged_row(other: EarlierCandidate, kept: EarlierCandidate, n_new: int, similarity: float) -> CandidateRow:
    alike = float(kept.total @ other.total / (kept.n_pictures * other.n_pictures))
    link = f", linked by {pictures_words(n_new)} like both" if alike < similarity and n_new else ""
    reason = f"its {pictures_words(other.n_pictures)} and {kept.n_pictures} others: mean similarity {alike:.2f}{link}"
    return {
        "candidate_id": other.candidate_id,
        "version": other.version + 1,
        "change": CandidateChange.MERGED,
        "change_reason": reason,
        "merged_into": kept.candidate_id,
    }


def ranked(rows: Sequence[PredictionRow], candidates: Sequence[CandidateRow]) -> list[PredictionRow]:
    """Give each unknown of a batch its `candidate_id` and `review_rank`.

    One label names a whole candidate, so candidates are ranked by the uncertainty that it ends: the sum over their events of
    the events' mean entropy, largest first. Frames of one event are one encounter and count once.

    Args:
        rows: prediction rows of the batch.
        candidates: what :func:`group_unknowns` gives of them.

    Returns:
        The rows in order, with both columns; None for known ones.
    """
    of = {row["target_id"]: str(row["candidate_id"]) for row in candidates if row.get("target_id") is not None}
    groups: dict[str, list[PredictionRow]] = defaultdict(list)
    for row in rows:
        if row["target_id"] in of:
            groups[of[row["target_id"]]].append(row)
    order = sorted(groups, key=lambda candidate: (-_uncertainty(groups[candidate]), candidate))
    rank = {candidate: place for place, candidate in enumerate(order, 1)}
    found: list[PredictionRow] = []
    for row in rows:
        candidate = of.get(row["target_id"])
        found.append({**row, "candidate_id": candidate, "review_rank": None if candidate is None else rank[candidate]})
    return found


def with_candidates(predictions: pa.Table, candidates: pa.Table) -> pa.Table:
    """`predictions` of a batch with `candidate_id` and `review_rank` as its `candidates` give them."""
    wanted = predictions.select(["target_id", "event_id", "entropy"]).to_pylist()
    of = candidates.select(["target_id", "candidate_id"]).to_pylist()
    rows = ranked(wanted, of)
    for name in ("candidate_id", "review_rank"):
        place = predictions.schema.get_field_index(name)
        field = predictions.schema.field(place)
        predictions = predictions.set_column(place, field, pa.array([row[name] for row in rows], field.type))
    return predictions


def _uncertainty(group: Sequence[PredictionRow]) -> float:
    """Sum over a candidate's events of their mean entropy."""
    events: dict[str, list[float]] = defaultdict(list)
    for row in group:
        events[row.get("event_id") or row["target_id"]].append(float(row.get("entropy") or 0.0))
    return sum(float(np.mean(entropies)) for entropies in events.values())
