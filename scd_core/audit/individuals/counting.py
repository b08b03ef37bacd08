"""How many individuals are in an audit: an estimate with an interval, from pairs of pictures that people compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from scd_core.audit.individuals.whose import open_individuals, read_embedded, select, vectors
from scd_core.errors import InputError
from scd_core.identify.counting import Count, Drawn, draw_order, estimate_count, tell_apart
from scd_core.identify.sameness import Sameness
from scd_core.inputs.pairs import PairAnswer, pair_lines

__all__ = ["MAX_ANSWERS", "IndividualCount", "count_individuals"]

MAX_ANSWERS = 200
"""Answers that a person gives, at most."""

_COMPARED = 1000
"""Pictures, the first ones that are drawn, whose embeddings are read: 200 answers do not compare more."""


_TYPES = {"estimate": pa.float64()} | dict.fromkeys(
    ("low", "high", "names_and_candidates", "n_drawn", "n_seen", "n_ghosts", "n_losses", "n_answers"), pa.int64()
)


@dataclass(frozen=True)
class IndividualCount:
    """How many individuals an audit has pictures of."""

    count: Count | None
    """None where no two pictures have been compared yet."""
    naive: int
    """Names and candidates in the audit."""
    n_pool: int
    """Pictures that could be drawn."""
    n_drawn: int
    """Pictures that are drawn and compared."""
    n_seen: int
    """Individuals among these."""
    n_ghosts: int
    """Names and candidates too many among these, because an individual has several."""
    n_losses: int
    """Individuals that are missing among these, because several share a name or a candidate."""
    n_answers: int
    """Answers that were used."""
    n_gone: int
    """Answers of pictures that the audit does not hold (any more)."""
    n_left_out: int
    """Drawn pictures of which people could not see who it is."""
    pairs: str
    """CSV table of the pairs to answer next; without a line of pairs where there are none."""
    n_pairs: int
    """Pairs in it."""
    to_name: list[str]
    """Files of the first pictures that are drawn, in order, for those who name pictures instead of comparing pairs."""

    def table(self) -> pa.Table:
        """One row: the estimate with its 95 % interval beside the naive count, and what it rests on."""
        count = self.count
        row = {
            "estimate": None if count is None else round(count.estimate, 1),
            "low": None if count is None else count.low,
            "high": None if count is None else count.high,
            "names_and_candidates": self.naive,
            "n_drawn": self.n_drawn,
            "n_seen": self.n_seen,
            "n_ghosts": self.n_ghosts,
            "n_losses": self.n_losses,
            "n_answers": self.n_answers,
        }
        return pa.table({name: pa.array([value], _TYPES[name]) for name, value in row.items()})

    def notes(self) -> list[str]:
        """What a reader of the row needs to know, a line each."""
        lines = []
        if self.count is None:
            lines.append(
                "nothing is estimated yet: no pictures have been compared; write pairs with --pairs and answer them"
            )
        elif self.n_drawn == self.n_pool - self.n_left_out:
            lines.append(f"all {self.n_drawn} pictures are compared: this is their count, not an estimate")
        else:
            lines.append(
                f"{self.n_drawn} of {self.n_pool} pictures are drawn and compared: {self.n_seen} individuals, with "
                f"{self.n_ghosts} names or candidates too many and {self.n_losses} too few among them"
            )
        if self.n_left_out:
            lines.append(f"{self.n_left_out} drawn pictures are left out: nobody can see who is in them")
        if self.n_gone:
            lines.append(f"{self.n_gone} answers are of pictures that the audit does not hold, and do not count")
        return lines


def count_individuals(
    out: str, answers: Sequence[PairAnswer] = (), n_pairs: int = 25, *, most: int = MAX_ANSWERS, seed: str = ""
) -> IndividualCount:
    """Estimate the number of individuals in an audit, and find the pairs to be answered next.

    Pictures are drawn so that each name and each candidate comes up equally often, and compared by answers and by names
    that people gave. How often each individual was drawn shows how many were not.

    Args:
        out: OUT.
        answers: so far.
        n_pairs: most pairs of this round. Where no more answers than that are left, each picture gets all its pairs.
        most: answers of all rounds together.
        seed: another one gives another draw.

    Raises:
        InputError: OUT holds no audit, or the answers contradict each other or names that people gave.
        RunError: OUT could not be read.
    """
    with open_individuals(out) as connection:
        pool = select(connection, "pool").to_pylist()
        ((naive,),) = connection.execute("SELECT count(DISTINCT individual_id) FROM whose").fetchall()
        groups = {row["target_id"]: row["own_group"] for row in pool}
        order = draw_order(groups, {row["target_id"]: row["content"] for row in pool}, seed)
        alike = _Likeness(vectors(read_embedded(connection, order[:_COMPARED])), groups)
    if not pool:
        raise InputError(f"individuals count {out}: no picture has a name, so there is nothing to count")
    known_answers = [one for one in answers if one.first in groups and one.second in groups]
    names = {row["target_id"]: row["label_id"] for row in pool if row["label_id"] is not None}
    left = max(most - len(known_answers), 0)
    asked = min(n_pairs, left)
    drawn = tell_apart(order, Sameness(names, known_answers), alike, asked, is_last=n_pairs >= left)
    counts = [len(members) for members in drawn.individuals]
    files = {row["target_id"]: row["file"] for row in pool}
    told_apart = len(counts) > 1 or sum(counts) > 1 or len(pool) == 1
    n_edges, n_groups = _links(drawn, groups)
    return IndividualCount(
        count=estimate_count(counts, len(pool) - len(drawn.left_out)) if told_apart else None,
        naive=naive,
        n_pool=len(pool),
        n_drawn=sum(counts),
        n_seen=len(counts),
        n_ghosts=n_edges - len(counts),
        n_losses=n_edges - n_groups,
        n_answers=len(known_answers),
        n_gone=len(answers) - len(known_answers),
        n_left_out=len(drawn.left_out),
        pairs=pair_lines(drawn.pairs, files),
        n_pairs=len(drawn.pairs),
        to_name=list(dict.fromkeys(files[target] for target in order[:most])),
    )


def _links(drawn: Drawn, groups: dict[str, str]) -> tuple[int, int]:
    """Pairs of an individual and a name or candidate that it has, and names and candidates, among the drawn pictures.

    The individuals are the names and candidates, less the ghosts (pairs less individuals), and more the losses (pairs less
    names and candidates).
    """
    links = {(place, groups[target]) for place, members in enumerate(drawn.individuals) for target in members}
    return len(links), len({group for _, group in links})


class _Likeness:
    """How alike pictures are: by embeddings of one space, else by whether they have the same name or candidate."""

    def __init__(self, embedded: dict[str, tuple[str, NDArray[np.float32]]], groups: dict[str, str]) -> None:
        self._embedded = embedded
        self._groups = groups

    def __call__(self, target: str, others: Sequence[str]) -> NDArray[np.float64]:
        own = self._embedded.get(target)
        found = []
        for other in others:
            theirs = self._embedded.get(other)
            if own is not None and theirs is not None and own[0] == theirs[0]:
                found.append(float(own[1] @ theirs[1]))
            else:
                found.append(1.0 if self._groups[target] == self._groups[other] else -1.0)
        return np.array(found)
