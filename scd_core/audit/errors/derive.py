"""The table ``errors``: human labels against the names of the model, raw and final, and doubts where there is no label."""

from __future__ import annotations

from collections.abc import Sequence

import duckdb
import pyarrow as pa

from scd_core.audit.errors.batches import ALONE, JUDGED, create_parts
from scd_core.audit.errors.certificates import find_certificates
from scd_core.audit.errors.relations import create_relations
from scd_core.audit.errors.signs import create_signs
from scd_core.audit.errors.superseded import create_superseded
from scd_core.audit.errors.suspicion import create_travellers
from scd_core.audit.labels.truth import create_truth
from scd_core.audit.query.connection import open_tables
from scd_core.audit.sql import load_sql
from scd_core.audit.state.held import small_held
from scd_core.audit.state.kept import KeptRows
from scd_core.config import AuditConfig
from scd_core.tables.schema import TABLES, table_schema

__all__ = ["derive_errors", "known_exposures", "unrated_shares"]

_LIMITS = {
    "min_background_reliance",
    "min_overlay_reliance",
    "min_log_odds_drop",
    "min_gradient_outside",
    "min_gradient_spread",
    "label_suspect_probability",
    "confusable_probability",
}
"""Settings of the section ``slices`` that the rules of causes compare with."""

_TEXTS = ("batch_key", "model_digest", "camera_id", "deployment_id", "predicted_id", "quality")
"""Columns of exposures with few values."""
_UNTIL_LABELLED = ("label_names", "label_media", "label_boxes", "labels_open", "wanted", "truth", "qualities")
"""Tables that nothing reads once it is known what is labelled and how sharp a camera is; with many labels they take memory."""


def derive_errors(
    out: str | duckdb.DuckDBPyConnection,
    config: AuditConfig | None = None,
    report_id: str = "",
    kept: KeptRows | None = None,
) -> pa.Table:
    """Derive the rows of ``errors``: every labelled prediction, and every unlabelled one that is in doubt.

    The newest label of a target is its truth. The raw name (``predicted_id``) is scored, never the corrected one: the
    final name (``final_id``) decides only ``is_recovered`` and ``is_broken``. It is the suggestion of the ``fused``
    re-classification where the labels certify that (:mod:`scd_core.audit.errors.certificates`), else the raw name. An
    individual that the model does not know counts as right when it is called unknown.

    - ``exclusion``: the usable image yielded no name.
    - ``split``: a known individual called unknown.
    - ``combination``: an unknown individual called a known one.
    - ``shift``: a known individual called another known one.
    - ``correct``: the name is the truth, or the same in other words, a group that the true one is of, or, where the label is a
      group, one of it (``relation``, :class:`scd_core.names.Relation`).

    ``event_weight`` is what a row counts in rates: ``1 / (m * pi)`` with m the predictions of its event and pi
    (``label_probability``) the labelled share of the predictions of its batch with the same primary flag reason, controls and
    the rest that nothing flagged together. A reason of which a batch has no label is stood for by the rows with that reason
    in other batches. A row without a name has pi 1. What a queue of the review for a slice, a candidate or a doubt led to was
    not drawn by lot: it has neither pi nor weight, and is none of the labelled share. What no label stands for is in
    :func:`unrated_shares`.

    ``visit_id`` is the visit that a row is part of: events of one individual, as labelled, else as named, at one camera with at
    most ``slices.visit_minutes`` between them. It is null in batches without labels and for rows that a newer run replaced.

    Args:
        out: OUT, or a database with the audit's tables (:func:`scd_core.audit.query.connection.open_tables`).
        config: thresholds of the causes and suspicions (section ``slices``), speed limit (section ``triage``).
        report_id: report that the rows are for.
        kept: what earlier reports kept; only batches of which it knows nothing, or whose labels are others now, are looked at.
            The rows are the same without.

    Returns:
        Rows of the table ``errors``, in the order of batch and target.

    Raises:
        InputError: OUT holds no audit.
    """
    if isinstance(out, str):
        with open_tables(out) as connection:
            return derive_errors(connection, config, report_id)
    config = config or AuditConfig()
    slices, ratio = config.slices, {"low_quality_ratio": config.slices.low_quality_ratio}
    for name in ("primary_reason", "drawn_by", "draw_lot", "is_taken"):
        out.execute(_sql(name))
    ((seed,),) = out.execute(_sql("newest_seed")).fetchall()
    create_parts(out, ALONE, {"lots": {"seed": seed}}, kept)
    with small_held(out, "labels", kept):
        create_truth(out, kept)
    create_travellers(out, config)
    create_superseded(out, kept)
    out.execute("DROP TABLE names")
    for name, values in (("quality_limits", ratio), ("poor_cameras", ratio), ("labelled", {})):
        out.execute(_sql(name), values)
    limits = {"suspected": slices.model_dump(include={"min_background_reliance", "min_overlay_reliance"})}
    _drop(out, _UNTIL_LABELLED)
    create_parts(out, JUDGED, limits | {"visits": {"visit_minutes": slices.visit_minutes}}, kept)
    create_relations(out)
    for name in ("label_strata", "scored"):
        out.execute(_sql(name))
    _drop(out, ("targets",))
    find_certificates(out, config.reclassify)
    out.execute(_sql("certified"))
    create_signs(out, slices.confusable_probability)
    out.execute(_sql("places"))
    _drop(out, ("seen",))
    values = slices.model_dump(include=_LIMITS) | {"report_id": report_id}
    rows = out.sql(_sql("errors"), params=values).to_arrow_table()
    _drop(out, ("scored",))
    return rows.select(TABLES["errors"]).cast(table_schema("errors"))


