"""Pairs of individuals that the audit has found to be confused, for the flag `known_confusion`."""

from __future__ import annotations

from scd_core.audit.query.connection import read_table
from scd_core.audit.slices.data import PAIR
from scd_core.errors import InputError

__all__ = ["known_confusions"]


def known_confusions(out: str) -> list[tuple[str, str]]:
    """Pairs (true individual, name given to it) of the systematic slices of the newest report.

    Args:
        out: OUT of the audit.

    Returns:
        The pairs, sorted; none where there is no report yet.

    Raises:
        RunError: OUT could not be read.
    """
    try:
        slices = read_table(out, "error_slices", ["slice", "is_systematic"])
    except InputError:
        # OUT holds no audit yet.
        return []
    pairs: set[tuple[str, str]] = set()
    for keys, is_systematic in zip(slices["slice"], slices["is_systematic"], strict=True):
        pair = dict(keys).get("pair")
        if is_systematic and pair and PAIR in pair:
            true, _, given = pair.partition(PAIR)
            pairs.add((true, given))
    return sorted(pairs)
