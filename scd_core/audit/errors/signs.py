"""Signs of causes that no single picture shows: a labeller who differs, a flank that is misread, a place, a poor camera."""

from __future__ import annotations

import duckdb
import numpy as np
import pyarrow as pa

from scd_core.audit.errors.labellers import create_labeller_signs
from scd_core.audit.errors.strata import is_clearly_more, stratified_p_value
from scd_core.audit.sql import load_sql

__all__ = ["create_signs"]

_TESTED = (
    ("flank_signs", "flank_strata", ["true_id", "predicted_id", "flank"], 0.02, 0.4),
    ("place_signs", "place_strata", ["camera", "predicted_id"], 0.01, 0.4),
    # Where flags are labelled, most of what is labelled errs at any camera, so no rate is many times another.
    ("quality_signs", "quality_strata", ["camera", "is_infrared"], 0.01, 0.8),
)
"""Table, the query of its strata, the keys of what is compared, the p-value up to which a difference is a sign, and the share of
its rate that the rate of the others may have."""
_COUNTS = ("x", "n", "x_others", "n_others")
_LIKE = ("n_like", "n_like_others")
"""Visits on which an error could fall by chance, where these are more than the ones that are compared."""
_BY_PLACE = 0.05
"""Largest p-value among these where the visits that are compared differ at the level by themselves, places left aside."""


def create_signs(connection: duckdb.DuckDBPyConnection, confusable_probability: float) -> None:
    """Create the temporary tables `labeller_signs`, `flank_signs`, `place_signs`, `quality_signs`, `contradicted`,
    `repeated_pairs` and `near_pairs`.

    The first is of :mod:`scd_core.audit.errors.labellers`. Each of the next three compares like with like: a flank with the other
    one of the same individuals, a camera with the others. A row is one that errs more often than what it is compared with, and
    whose errors would not fall on it so by chance (:func:`scd_core.audit.errors.strata.stratified_p_value`): on one flank,
    among all animals that passed the same cameras. Others than the few of the same individual count there, because which side
    a camera sees has nothing to do with who passes. Where the compared visits differ by themselves, places left aside, these
    others need only not explain it. Its columns are the keys, and the sums ``x`` of ``n`` visits and ``x_others`` of
    ``n_others``.

    Args:
        connection: database with the temporary tables `scored` and `poor_cameras`.
        confusable_probability: probability of the true individual from which on it is a near miss, 0-1.
    """
    connection.execute(_sql("seen"))
    create_labeller_signs(connection)
    for name, query, keys, level, most in _TESTED:
        strata = connection.sql(_sql(query)).to_arrow_table()
        connection.register("found_signs", _signs(strata, keys, level, most))
        connection.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS FROM found_signs")
        connection.unregister("found_signs")
    for name in ("contradicted", "repeated_pairs"):
        connection.execute(_sql(name))
    connection.execute(_sql("near_pairs"), {"confusable_probability": confusable_probability})


def _signs(strata: pa.Table, keys: list[str], level: float, most: float) -> pa.Table:
    """The groups of some strata that differ, with their sums.

    Args:
        strata: keys, :data:`_COUNTS` and what else describes the stratum.
        keys: columns that name a group.
        level: p-value up to which a difference is a sign.
        most: share of a group's rate that the rate of the others may have.
    """
    # Sums of DuckDB are wider than any count here.
    columns = [
        strata[name].cast(pa.int64()) if name in _COUNTS + _LIKE else strata[name] for name in strata.column_names
    ]
    strata = pa.Table.from_arrays(columns, names=strata.column_names)
    for like, name in zip(_LIKE, ("n", "n_others"), strict=True):
        if like not in strata.column_names:
            strata = strata.append_column(like, strata[name])
    groups = strata.group_by(keys).aggregate([(name, of) for name in _COUNTS + _LIKE for of in ("sum", "list")])
    is_sign = [_differs(row, level, most) for row in groups.to_pylist()]
    sums = {name: groups[f"{name}_sum"] for name in _COUNTS}
    others = [name for name in strata.column_names if name not in (*keys, *_COUNTS, *_LIKE)]
    found = pa.table({name: groups[name] for name in keys} | sums).filter(pa.array(is_sign, pa.bool_()))
    if not others:
        return found
    described = strata.select([*keys, *others]).group_by([*keys, *others]).aggregate([])
    return described.join(found, keys, join_type="inner")


def _differs(row: dict, level: float, most: float) -> bool:
    if not is_clearly_more(most, *(row[f"{name}_sum"] for name in _COUNTS)):
        return False
    by_place = stratified_p_value(
        *(np.array(row[f"{name}_list"]) for name in ("x", "n_like", "x_others", "n_like_others"))
    )
    if by_place > _BY_PLACE:
        return False
    return by_place <= level or stratified_p_value(*(np.array([row[f"{name}_sum"]]) for name in _COUNTS)) <= level


def _sql(name: str) -> str:
    return load_sql("scd_core.audit.errors", name)
