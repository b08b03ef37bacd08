"""The labelled visits that two models named: which each is right about, what they count in rates, and what they share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from scd_core.audit.slices.data import slice_keys
from scd_core.audit.sql import load_sql
from scd_core.errors import InputError
from scd_core.names import ErrorType

__all__ = ["Model", "Pairs", "find_model", "find_pairs"]

_LEAST_PART = 3
"""Characters of a name that stand for all of it; a single one is in nearly every name."""

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Model:
    """A model of an audit."""

    digest: str
    name: str | None
    """What gave the names, in words; None in audits of older versions."""

    def __str__(self) -> str:
        return f"{self.name} {self.digest[:12]}" if self.name else self.digest[:12]


@dataclass(frozen=True)
class Pairs:
    """Rows of ``errors`` of two models over the same labelled targets, side by side, and the visits that they are part of."""

    old: pa.Table
    new: pa.Table
    """(n,) rows each, of one target in one place."""
    n_only_old: int
    n_only_new: int
    """Labelled pictures that the other model did not name."""
    visit: Ints
    """(n,) visit of each target."""
    weight: NDArray[np.float64]
    """(n,) events that it stands for in rates, as its label was drawn while the old model named; 0 where it was not drawn."""

    @property
    def n_visits(self) -> int:
        """Number of visits."""
        return int(self.visit.max(initial=-1)) + 1

    def by_visit(self, rows: Bools) -> Bools:
        """(v,) of a mark of targets: visits of which at least half of the targets have it."""
        marked = np.bincount(self.visit, rows, minlength=self.n_visits)
        return 2 * marked >= np.maximum(np.bincount(self.visit, minlength=self.n_visits), 1)

    def visit_weight(self) -> NDArray[np.float64]:
        """(v,) events that each visit stands for."""
        return np.bincount(self.visit, self.weight, minlength=self.n_visits).astype(np.float64)

    def keys(self) -> Sequence[Mapping[str, str]]:
        """What each target is counted by, whatever it is called: key -> value, as in slices."""
        return slice_keys(self.new)


def find_model(connection: duckdb.DuckDBPyConnection, wanted: str) -> Model:
    """The model that a digest, the beginning of one, or a name means.

    Args:
        connection: database with the audit's tables.
        wanted: at least 4 digits of a digest, or a name as the column `model_name` has it, or at least 3
            characters of one.

    Raises:
        InputError: none, or several.
    """
    rows = connection.execute(load_sql("scd_core.audit.compare", "models_known")).fetchall()
    models = [Model(digest, name) for digest, name, _ in rows]
    exact = [one for one in models if wanted in (one.digest, one.name)]
    found = exact or [
        one
        for one in models
        if (len(wanted) >= 4 and one.digest.startswith(wanted.lower()))
        or (len(wanted) >= _LEAST_PART and wanted in (one.name or ""))
    ]
    known = "; ".join(map(str, models[:8])) or "none"
    if not found:
        raise InputError(f"model {wanted}: not in this audit; it has {known}")
    if len(found) > 1:
        raise InputError(f"model {wanted}: fits several ({'; '.join(map(str, found[:8]))}); give more of the digest")
    return found[0]


def find_pairs(connection: duckdb.DuckDBPyConnection, errors: pa.Table, old: Model, new: Model) -> Pairs:
    """Pair the labelled targets of two models.

    Args:
        connection: the database that ``errors`` was derived in.
        errors: rows of ``errors``.
        old: the model that names were given by when most labels were drawn.
        new: the other one.
    """
    connection.register("compared", errors)
    found = connection.sql(
        load_sql("scd_core.audit.compare", "pairs"), params={"old": old.digest, "new": new.digest}
    ).to_arrow_table()
    connection.unregister("compared")
    of_old, of_new = errors.take(found["old_place"]), errors.take(found["new_place"])
    visit_id = pc.coalesce(of_new["visit_id"], of_old["visit_id"], of_new["event_id"], of_new["target_id"])
    _, visit = np.unique(np.array(visit_id.to_pylist(), dtype=object).astype(str), return_inverse=True)
    weight = np.array(pc.fill_null(of_old["event_weight"], 0.0).to_pylist(), dtype=np.float64)
    counts = _counts(connection, errors, (old, new)) if not len(found) else None
    n_old, n_new = counts or (found["n_only_old"][0].as_py(), found["n_only_new"][0].as_py())
    names = pa.array(visit_id.to_pylist(), pa.string())
    sides = [_as_current(rows, names) for rows in (of_old, of_new)]
    return Pairs(sides[0], sides[1], n_old, n_new, visit.astype(np.int64), weight)


def wrong(rows: pa.Table) -> Bools:
    """(n,) which rows err."""
    return np.asarray(pc.not_equal(rows["error_type"], ErrorType.CORRECT).to_numpy(zero_copy_only=False), dtype=bool)


def _as_current(rows: pa.Table, visits: pa.Array) -> pa.Table:
    """The rows as those of one audit of this model alone."""
    columns: dict[str, Any] = {"visit_id": visits, "is_current": pa.array([True] * rows.num_rows, pa.bool_())}
    for name, values in columns.items():
        rows = rows.set_column(rows.schema.get_field_index(name), rows.schema.field(name), values)
    return rows


def _counts(connection: duckdb.DuckDBPyConnection, errors: pa.Table, models: Sequence[Model]) -> tuple[int, int]:
    """Labelled targets of each model, where no pair was found."""
    is_labelled = errors.filter(errors["is_labelled"])
    sizes = [
        len(set(is_labelled.filter(pc.equal(is_labelled["model_digest"], one.digest))["target_id"].to_pylist()))
        for one in models
    ]
    return sizes[0], sizes[1]
