"""Rows of pictures that labels want: looked for in all batches once, and later what is new in all, and all in what is new."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import duckdb
import numpy as np
import pyarrow as pa

from scd_core.audit.query.batches import batches_shown, knows_files
from scd_core.audit.sql import load_sql
from scd_core.audit.state.kept import KeptRows

__all__ = ["MEDIA", "TARGETS", "Lookups", "Wanted", "holding_batches"]


@dataclass(frozen=True)
class Wanted:
    """A table of rows that have one of some texts, made by the query of its name from the table ``wanted`` (column `wanted`)."""

    table: str
    hashes: str
    """Column of the table `names` with the hashes of these texts."""
    column: str
    """Column of the table with the text."""


MEDIA = Wanted("label_names", "files", "wanted")
TARGETS = Wanted("label_targets", "media", "media_id")
_STAGE = "labels"
_WANTS = "wants"
_PARTS = (MEDIA.table, TARGETS.table, _WANTS)
_TOGETHER = ""
"""Stands for a batch with the hashes of all texts that were looked for, so that one list names these and the batches."""


class Lookups:
    """Looks for what labels want, with what earlier reports found.

    The rows are those of a look at all batches (:data:`tests.audit.test_nights`). A text that no report looked for is looked
    for in the batches that may have it, by the table `names`; all texts in batches that came since.

    Args:
        connection: database with the audit's tables (:func:`scd_core.audit.query.connection.open_tables`).
        kept: rows of earlier reports; None, or a database that does not know the files of its batches or has no table `names`,
            looks at all.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, kept: KeptRows | None = None) -> None:
        self._connection = connection
        has_names = connection.execute("SELECT count(*) FROM duckdb_tables() WHERE table_name = 'names'").fetchall()[0][
            0
        ]
        self._kept = kept if has_names and knows_files(connection) else None
        self._new: list[str] = []
        self._is_known = False
        if self._kept is not None:
            self._load(self._kept)

    def _load(self, kept: KeptRows) -> None:
        texts = [load_sql(__package__, one.table) for one in (MEDIA, TARGETS)]
        version = hashlib.sha256(f"{texts}{duckdb.__version__}".encode()).hexdigest()
        self._connection.execute(load_sql("scd_core.audit.errors", "digests_alone"), {"version": version})
        self._connection.execute("INSERT INTO digests VALUES ($key, $version)", {"key": _TOGETHER, "version": version})
        for part in _PARTS:
            self._connection.execute(f"DROP TABLE IF EXISTS all_{part}")
        kept.load(self._connection, _STAGE, _PARTS)
        known = "SELECT count(*) > 0 FROM kept WHERE batch_key = $key"
        ((self._is_known,),) = self._connection.execute(known, {"key": _TOGETHER}).fetchall()
        if not self._is_known:
            self._connection.execute("DELETE FROM kept")
        self._connection.execute(f"CREATE TEMP TABLE new_{_WANTS} (batch_key VARCHAR, kind VARCHAR, id UBIGINT)")
        new = "SELECT batch_key FROM digests ANTI JOIN kept USING (batch_key) WHERE batch_key <> $key"
        self._new = [key for (key,) in self._connection.execute(new, {"key": _TOGETHER}).fetchall()]

    def find(self, what: Wanted, wanted: str) -> None:
        """Make the temporary table ``what.table``.

        Args:
            what: which.
            wanted: query of the texts, in a column `wanted`, each once.
        """
        run, query = self._connection.execute, load_sql(__package__, what.table)
        run(f"CREATE OR REPLACE TEMP TABLE wanted AS {wanted}")
        if self._kept is not None:
            run(f"INSERT INTO new_{_WANTS} SELECT $key, $kind, hash(wanted) FROM wanted", self._values(what))
        if not self._is_known:
            run(query)
            return
        known = f"(SELECT id FROM all_{_WANTS} WHERE kind = '{what.table}')"
        run(
            f"CREATE OR REPLACE TEMP TABLE found AS FROM all_{what.table} WHERE hash({what.column}) IN {known} "
            f"AND {what.column} IN (SELECT wanted FROM wanted)"
        )
        run("CREATE OR REPLACE TEMP TABLE all_wanted AS FROM wanted")
        run(f"DELETE FROM wanted WHERE hash(wanted) IN {known}")
        old = "batch_key IN (SELECT batch_key FROM kept)"
        self._look(what, query, holding_batches(self._connection, what.hashes, "SELECT wanted FROM wanted", old))
        run(f"DELETE FROM kept WHERE batch_key IN (SELECT batch_key FROM {what.table})")  # they are kept anew
        run("CREATE OR REPLACE TEMP TABLE wanted AS FROM all_wanted")
        self._look(what, query, self._new)
        run(f"CREATE OR REPLACE TEMP TABLE {what.table} AS FROM found")
        for name in ("found", "all_wanted"):
            run(f"DROP TABLE {name}")

    def save(self) -> None:
        """Keep what was found for the next report.

        Raises:
            RunError: OUT cannot be written.
        """
        if self._kept is None:
            return
        self._connection.execute("DELETE FROM kept WHERE batch_key = $key", {"key": _TOGETHER})
        for part, source in zip(_PARTS, (MEDIA.table, TARGETS.table, f"new_{_WANTS}"), strict=True):
            self._connection.execute(f"DROP TABLE IF EXISTS all_{part}")
            self._connection.execute(f"CREATE TEMP VIEW all_{part} AS FROM {source}")
        self._kept.save(self._connection, _STAGE, _PARTS)
        for part in _PARTS:
            self._connection.execute(f"DROP VIEW all_{part}")
        self._connection.execute(f"DROP TABLE new_{_WANTS}")

    def _look(self, what: Wanted, query: str, batch_keys: list[str]) -> None:
        with batches_shown(self._connection, batch_keys):
            self._connection.execute(query)
        self._connection.execute(f"INSERT INTO found FROM {what.table}")

    def _values(self, what: Wanted) -> dict[str, str]:
        return {"key": _TOGETHER, "kind": what.table}


def holding_batches(connection: duckdb.DuckDBPyConnection, hashes: str, wanted: str, among: str = "true") -> list[str]:
    """Batches that may have one of some texts, by the table `names`: all that do, and one in 400 000 others for each text.

    Args:
        connection: database with the table.
        hashes: its column.
        wanted: query of the texts.
        among: condition that the batches meet.
    """
    texts = connection.sql(
        f"SELECT DISTINCT (hash(columns(*)) >> 32)::UINTEGER AS one FROM ({wanted})"
    ).to_arrow_table()
    wants = np.sort(texts["one"].to_numpy())
    of_batches = connection.sql(f"SELECT batch_key, {hashes} AS one FROM names WHERE {among}").to_arrow_table()
    if not wants.size or not of_batches.num_rows:
        return []
    lists = of_batches["one"].combine_chunks()
    found = lists.values.to_numpy()
    # Most are left out by their first 16 bits, which takes a hundredth of the time.
    may_be = np.zeros(1 << 16, bool)
    may_be[wants >> 16] = True
    places = np.flatnonzero(may_be[found >> 16])
    at = np.minimum(np.searchsorted(wants, found[places]), wants.size - 1)
    places = places[wants[at] == found[places]]
    batches = np.unique(np.searchsorted(lists.offsets.to_numpy(), places, side="right") - 1)
    return sorted(of_batches["batch_key"].take(pa.array(batches)).to_pylist())
