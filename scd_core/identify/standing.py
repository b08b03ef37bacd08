"""Candidates as the rows of all batches leave them: whose pictures are whose, and which candidates were merged."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scd_core.names import CandidateChange
from scd_core.tables.rows import CandidateRow

__all__ = ["EarlierCandidate", "Member", "Standing", "replay"]


@dataclass(frozen=True)
class EarlierCandidate:
    """What is kept of a candidate of earlier batches."""

    candidate_id: str
    total: NDArray[np.floating]
    """(D,): sum of its pictures' whitened embeddings, each of unit length."""
    n_pictures: int
    version: int


class Member(NamedTuple):
    """An unknown picture or box that was put to a candidate."""

    candidate_id: str
    """The candidate that it belongs to now."""
    row: CandidateRow
    """The row that put it there."""

    @property
    def n_moves(self) -> int:
        """How often it went from one candidate to another."""
        return int(self.row.get("n_moves") or 0)


class Standing(NamedTuple):
    """All candidates."""

    candidates: dict[str, EarlierCandidate]
    """Those that stand and have a picture that can be compared, by id."""
    homes: dict[str, str]
    """Every id that was ever given -> the id under which it stands now."""
    members: dict[str, Member]
    """target_id -> where it belongs."""


def replay(rows: Iterable[CandidateRow], embedded: Mapping[str, NDArray[np.floating]]) -> Standing:
    """Candidates as the rows of all batches leave them, in whatever order these were committed.

    A row puts its picture to its candidate; of several rows of a picture the one with the most moves counts, of equals the one
    with the smaller id. A `merged` row gives all pictures of its candidate to another. So two batches that were worked on at once
    lose nothing, and a picture that is forgotten leaves the candidate too.

    Args:
        rows: of `candidates`.
        embedded: target_id -> (D,) whitened embedding of unit length; a picture without one is in no total.
    """
    merges: dict[str, str] = {}
    versions: dict[str, int] = defaultdict(int)
    newest: dict[str, CandidateRow] = {}
    for row in rows:
        own, target = str(row["candidate_id"]), row.get("target_id")
        versions[own] = max(versions[own], int(row.get("version") or 1))
        if row["change"] == CandidateChange.MERGED and row.get("merged_into"):
            merges[own] = min(merges.get(own, str(row["merged_into"])), str(row["merged_into"]))
        if target is not None and (target not in newest or _rank(row) < _rank(newest[target])):
            newest[target] = row
    homes = {name: _home(name, merges) for name in versions}
    members = {target: Member(homes[str(row["candidate_id"])], row) for target, row in newest.items()}
    totals: dict[str, NDArray[np.floating]] = {}
    counts: dict[str, int] = defaultdict(int)
    for target in sorted(members.keys() & embedded.keys()):
        own = members[target].candidate_id
        totals[own] = totals[own] + embedded[target] if own in totals else embedded[target]
        counts[own] += 1
    found = {name: EarlierCandidate(name, totals[name], counts[name], versions[name]) for name in sorted(totals)}
    return Standing(found, homes, members)


def _rank(row: CandidateRow) -> tuple[int, str]:
    return -int(row.get("n_moves") or 0), str(row["candidate_id"])


def _home(name: str, merges: Mapping[str, str]) -> str:
    """Where a chain of merges ends; two that were merged into each other at once stand under the smaller id."""
    seen = [name]
    while seen[-1] in merges:
        following = merges[seen[-1]]
        if following in seen:
            return min(seen[seen.index(following) :])
        seen.append(following)
    return seen[-1]
