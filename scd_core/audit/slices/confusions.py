"""Pairs of individuals that the audit has found to be confused, for the flag `known_confusion`."""

from __future__ import annotations

from scd_core.audit.query.connection import read_table
from scd_core.audit.slices.data import PAIR
from scd_core.errors import InputError
from scd_core.names import Cause

__all__ = ["known_confusions", "unchanged_confusions"]

_TRIED = 10
"""Masked errors of a pair from which it is known that masks change nothing."""


def known_confusions(out: str) -> list[tuple[str, str]]:
    """Pairs (true individual, name given to it) of the systematic slices of the newest report.

    Args:
        out: OUT of the audit.

    Returns:
        The pairs, sorted; none where there is no report yet.

    Raises:
        RunError: OUT could not be read.
    """
    return sorted(pair for pair, _ in _pairs(out))


def unchanged_confusions(out: str) -> list[tuple[str, str]]:
    """Of :func:`known_confusions`, look-alikes of which 10 or more wrong pictures were masked and no name was corrected.

    Args:
        out: OUT of the audit.

    Returns:
        The pairs, sorted; none where there is no report yet.

    Raises:
        RunError: OUT could not be read.
    """
    return sorted(pair for pair, is_unchanged in _pairs(out) if is_unchanged)


def _pairs(out: str) -> set[tuple[tuple[str, str], bool]]:
    """Each pair of a systematic slice, and whether it looks alike, and masks were tried and changed nothing in any such slice."""
    columns = ["slice", "is_systematic", "cause", "n_masked_errors", "n_recovered_errors"]
    try:
        slices = read_table(out, "error_slices", columns)
    except InputError:
        # OUT holds no audit yet.
        return set()
    found: dict[tuple[str, str], tuple[float, float]] = {}
    for keys, is_systematic, cause, masked, recovered in slices[columns].fillna(0).itertuples(index=False):
        pair = dict(keys).get("pair")
        if is_systematic and pair and PAIR in pair:
            true, _, given = pair.partition(PAIR)
            before = found.get((true, given), (0.0, 0.0))
            tried = float(masked) if cause == Cause.CONFUSABLE_PAIR else 0.0
            found[true, given] = max(before[0], tried), max(before[1], float(recovered))
    return {(pair, masked >= _TRIED and not recovered) for pair, (masked, recovered) in found.items()}
