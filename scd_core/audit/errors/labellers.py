"""Labellers who contradict the model where other people do not: whose labels are in doubt."""

from __future__ import annotations

from itertools import groupby
from operator import itemgetter
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from scd_core.audit.errors.strata import is_clearly_more, least_p_value, stratified_p_value
from scd_core.audit.sql import load_sql

__all__ = ["create_labeller_signs"]

_KEYS = ("true_id", "predicted_id", "labelled_by")
_LEVEL = 0.02
"""p-value up to which a difference is a sign."""
_BY_PLACE = 0.05
"""Largest p-value among all that was labelled at the same places."""
_MAX_Q = 0.2
"""Largest share of the labellers in doubt that may be so by chance."""
_MOST = 0.4
"""Share of a labeller's rate that the others' may have."""
_COUNTS = ("x", "n", "x_others", "n_others")


def create_labeller_signs(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the temporary table ``labeller_signs``: a pair A, B, a labeller, and each place where that labeller says A for B.

    A labeller's labels are in doubt where the model names B, the label says A, and others' labels there do not: it is said 2.5
    times as often among the visits of both individuals, and would not fall on one labeller by chance among all that was
    labelled at the same places and is alike in being flagged
    (:func:`scd_core.audit.errors.strata.stratified_p_value`). Others than the visits of the two count there, because who
    labels a visit has nothing to do with who passes. That p-value is at most 0.05; twice the smaller of it and of the one of
    the visits of the two alone is at most 0.02.

    A team has many pairs and labellers, so the p-values pass Benjamini and Hochberg's procedure among all that were said
    thrice where enough others labelled: at most one in five of those in doubt is so by chance, however many pairs there are.

    Args:
        connection: database with the temporary table ``seen``.
    """
    from scipy.stats import false_discovery_control  # only now: a run that has nothing to do needs no statistics

    strata = connection.sql(_sql("labeller_strata")).to_arrow_table()
    rows = sorted(strata.to_pylist(), key=itemgetter(*_KEYS))
    found = ((key, list(of_key)) for key, of_key in groupby(rows, key=itemgetter(*_KEYS)))
    # Where nobody else labelled, there is nothing to test.
    groups = [(key, of_key) for key, of_key in found if least_p_value(*_counts(of_key)) <= _BY_PLACE]
    by_place = np.array([_by_place(of_key) for _, of_key in groups])
    visits = _visits(connection, [key for (key, _), p in zip(groups, by_place, strict=True) if p <= _BY_PLACE])
    p_values = np.array([_p_value(visits.get(key), p) for (key, _), p in zip(groups, by_place, strict=True)])
    q_values = false_discovery_control(p_values) if groups else p_values
    signs = []
    for number in np.flatnonzero((p_values <= _LEVEL) & (q_values <= _MAX_Q)).tolist():
        key, of_key = groups[number]
        counts = {name: value for name, value in visits[key].items() if name != "strata"}
        signs += [counts | {"place": place} for place in sorted({row["place"] for row in of_key if row["x"]})]
    connection.register("found_signs", pa.Table.from_pylist(signs, schema=_SCHEMA))
    connection.execute("CREATE OR REPLACE TEMP TABLE labeller_signs AS FROM found_signs")
    connection.unregister("found_signs")


def _p_value(counts: dict[str, Any] | None, by_place: float) -> float:
    """The p-value of a labeller by two tests, the smaller one twice; 1 where the visits of the pair do not differ enough."""
    if counts is None or not is_clearly_more(_MOST, *(counts[name] for name in _COUNTS)):
        return 1.0
    return min(1.0, 2 * min(by_place, stratified_p_value(*np.array(counts["strata"]).T)))


def _by_place(strata: list[dict[str, Any]]) -> float:
    """The p-value of a labeller among all that was labelled at the same places; 1 where the contradictions are what they would
    be by chance, which takes no exact test to know."""
    x, n, x_others, n_others = _counts(strata)
    if x.sum() <= ((x + x_others) * n / (n + n_others)).sum():
        return 1.0
    return stratified_p_value(x, n, x_others, n_others)


def _counts(strata: list[dict[str, Any]]) -> tuple[np.ndarray, ...]:
    """Visits of each stratum on which a contradiction falls, and could fall: of the labeller, and of the others."""
    return tuple(
        np.array([row[name] for row in strata], float) for name in ("x", "n_like", "x_others", "n_like_others")
    )


def _visits(connection: duckdb.DuckDBPyConnection, doubted: list[tuple[str, str, str]]) -> dict[tuple, dict[str, Any]]:
    """Key -> its counts of visits of the pair."""
    if not doubted:
        return {}
    keys = pa.Table.from_pylist([dict(zip(_KEYS, key, strict=True)) for key in doubted])
    connection.register("doubted", keys)
    counts = connection.sql(_sql("labeller_visits")).to_arrow_table().to_pylist()
    connection.unregister("doubted")
    return {itemgetter(*_KEYS)(row): row for row in counts}


_SCHEMA = pa.schema([(name, pa.string()) for name in (*_KEYS, "place")] + [(name, pa.int64()) for name in _COUNTS])


def _sql(name: str) -> str:
    return load_sql("scd_core.audit.errors", name)
