"""What all makers of worlds share: a world, a planted error, and what the audit makes of a world's tables."""

from __future__ import annotations

from dataclasses import dataclass

import duckdb
import numpy as np
import pyarrow as pa

from scd_core.audit.errors.derive import known_exposures
from scd_core.audit.improvements import create_improvements
from scd_core.audit.slices.derive import find_slices
from scd_core.config import SliceConfig
from scd_core.tables.schema import TABLES, empty_table

__all__ = ["Planted", "World", "load_tables", "load_world", "names", "slices_of"]


@dataclass(frozen=True)
class Planted:
    """One planted error: what a slice may name it by, and the causes that are right for it."""

    kind: str
    causes: tuple[str, ...]  # any of them is right
    keys: dict[str, set[str]]  # key -> values that belong to it; a slice with another value of such a key is not it
    naming: tuple[str, ...]  # keys of which a slice must have at least one to name the error


@dataclass(frozen=True)
class World:
    """The tables of a world, what was planted in it, and the probability to err of every event."""

    tables: dict[str, pa.Table]
    planted: list[Planted]
    events: dict[
        str, np.ndarray
    ]  # what each event was like; `p_wrong`: the probability that one of its frames is wrong


def names(planted: Planted, values: dict[str, str]) -> bool:
    """Whether a slice names a planted error: one of its naming keys, and no other value of any of its keys."""
    agrees = all(value in planted.keys[key] for key, value in values.items() if key in planted.keys)
    return agrees and any(key in planted.naming for key in values)


def load_world(world: World) -> duckdb.DuckDBPyConnection:
    """The world's tables as tables of an in-memory database."""
    return load_tables(world.tables)


def load_tables(tables: dict[str, pa.Table]) -> duckdb.DuckDBPyConnection:
    """Audit tables as tables of an in-memory database."""
    connection = duckdb.connect(config={"python_enable_replacements": False})
    for name in TABLES:
        connection.register("rows", tables.get(name, empty_table(name)))
        connection.execute(f'CREATE TABLE "{name}" AS SELECT * FROM rows')
        connection.unregister("rows")
    create_improvements(connection, [])
    return connection


def slices_of(connection: duckdb.DuckDBPyConnection, errors: pa.Table, config: SliceConfig) -> pa.Table:
    """The rows of ``error_slices``, as a report derives them from the rows of ``errors`` of the same database."""
    return find_slices(errors, config, exposures=known_exposures(connection))