def known_exposures(connection: duckdb.DuckDBPyConnection) -> pa.Table:
    """Visits that would have shown an error, had there been one: neither flagged nor labelled, among others that were looked at.

    People look at what triage flags. So that nobody flagged a visit, where all that was flagged is labelled, is as much
    knowledge as a label that agrees; where a quarter of it is, a quarter as much; where labels follow no flag, none. With
    f the labelled share of the flagged visits of a batch and camera, and u that of the others, such a visit counts
    ``max(0, (f - u) / (1 - u))``, so that all visits count f on average. It counts as right, under the name that it was given.
    Exposures are for finding slices (:func:`scd_core.audit.slices.derive.find_slices`), never for rates.

    Args:
        connection: the database that ``errors`` was derived from, by :func:`derive_errors`.

    Returns:
        One row per model, camera, deployment, name, light, quality, week and hour that occur together: these columns as in
        ``errors``, texts as dictionaries (``captured_at``: the Monday of the week, at that hour), and ``exposure``, visits that
        count. ``batch_key`` is the first of the batches in which the camera's flagged visits became known on the same one day,
        or in which none did.
    """
    for column in _TEXTS:
        texts = "SELECT stands_for FROM places" if column == "batch_key" else f"SELECT {column} FROM cells"
        values = f"SELECT DISTINCT one FROM ({texts}) texts(one) WHERE one IS NOT NULL ORDER BY one"
        connection.execute(f"CREATE OR REPLACE TEMP TYPE {column}_value AS ENUM ({values})")
    return connection.sql(_sql("exposed")).to_arrow_table()


def unrated_shares(connection: duckdb.DuckDBPyConnection) -> dict[str, float]:
    """Of the predictions in batches with labels, the share that no label stands for, by primary flag reason.

    Args:
        connection: the database that ``errors`` was derived from, by :func:`derive_errors`.

    Returns:
        Flag reason, or ``unflagged``, -> share of these predictions, above 0 and at most 1. Empty where there is a rate for all.
    """
    return dict(connection.execute(_sql("unrated")).fetchall())


def _drop(connection: duckdb.DuckDBPyConnection, tables: Sequence[str]) -> None:
    for name in tables:
        connection.execute(f"DROP TABLE IF EXISTS temp.{name}")


def _sql(name: str) -> str:
    return load_sql("scd_core.audit.errors", name)
