"""The table ``errors``: human labels against the names of the model, raw and final, and doubts where there is no label."""

from __future__ import annotations

import duckdb
import pyarrow as pa

from scd_core.audit.errors.signs import create_signs
from scd_core.audit.errors.suspicion import create_suspected
from scd_core.audit.labels.truth import create_truth
from scd_core.audit.query.connection import open_tables
from scd_core.audit.sql import load_sql
from scd_core.config import AuditConfig
from scd_core.tables.schema import TABLES, empty_table, table_schema

__all__ = ["assumed_right", "derive_errors"]

_STEPS = (
    "labelled",
    "chosen",
    "label_shares",
    "control_shares",
    "event_sizes",
    "media_quality",
    "chosen_media",
    "evidence",
    "scored",
)
"""Files of the folder ``sql`` that need no setting, each the temporary table of its name, in the order in which they build."""
_LIMITS = {
    "min_background_reliance",
    "min_overlay_reliance",
    "min_log_odds_drop",
    "label_suspect_probability",
    "confusable_probability",
}
"""Settings of the section ``slices`` that the rules of causes compare with."""


def derive_errors(
    out: str | duckdb.DuckDBPyConnection, config: AuditConfig | None = None, report_id: str = ""
) -> pa.Table:
    """Derive the rows of ``errors``: every labelled prediction, and every unlabelled one that is in doubt.

    The newest label of a target is its truth. The raw name (``predicted_id``) is scored, never the corrected one: the
    final name (``final_id``, the ``fused`` re-classification where there is one) decides only ``is_recovered`` and
    ``is_broken``. An individual that the model does not know counts as right when it is called unknown.

    - ``exclusion``: the usable image yielded no name.
    - ``split``: a known individual called unknown.
    - ``combination``: an unknown individual called a known one.
    - ``shift``: a known individual called another known one.
    - ``correct``: the name is the truth.

    ``event_weight`` is what a row counts in rates: ``1 / (m * pi)`` with m the predictions of its event and pi
    (``label_probability``) the probability that it came to be labelled. Where all labels of a batch lie on rows that
    triage selected, pi is ``inclusion_probability``. Where labels reach beyond the selection (a batch labelled whole,
    say), pi is the labelled share of the row's stratum (selected for a reason, or not) over the larger of the batch's two
    shares. A row without a name has no inclusion probability; its pi is 1.

    Where nothing but flagged rows was labelled, rates over these rows are shares of what was flagged, and no weight can mend
    that; :func:`assumed_right` gives what :func:`scd_core.audit.slices.derive.find_slices` needs beside them.

    Args:
        out: OUT, or a database with the audit's tables (:func:`scd_core.audit.query.connection.open_tables`).
        config: thresholds of the causes and suspicions (section ``slices``), speed limit (section ``triage``).
        report_id: report that the rows are for.

    Returns:
        Rows of the table ``errors``, in the order of batch and target.

    Raises:
        InputError: OUT holds no audit.
    """
    if isinstance(out, str):
        with open_tables(out) as connection:
            return derive_errors(connection, config, report_id)
    config = config or AuditConfig()
    create_truth(out)
    create_suspected(out, config)
    out.execute(_sql("quality_limits"), {"low_quality_ratio": config.slices.low_quality_ratio})
    for name in _STEPS:
        out.execute(_sql(name))
    create_signs(out)
    limits = config.slices.model_dump(include=_LIMITS)
    rows = out.sql(_sql("errors"), params={**limits, "report_id": report_id}).to_arrow_table()
    return rows.select(TABLES["errors"]).cast(table_schema("errors"))


def assumed_right(connection: duckdb.DuckDBPyConnection, errors: pa.Table, most: int = 200_000) -> pa.Table:
    """What nobody flagged in the batches where nothing but flagged rows is labelled, as rows of ``errors`` that are right.

    Which right names are flagged differs from camera to camera and from individual to individual, so shares of what was
    flagged differ where nothing is wrong. Errors per event do not: with these rows beside the labelled ones a rate is that of
    the errors that triage flagged, the least that the true rate can be. A row is one that nothing flagged and nobody
    labelled; where others of its event are labelled, only a row that agrees with them. Rows are for computing slices
    only, and never written.

    Args:
        connection: the database that `errors` was derived from, by :func:`derive_errors`.
        errors: rows of ``errors``.
        most: most events; of more, a sample is drawn by their ids, and ``label_probability`` holds which share.

    Returns:
        Rows in the schema of ``errors``; none where controls are labelled too.
    """
    connection.register("derived_errors", errors)
    try:
        connection.execute(_sql("flagged_batches"))
        ((n,),) = connection.execute("SELECT count(*) FROM flagged_batches").fetchall()
        if not n:
            return empty_table("errors")
        connection.execute(_sql("assumed_rows"))
        ((n,),) = connection.execute("SELECT approx_count_distinct(event) FROM assumed_rows").fetchall()
        found = connection.sql(_sql("assumed"), params={"every": max(1, -(-n // most))}).to_arrow_table()
    finally:
        connection.unregister("derived_errors")
    schema = table_schema("errors")
    columns = [
        found[f.name].cast(f.type) if f.name in found.column_names else pa.nulls(len(found), f.type) for f in schema
    ]
    return pa.Table.from_arrays(columns, schema=schema)


def _sql(name: str) -> str:
    return load_sql("scd_core.audit.errors", name)
