"""Certificates of OUT: which suggested names its labels allow to become final, for each model, kept as files.

Assumed is that a label of one reason for a flag does not depend on whether the suggestion would break the right name, and that
visits are independent of each other. One picture of each visit counts, and labels of a reason that is labelled less often
weigh more.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from scd_core.audit.sql import load_sql
from scd_core.audit.wording import percent, plural
from scd_core.config import ReclassifyConfig
from scd_core.tables.store import AuditStore

__all__ = [
    "CERTIFICATES",
    "CertificateRecord",
    "certificate_of",
    "certificate_words",
    "create_certificates",
    "find_certificates",
    "newest_certificate",
    "read_certificates",
    "write_certificates",
]

CERTIFICATES = "certificates"


@dataclass(frozen=True)
class CertificateRecord:
    """What the labels of OUT show of one model's suggestions."""

    model_digest: str
    min_probability: float | None
    """Suggestions with at least this probability are final names; None where the labels do not show enough."""
    n_labels: int
    """Visits with a right name that was classified again and labelled."""
    n_broken: int
    """Of these, how many the suggestions make wrong."""
    n_needed: int | None
    """Such labels that are needed in addition, at least; None where certified, or where no number would do."""
    max_broken: float
    """Largest share of right names that suggestions may make wrong, 0-1."""
    certain: float
    """Confidence, 0-1."""
    report_id: str = ""
    """The report that found it, by which it is dated; empty before it is written."""


def find_certificates(connection: duckdb.DuckDBPyConnection, config: ReclassifyConfig) -> None:
    """Make the temporary table ``certificates``, a row a model with labels, from the tables ``scored`` and ``label_counts``.

    Args:
        connection: the database in which errors are derived.
        config: `max_broken` and `certain`.
    """
    from scd_core.reclassify.certificate import certify  # only now: its package loads torch

    found = connection.sql(load_sql("scd_core.audit.errors", "certificate_labels")).to_arrow_table()
    probability, weights = (
        found[name].cast(pa.float64()).to_numpy() for name in ("probability", "weight")
    )  # null is nan
    records = []
    for model in sorted(pc.unique(found["model_digest"]).to_pylist()):
        of = pc.equal(found["model_digest"], model).to_numpy()
        one = certify(probability[of], weights[of], config.max_broken, config.certain)
        records.append(CertificateRecord(model, **asdict(one), max_broken=config.max_broken, certain=config.certain))
    create_certificates(connection, records)


def create_certificates(connection: duckdb.DuckDBPyConnection, records: Iterable[CertificateRecord]) -> None:
    """Make the temporary table ``certificates``, and the macro ``is_taken`` by which a suggestion is compared with it."""
    connection.execute(load_sql("scd_core.audit.errors", "is_taken"))
    rows = pa.Table.from_pylist([asdict(record) for record in records], schema=_SCHEMA)
    connection.register("given_certificates", rows)
    connection.execute("CREATE OR REPLACE TEMP TABLE certificates AS FROM given_certificates")
    connection.unregister("given_certificates")


def write_certificates(store: AuditStore, connection: duckdb.DuckDBPyConnection, report_id: str) -> None:
    """Keep the table ``certificates`` in OUT: a file for each model whose newest one differs; none is ever replaced.

    Args:
        store: OUT.
        connection: the database of :func:`find_certificates`.
        report_id: of the report; ids sort by time.

    Raises:
        RunError: OUT cannot be read or written.
    """
    known = {record.model_digest: replace(record, report_id="") for record in read_certificates(store)}
    for row in connection.sql("FROM certificates").to_arrow_table().to_pylist():
        record = CertificateRecord(**row)
        if known.get(record.model_digest) != record:
            content = json.dumps(asdict(replace(record, report_id=report_id)), indent=1) + "\n"
            store.create_file(f"{CERTIFICATES}/{record.model_digest}/{report_id}.json", content.encode())


def read_certificates(store: AuditStore) -> list[CertificateRecord]:
    """The newest certificate of each model; none where no report has found any.

    Raises:
        RunError: OUT cannot be read, or a file of them is damaged.
    """
    newest = {path.split("/")[1]: path for path in store.files(CERTIFICATES)}  # sorted by time within a model
    found = (store.get_json(path, certificate_of) for path in newest.values())
    return [record for record in found if record is not None]


def certificate_of(content: dict[str, Any]) -> CertificateRecord:
    """The certificate in the content of a file; fails where that is damaged."""
    return CertificateRecord(**content)


def newest_certificate(connection: duckdb.DuckDBPyConnection) -> CertificateRecord | None:
    """The certificate of the model of the newest run, from the tables ``certificates`` and ``runs``; None where there is none.

    A database in which no certificates were made (:func:`create_certificates`) has none.
    """
    known = connection.execute("SELECT count(*) FROM duckdb_tables() WHERE table_name = 'certificates'").fetchall()
    if not known[0][0]:
        return None
    rows = connection.sql(load_sql("scd_core.audit.errors", "newest_certificate")).to_arrow_table().to_pylist()
    return CertificateRecord(**rows[0]) if rows else None


def certificate_words(record: CertificateRecord | None) -> str:
    """Whether names are changed or only suggested, and on what labels, in words; None is a model without labels.

    >>> certificate_words(CertificateRecord("m", 0.9, 412, 0, None, 0.01, 0.9))
    'certified on 412 labels: names change from a probability of .90 on, which breaks at most 1 % of right names (of these 0)'
    """
    if record is None:
        return "suggested only: no right name that was classified again is labelled"
    n, limit = record.n_labels, percent(record.max_broken)
    labels = f"{n} {plural(n, 'label', 'labels')}"
    if record.min_probability is not None:
        return (
            f"certified on {labels}: names change from a probability of {record.min_probability:.2f}".replace("0.", ".")
            + f" on, which breaks at most {limit} of right names (of these {record.n_broken})"
        )
    seen = f"{labels} of right names that were classified again, of which suggestions break {record.n_broken}"
    if record.n_needed is None:
        return f"suggested only: {seen}; that is too many for {limit}"
    return f"suggested only: {seen}; at least {record.n_needed} more must show that it is at most {limit}"


_SCHEMA = pa.schema(
    [
        ("model_digest", pa.string()),
        ("min_probability", pa.float64()),
        ("n_labels", pa.int64()),
        ("n_broken", pa.int64()),
        ("n_needed", pa.int64()),
        ("max_broken", pa.float64()),
        ("certain", pa.float64()),
        ("report_id", pa.string()),
    ]
)
