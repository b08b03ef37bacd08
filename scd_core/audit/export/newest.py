"""What of an audit is exported: each medium and target once, as the newest run saw it, with the labels that count."""

from __future__ import annotations

from collections.abc import Sequence

import duckdb

from scd_core.audit.errors.certificates import CertificateRecord, create_certificates
from scd_core.audit.labels.truth import create_truth
from scd_core.audit.sql import load_sql

__all__ = ["create_newest"]


def create_newest(connection: duckdb.DuckDBPyConnection, certificates: Sequence[CertificateRecord] = ()) -> None:
    """Make the temporary tables that exports are written from.

    ``newest_media`` and ``newest_predictions``: rows of the newest run over each medium; predictions carry
    ``final_id`` and ``final_probability`` (the fused decision where it keeps the name or is certified, else the
    prediction), ``finished_at`` of their run, and ``error_type``, ``cause`` and ``suspicion_reasons`` of the newest report where
    it has the target.
    ``label_matches``: see :func:`scd_core.audit.labels.truth.create_truth`.

    Args:
        connection: database with the audit's tables (:func:`scd_core.audit.query.connection.open_tables`).
        certificates: the newest of each model.
    """
    create_truth(connection)
    create_certificates(connection, certificates)
    for name in ("newest_batches", "newest_media", "newest_predictions"):
        connection.execute(load_sql("scd_core.audit.export", name))
