"""How well two people agree who named the same pictures without seeing each other's names: Cohen's kappa with an interval."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scd_core.audit.slices.statistics import wilson_interval

__all__ = ["Agreement", "agreement", "agreements"]


@dataclass(frozen=True)
class Agreement:
    """The agreement of a first and a second reader; ``kappa`` and its limits are None where it is not defined."""

    n: int
    n_agree: int
    kappa: float | None
    low: float | None
    high: float | None

    def as_json(self) -> dict[str, Any]:
        """What the interface gives of it."""
        return dict(vars(self))


def agreement(names: Sequence[tuple[str, str]], confidence: float = 0.95) -> Agreement:
    """Cohen's kappa ``(p - e) / (1 - e)`` with p the share that agrees and e the share that would agree by chance.

    e is the sum over names of the product of both readers' shares (Cohen, Educational and Psychological Measurement 1960). The
    interval takes Wilson's limits of p at the seen e; with few pictures all of which agree it does not shrink to a point, as the
    large-sample variance of kappa does. Where both give one name only, e is 1 and kappa is not defined.

    Args:
        names: of each picture, the first reader's name and the second one's.
        confidence: level of the interval, 0-1.

    >>> agreement([("Nyx", "Nyx")] * 20 + [("Luna", "Luna")] * 15 + [("Luna", "Nyx")] * 10 + [("Nyx", "Luna")] * 5).kappa
    0.4
    """
    n = len(names)
    n_agree = sum(one == other for one, other in names)
    if not n:
        return Agreement(0, 0, None, None, None)
    firsts, seconds = Counter(one for one, _ in names), Counter(other for _, other in names)
    chance = sum(firsts[name] * seconds[name] for name in firsts) / n**2
    if chance >= 1:
        return Agreement(n, n_agree, None, None, None)
    low, high = wilson_interval(n_agree / n, float(n), confidence)
    kappa, lowest, highest = (round((float(share) - chance) / (1 - chance), 6) for share in (n_agree / n, low, high))
    return Agreement(n, n_agree, kappa, lowest, highest)


def agreements(readings: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Agreement over all second readings, and of each pair of people.

    Args:
        readings: rows of ``sql/readings.sql``.

    Returns:
        ``n``, ``n_agree``, ``kappa``, ``low``, ``high`` of all, and ``pairs``: the same of each ``first`` and ``second`` reader.
    """
    pairs: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for row in readings:
        pairs.setdefault((row["first"], row["second"]), []).append((row["first_name"], row["second_name"]))
    together = agreement([one for found in pairs.values() for one in found])
    listed = [
        {"first": first, "second": second} | agreement(names).as_json() for (first, second), names in pairs.items()
    ]
    return together.as_json() | {"pairs": listed}
