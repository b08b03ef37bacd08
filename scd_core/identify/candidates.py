"""Candidates for new individuals: unknowns grouped with those of earlier nights, under ids that stay."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from scd_core.identify.content import draw_name
from scd_core.identify.linkage import average_linkage
from scd_core.names import UNKNOWN, CandidateChange
from scd_core.tables.rows import Candidate, CandidateRow, PredictionRow

__all__ = ["EarlierCandidate", "counting_rows", "group_unknowns", "ranked", "replay", "with_candidates"]

_AT_ONCE = 3000
"""Pictures that are grouped together: the similarities of all pairs are held."""

_MOST_NEAR = 6000
"""Earlier candidates that they are grouped with."""

_LIKE = 3
"""Known individuals that a candidate is said to resemble."""


@dataclass(frozen=True)
class EarlierCandidate:
    """What is kept of a candidate of earlier batches."""

    candidate_id: str
    total: NDArray[np.floating]
    """(D,): sum of its pictures' whitened embeddings, each of unit length."""
    n_pictures: int
    version: int


def replay(
    rows: Iterable[CandidateRow], embedded: Mapping[str, NDArray[np.floating]]
) -> tuple[dict[str, EarlierCandidate], dict[str, str]]:
    """Candidates as the rows of all batches leave them, in whatever order these were committed.

    A row adds its picture to its candidate, a `split` row takes it from all others too; a `merged` row gives all pictures of its
    candidate to another. So two batches that
    were worked on at once lose nothing, and a picture that is forgotten leaves the candidate too.

    Args:
        rows: of `candidates`.
        embedded: target_id -> (D,) whitened embedding of unit length; a picture without one is in no total.

    Returns:
        Candidates that stand, by id; and every id that was ever given -> the id under which it stands now.
    """
    rows = list(rows)
    counting = {id(row) for row in counting_rows(rows)}
    merges: dict[str, str] = {}
    totals: dict[str, NDArray[np.floating]] = {}
    counts: dict[str, int] = defaultdict(int)
    versions: dict[str, int] = defaultdict(int)
    for row in rows:
        own, target = str(row["candidate_id"]), row.get("target_id")
        versions[own] = max(versions[own], int(row.get("version") or 1))
        if row["change"] == CandidateChange.MERGED and row.get("merged_into"):
            merges[own] = min(merges.get(own, str(row["merged_into"])), str(row["merged_into"]))
        if target is not None and target in embedded and id(row) in counting:
            totals[own] = totals[own] + embedded[target] if own in totals else embedded[target]
            counts[own] += 1
    stands = {name: _stands(name, merges) for name in versions}
    found: dict[str, EarlierCandidate] = {}
    for name in sorted(totals):
        root, held = stands[name], found.get(stands[name])
        total, count = totals[name], counts[name]
        if held is not None:
            total, count = total + held.total, count + held.n_pictures
        found[root] = EarlierCandidate(root, total, count, versions[root])
    return found, stands


def counting_rows(rows: Iterable[CandidateRow]) -> list[CandidateRow]:
    """Rows that put a picture to a candidate, without those of candidates that it has left (``split``).

    A picture that left several is in the one of the highest version.
    """
    placed = [row for row in rows if row.get("target_id") is not None]
    moved: dict[str, tuple[int, str]] = {}
    for row in placed:
        if row["change"] == CandidateChange.SPLIT:
            target, at = str(row["target_id"]), (int(row.get("version") or 1), str(row["candidate_id"]))
            moved[target] = max(moved.get(target, at), at)
    return [
        row for row in placed if row["target_id"] not in moved or moved[str(row["target_id"])][1] == row["candidate_id"]
    ]


def _stands(name: str, merges: Mapping[str, str]) -> str:
    """Where a chain of merges ends; two that were merged into each other at once stand under the smaller id."""
    seen = [name]
    while seen[-1] in merges:
        following = merges[seen[-1]]
        if following in seen:
            return min(seen[seen.index(following) :])
        seen.append(following)
    return seen[-1]


