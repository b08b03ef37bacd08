"""What to label next, drawn from strata, so that the labels of any first part of the list give honest rates."""

from __future__ import annotations

import duckdb
import pyarrow as pa

from scd_core.audit.sql import load_sql

__all__ = ["create_queue", "draw_queue"]

_LOOKED_AT = 10
"""Pictures of each stratum that are looked at, for each place of the list; several are of one visit."""


def create_queue(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the table macro ``label_queue(seed, minutes, most)``, whose rows ``sql/label_queue.sql`` describes.

    Args:
        connection: database with the audit's tables (:func:`scd_core.audit.query.connection.open_tables`).
    """
    connection.execute(load_sql("scd_core.audit.errors", "primary_reason"))
    body = load_sql("scd_core.audit.queue", "label_queue")
    connection.execute(f"CREATE OR REPLACE MACRO label_queue(given_seed, given_minutes, given_most) AS TABLE\n{body}")


def draw_queue(
    connection: duckdb.DuckDBPyConnection, limit: int, *, seed: int | None = None, visit_minutes: int | None = None
) -> pa.Table:
    """The first part of the list of what to label next: one picture of each visit in which nothing is labelled.

    Pictures are drawn by stratum (the first reason for which triage flagged the picture, or `unflagged`), inside a stratum
    at random. So the labelled share of each stratum is all that a rate needs, however far down the list somebody came.

    Args:
        connection: database with the audit's tables; `labels` decides what is labelled, and `errors`, where it is filled, how
            the flagged places are shared out among the reasons.
        limit: most pictures.
        seed: of the draw; None takes the one of the newest run (`triage.seed`). The same seed gives the same list until
            labels or batches are added, and what is labelled in between leaves the order of a stratum as it is.
        visit_minutes: most minutes between two events of one visit; None takes those of the newest run.

    Returns:
        Columns `place` (from 1), `batch_key`, `target_id`, `media_id`, `queue` (the stratum), `queue_probability` (the chance
        that a visit of this stratum stands among the first `place`, 0-1), the prediction with its box, and what is needed to
        show the picture, `hidden_boxes` of persons among it.
    """
    create_queue(connection)
    query = load_sql("scd_core.audit.queue", "drawn")
    ((n_all,),) = connection.execute("SELECT count(*) FROM predictions").fetchall()
    most = _LOOKED_AT * limit
    while True:
        values = {"seed": seed, "visit_minutes": visit_minutes, "limit": limit, "most": most}
        found = connection.sql(query, params=values).to_arrow_table()
        if len(found) == limit or most >= n_all:
            return found
        most *= _LOOKED_AT  # visits are long, or most of them are labelled
