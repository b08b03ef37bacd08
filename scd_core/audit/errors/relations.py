"""How true and given names are related, where the audit holds a taxonomy of them."""

from __future__ import annotations

import duckdb
import pyarrow as pa

from scd_core.audit.sql import load_sql
from scd_core.inputs.taxonomy import Taxonomy

__all__ = ["create_relations"]

_RELATIONS = pa.schema([("true_id", pa.string()), ("name", pa.string()), ("relation", pa.string())])


def create_relations(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the temporary table ``relations``: true_id, name, and their :class:`scd_core.names.Relation`.

    A pair of which a taxonomy does not hold both is left out, so the table is empty without one.

    Args:
        connection: database with the tables ``runs`` and ``targets``; gets the temporary one.
    """
    taxonomy = Taxonomy(dict(connection.execute(_sql("lineages")).fetchall()))
    pairs = connection.execute(_sql("pairs_named")).fetchall() if taxonomy else []
    rows = [
        {"true_id": true, "name": name, "relation": str(relation)}
        for true, name in pairs
        if (relation := taxonomy.relation(true, name)) is not None
    ]
    connection.register("relation_rows", pa.Table.from_pylist(rows, schema=_RELATIONS))
    connection.execute("CREATE OR REPLACE TEMP TABLE relations AS FROM relation_rows")
    connection.unregister("relation_rows")


def _sql(name: str) -> str:
    return load_sql("scd_core.audit.errors", name)