def group_unknowns(
    rows: Sequence[PredictionRow],
    embedded: Mapping[str, NDArray[np.floating]],
    earlier: Mapping[str, EarlierCandidate],
    similarity: float,
    taken: AbstractSet[str] = frozenset(),
) -> list[CandidateRow]:
    """Put the unknowns of a batch to candidates, those of earlier batches first.

    Average linkage on whitened embeddings: two groups are one individual where the mean similarity of all their pairs of pictures
    is at least a limit that hiding known individuals gives. An id is a hash of the content of the first picture, so it depends
    on neither the order of rows nor on numbers that the grouping gives.

    Args:
        rows: prediction rows of a batch; those named ``unknown`` are grouped.
        embedded: target_id -> (D,) whitened embedding of unit length; an unknown without one is a candidate of its own.
        earlier: candidates that stand, by id.
        similarity: mean similarity from which two groups are one.
        taken: ids that no new candidate may get.

    Returns:
        A row for each unknown, and one for each candidate that is merged into another; without the batch's stamp.
    """
    unknown = sorted((row for row in rows if row.get("predicted_id") == UNKNOWN), key=draw_name)
    standing, used = dict(earlier), set(taken) | set(earlier)
    seen = [row for row in unknown if row["target_id"] in embedded]
    found: list[CandidateRow] = []
    for row in unknown:
        if row["target_id"] not in embedded:
            found += _rows(
                _new_id([row], used), CandidateChange.NEW, "the network sees nothing to compare in it", [row], 1
            )
    for start in range(0, len(seen), _AT_ONCE):
        part = seen[start : start + _AT_ONCE]
        found += _group_part(part, np.stack([embedded[row["target_id"]] for row in part]), standing, similarity, used)
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
            name = _new_id(members, used)
            found += _rows(name, CandidateChange.NEW, f"{_pictures(len(new))} like no earlier candidate", members, 1)
            standing[name] = EarlierCandidate(name, unit[new].sum(0), len(new), 1)
            continue
        kept, *others = old
        if new:
            reason = f"{_pictures(len(new))} like its {kept.n_pictures}"
            found += _rows(kept.candidate_id, CandidateChange.GROWN, reason, members, kept.version + 1)
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


def _new_id(members: Sequence[PredictionRow], used: set[str]) -> str:
    name, attempt = draw_name(members[0]), 0
    while (found := _candidate_id(name, attempt)) in used:
        attempt += 1
    used.add(found)
    return found


def _rows(
    candidate_id: str, change: CandidateChange, reason: str, members: Sequence[PredictionRow], version: int
) -> list[CandidateRow]:
    """One row a picture; the candidate's resemblance is that of the pictures that are new."""
    resembles = _resembles(members)
    return [
        {
            "candidate_id": candidate_id,
            "version": version,
            "change": change,
            "change_reason": reason,
            "target_id": row["target_id"],
            "media_id": row["media_id"],
            "detection_id": row.get("detection_id"),
            "resembles": resembles,
            "embedding": row.get("embedding"),
        }
        for row in members
    ]


def _merged_row(other: EarlierCandidate, kept: EarlierCandidate, n_new: int, similarity: float) -> CandidateRow:
    alike = float(kept.total @ other.total / (kept.n_pictures * other.n_pictures))
    link = f", linked by {_pictures(n_new)} like both" if alike < similarity and n_new else ""
    reason = f"its {_pictures(other.n_pictures)} and {kept.n_pictures} others: mean similarity {alike:.2f}{link}"
    return {
        "candidate_id": other.candidate_id,
        "version": other.version + 1,
        "change": CandidateChange.MERGED,
        "change_reason": reason,
        "merged_into": kept.candidate_id,
    }


def _resembles(members: Sequence[PredictionRow]) -> list[Candidate]:
    """Known individuals by their mean probability over the members, the most like first (as class relations are distilled)."""
    sums: dict[str, float] = defaultdict(float)
    for row in members:
        for one in row.get("topk") or ():
            sums[one["individual_id"]] += one["probability"] / len(members)
    best = sorted(sums, key=lambda name: (-sums[name], name))[:_LIKE]
    return [{"individual_id": name, "probability": sums[name]} for name in best]


def _candidate_id(name: str, attempt: int) -> str:
    text = name if not attempt else f"{name}\0{attempt}"
    return "candidate-" + hashlib.sha256(text.encode()).hexdigest()[:12]


def _pictures(n: int) -> str:
    return f"{n} {'picture' if n == 1 else 'pictures'}"


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
