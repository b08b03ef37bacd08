"""Whom each picture of an audit counts for, and its embedding in a form that can be compared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from scd_core.audit.errors.certificates import read_certificates
from scd_core.audit.export.newest import create_newest
from scd_core.audit.query.connection import open_tables
from scd_core.audit.query.views import READY_VIEWS
from scd_core.audit.sql import load_sql
from scd_core.identify.embeddings import feature_matrix
from scd_core.identify.grouping import fit_grouping
from scd_core.tables.store import AuditStore

__all__ = ["Embedded", "open_individuals", "read_embedded", "select", "vectors"]

_SURE = 0.9
"""Probability from which a name counts as known when pictures are compared."""


@dataclass(frozen=True)
class Embedded:
    """Pictures of one embedding space, as they are compared."""

    targets: list[str]
    """N target_ids."""
    unit: NDArray[np.float32]
    """(N, D), whitened as far as the audit's own names allow, of unit length."""


@contextmanager
def open_individuals(out: str) -> Iterator[duckdb.DuckDBPyConnection]:
    """A database with the table ``whose`` (``sql/whose.sql``) and those of :func:`scd_core.audit.export.newest.create_newest`.

    Args:
        out: OUT.

    Raises:
        InputError: OUT holds no audit.
        RunError: OUT could not be read.
    """
    with open_tables(out) as connection:
        create_newest(connection, read_certificates(AuditStore(out)))
        connection.execute(f"CREATE TEMP VIEW current_candidates AS {READY_VIEWS['current_candidates']}")
        connection.execute(load_sql(__package__, "whose"))
        yield connection


def read_embedded(connection: duckdb.DuckDBPyConnection, targets: Sequence[str]) -> dict[str, Embedded]:
    """Embeddings of pictures in each embedding space, less what they have in common.

    Pictures that people named, or of whose name the model is sure, show in which directions pictures of one individual differ;
    where there are enough of them, these directions count less (:func:`scd_core.identify.grouping.fit_grouping`).

    Args:
        connection: database of :func:`open_individuals`.
        targets: pictures; those without an embedding are in no space.

    Returns:
        By embedding space.
    """
    found: dict[str, Embedded] = {}
    wanted = select(connection, "embedded", targets=list(targets))
    for space in sorted(pc.unique(wanted["embedding_space"]).to_pylist()):
        here = wanted.filter(pc.equal(wanted["embedding_space"], space))
        known = select(connection, "embedded_known", space=space, sure=_SURE)
        features = feature_matrix(here["features"])
        grouping = fit_grouping(feature_matrix(known["features"]), known["name"].to_pylist(), features, similarity=0.0)
        found[space] = Embedded(here["target_id"].to_pylist(), grouping.space(features))
    return found


def select(connection: duckdb.DuckDBPyConnection, name: str, **values: Any) -> pa.Table:
    """Rows of a query of this package, ``sql/<name>.sql``."""
    found: pa.Table = connection.sql(load_sql(__package__, name), params=values or None).to_arrow_table()
    return found


def vectors(embedded: Mapping[str, Embedded]) -> dict[str, tuple[str, NDArray[np.float32]]]:
    """target_id -> its embedding space and its embedding, (D,) of unit length."""
    return {
        target: (space, row)
        for space, one in embedded.items()
        for target, row in zip(one.targets, one.unit, strict=True)
    }
