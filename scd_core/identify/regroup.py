"""All unknowns grouped anew: which candidate each group is, and which pictures and candidates go elsewhere."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scd_core.identify.candidate_rows import candidate_rows, new_id, pictures_words, split_row
from scd_core.identify.content import draw_name
from scd_core.identify.linkage import average_linkage
from scd_core.identify.standing import Standing
from scd_core.names import CandidateChange
from scd_core.tables.rows import CandidateRow, PredictionRow

__all__ = ["regroup"]

Embedded = Mapping[str, NDArray[np.floating]]


@dataclass
class _Group:
    """Pictures that are one individual."""

    total: NDArray[np.floating]
    old: list[str]
    """target_ids of earlier batches."""
    new: list[PredictionRow]
    """Of this batch, in the order of their content."""
    candidate_id: str = ""
    is_new: bool = False


def regroup(
    rows: Sequence[PredictionRow],
    earlier: Sequence[str],
    embedded: Embedded,
    standing: Standing,
    similarity: float,
    used: set[str],
) -> list[CandidateRow]:
    """Group the pictures of all batches and say what changes.

    Args:
        rows: unknowns of this batch that have an embedding, in the order of their content.
        earlier: target_ids of earlier batches that have one.
        embedded: target_id -> (D,) whitened embedding of unit length.
        standing: candidates of earlier batches.
        similarity: mean similarity from which two groups are one (:func:`scd_core.identify.linkage.average_linkage`).
        used: ids that no new candidate may get; those of new ones are added.

    Returns:
        A row for each picture of this batch (`new` or `grown`), for each that leaves a candidate (`split`), and for each
        candidate whose pictures are all in another's group (`merged`).
    """
    groups = _groups(rows, earlier, embedded, similarity)
    homes = {target: standing.members[target].candidate_id for target in earlier}
    sizes = Counter(homes.values())
    _name(groups, homes, used)
    totals: dict[str, NDArray[np.floating]] = {}
    for target, name in homes.items():
        totals[name] = totals[name] + embedded[target] if name in totals else embedded[target]
    found: list[CandidateRow] = []
    for group in groups:
        leaving: dict[str, list[str]] = defaultdict(list)
        for target in group.old:
            if homes[target] != group.candidate_id:
                leaving[homes[target]].append(target)
        before = standing.candidates.get(group.candidate_id)
        version = 1 if before is None else before.version + 1
        n_kept = len(group.old) - sum(map(len, leaving.values()))
        if group.new:
            change = CandidateChange.NEW if group.is_new else CandidateChange.GROWN
            like = "no earlier candidate" if not group.old else f"its {len(group.old)}"
            reason = f"{pictures_words(len(group.new))} like {like}"
            for row in candidate_rows(group.candidate_id, change, reason, group.new, version):
                member = standing.members.get(str(row["target_id"]))
                if member is not None:  # named again, by other settings
                    row["n_moves"] = member.n_moves + int(member.candidate_id != group.candidate_id)
                found.append(row)
        for name, targets in sorted(leaving.items()):
            if len(targets) == sizes[name]:
                found.append(_merged(name, sizes[name], totals[name], group, standing))
            else:
                left = _Left(name, sizes[name] - len(targets), totals[name])
                found += _split(left, targets, group, n_kept, embedded, standing, version)
    return found


def _groups(
    rows: Sequence[PredictionRow], earlier: Sequence[str], embedded: Embedded, similarity: float
) -> list[_Group]:
    """The largest first, in an order that depends on what the pictures show alone."""
    unit = np.stack([embedded[target] for target in [*earlier, *(str(row["target_id"]) for row in rows)]])
    found: dict[int, _Group] = {}
    for place, label in enumerate(average_linkage(unit, np.ones(len(unit)), similarity).tolist()):
        group = found.setdefault(label, _Group(np.zeros(unit.shape[1]), [], []))
        group.total = group.total + unit[place]
        if place < len(earlier):
            group.old.append(earlier[place])
        else:
            group.new.append(rows[place - len(earlier)])
    return sorted(found.values(), key=lambda one: (-len(one.old) - len(one.new), one.total.tolist()))


def _name(groups: Sequence[_Group], homes: Mapping[str, str], used: set[str]) -> None:
    """Give each group the candidate that has most pictures in it and in no other more; a new id where there is none."""
    shared = [
        (n, name, place)
        for place, group in enumerate(groups)
        for name, n in Counter(homes[target] for target in group.old).items()
    ]
    given: set[str] = set()
    for _, name, place in sorted(shared, key=lambda one: (-one[0], one[1], one[2])):
        if not groups[place].candidate_id and name not in given:
            groups[place].candidate_id = name
            given.add(name)
    for group in groups:
        if not group.candidate_id:
            group.is_new = True
            # The content of pictures of earlier batches is not at hand; the candidate that they come from has its id from one.
            name = draw_name(group.new[0]) if group.new else f"of {homes[group.old[0]]}"
            group.candidate_id = new_id(name, used)


def _merged(name: str, n: int, total: NDArray[np.floating], group: _Group, standing: Standing) -> CandidateRow:
    """The row of a candidate whose n pictures, with this sum, are all in another one's group."""
    n_others = len(group.old) + len(group.new) - n
    alike = float(total @ (group.total - total)) / (n * n_others)
    return {
        "candidate_id": name,
        "version": standing.candidates[name].version + 1,
        "change": CandidateChange.MERGED,
        "change_reason": f"its {pictures_words(n)} and {n_others} others: mean similarity {alike:.2f}",
        "merged_into": group.candidate_id,
    }


class _Left(NamedTuple):
    """A candidate that some pictures leave."""

    candidate_id: str
    n_others: int
    """Pictures that stay, or leave for another group."""
    total: NDArray[np.floating]
    """Sum of the embeddings of all its pictures."""


def _split(
    left: _Left,
    targets: Sequence[str],
    group: _Group,
    n_kept: int,
    embedded: Embedded,
    standing: Standing,
    version: int,
) -> list[CandidateRow]:
    """Rows of the pictures of a candidate that are in another one's group."""
    moved = np.sum([embedded[target] for target in targets], axis=0)
    alike = float(moved @ (left.total - moved)) / (len(targets) * left.n_others)
    reason = (
        f"{pictures_words(len(targets))} of {left.candidate_id}, whose {left.n_others} others have mean similarity "
    )
    reason += f"{alike:.2f} with them"
    n_others = len(group.old) + len(group.new) - len(targets)
    if n_others:
        alike = float(moved @ (group.total - moved)) / (len(targets) * n_others)
        reason += f"; the {n_others} {'here' if n_kept else 'that begin this one'} have {alike:.2f}"
    rows = (standing.members[target].row for target in targets)
    return [split_row(row, left.candidate_id, group.candidate_id, version, reason) for row in rows]
