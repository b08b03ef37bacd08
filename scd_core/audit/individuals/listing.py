"""Who is in an audit: known individuals and candidates for new ones, with where and when they were seen."""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa

from scd_core.audit.individuals.grouped import read_candidates
from scd_core.audit.individuals.suspects import Suspect, read_suspects
from scd_core.audit.individuals.whose import open_individuals, select
from scd_core.identify.standing import Member, replay
from scd_core.names import NameSuspicion

__all__ = ["list_individuals"]


def list_individuals(out: str) -> pa.Table:
    """One row per individual of an audit, known ones first, those with most pictures first.

    Args:
        out: OUT.

    Returns:
        `individual_id`; `kind`: ``known`` or ``candidate``; `n_pictures` (targets, of the newest run over each); `n_labelled`, of
        these named by a person; `n_cameras`; `first_seen`, `last_seen` on the cameras' clocks; `confused_with`: names that
        the model gave to its labelled pictures, with how often; `resembles`: known individuals that a candidate is most like;
        `labelled_as`: names that people gave to pictures of a candidate; `suspected`: that it is one animal with another name, or
        two animals (:func:`scd_core.audit.individuals.suspects.find_suspects`), in words.

    Raises:
        InputError: OUT holds no audit.
        RunError: OUT could not be read.
    """
    members = replay(read_candidates(out), {}).members
    with open_individuals(out) as connection:
        connection.register("resembling", _resembling(members.values()))
        connection.register("suspecting", _suspecting(read_suspects(connection)[0]))
        return select(connection, "individuals")


def _suspecting(suspects: list[Suspect]) -> pa.Table:
    """Individual and what is suspected of it, in words."""
    words: dict[str, list[str]] = {}
    for one in suspects:
        for name in one.names:
            others = ", ".join(other for other in one.names if other != name)
            what = f"one animal with {others}?" if one.kind == NameSuspicion.ONE_ANIMAL else "two animals?"
            words.setdefault(name, []).append(f"{what} (q {one.q_value:.2g})")
    return pa.table(
        {
            "individual_id": pa.array(words, pa.string()),
            "suspected": pa.array(["; ".join(lines) for lines in words.values()], pa.string()),
        }
    )


def _resembling(members: Iterable[Member]) -> pa.Table:
    """Candidate and the known individuals that its pictures are most like, in words."""
    sums: dict[str, dict[str, float]] = {}
    counts: dict[str, int] = {}
    for own, row in members:
        counts[own] = counts.get(own, 0) + 1
        of = sums.setdefault(own, {})
        for one in row.get("resembles") or ():
            of[one["individual_id"]] = of.get(one["individual_id"], 0.0) + one["probability"]
    words = {
        own: ", ".join(
            f"{name} {total / counts[own]:.2f}"
            for name, total in sorted(of.items(), key=lambda one: (-one[1], one[0]))[:3]
        )
        for own, of in sums.items()
    }
    return pa.table({"individual_id": pa.array(words, pa.string()), "resembles": pa.array(words.values(), pa.string())})
