"""A report's tables: errors and error slices derived anew, and written as one snapshot."""

from __future__ import annotations

import secrets
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pyarrow as pa

from scd_core.audit.errors.certificates import write_certificates
from scd_core.audit.errors.derive import derive_errors, known_exposures
from scd_core.audit.improvements import read_improvements, with_improvements
from scd_core.audit.query.connection import REPORT_MEMORY, open_tables
from scd_core.audit.query.tables import report_time
from scd_core.audit.report.facts import keep_facts
from scd_core.audit.report.queries import first_row
from scd_core.audit.report.state import report_state
from scd_core.audit.slices.derive import find_slices
from scd_core.audit.state.held import hold_small
from scd_core.audit.state.kept import KeptRows
from scd_core.config import AuditConfig
from scd_core.tables.store import AuditStore

__all__ = ["refresh_report_tables"]


def refresh_report_tables(
    out: str,
    config: AuditConfig | None = None,
    *,
    now: datetime | None = None,
    memory_limit: str = REPORT_MEMORY,
    threads: int | None = None,
    scratch: str | None = None,
) -> tuple[pa.Table, pa.Table, str]:
    """Derive ``errors`` and ``error_slices`` from what is committed, compare with the report before, and write both.

    Before them the certificates are written that ``errors`` rests on (:mod:`scd_core.audit.errors.certificates`).

    Args:
        out: OUT.
        config: settings; None is the default.
        now: time of the report; None is now.
        memory_limit: most memory that DuckDB takes; what does not fit goes to `scratch`.
        threads: threads; None is one per core.
        scratch: folder for what does not fit into memory; None is DuckDB's own choice.

    Returns:
        Rows of ``errors``, rows of ``error_slices``, and the report_id, which sorts by time.

    Raises:
        InputError: OUT holds no audit.
        RunError: OUT cannot be written.
    """
    config = config or AuditConfig()
    now = (now or datetime.now(UTC)).astimezone(UTC)
    store = AuditStore(out)
    covers = report_state(out)
    reports = store.committed_files("error_slices")
    now, report_id = _after(max(reports, default=None), now)
    with open_tables(out, memory_limit=memory_limit, threads=threads, scratch=scratch) as connection:
        kept = KeptRows(store, now)
        hold_small(connection, "runs", kept)
        errors = derive_errors(connection, config, report_id, kept)
        write_certificates(store, connection, report_id)
        exposures = known_exposures(connection)
        previous = connection.sql("SELECT * EXCLUDE (report_date) FROM error_slices").to_arrow_table()
        keep_facts(connection, kept, covers)
        in_use = first_row(connection, "models").get("model_digest")
    with ThreadPoolExecutor(1) as pool:
        written = pool.submit(store.write_table, "errors", errors, now.date(), report_id)
        slices = find_slices(errors, config.slices, previous if reports else None, report_id, exposures)
        written.result()
    if records := read_improvements(store):
        slices = with_improvements(slices, errors, records, in_use)
    store.write_table("error_slices", slices, now.date(), report_id)
    return errors, slices, report_id


def _after(newest: str | None, now: datetime) -> tuple[datetime, str]:
    """Time and id of a report that sorts behind the newest one, even where both are of one moment or a clock went back."""
    if newest is not None:
        now = max(now, report_time(newest) + timedelta(microseconds=1))
    report_id = f"{now:%Y%m%dT%H%M%S-%f}{secrets.token_hex(2)}"
    if newest is not None and f"report_date={now:%Y-%m-%d}/{report_id}.parquet" <= newest.split("/", 1)[1]:
        return _after(newest, now + timedelta(seconds=1))  # behind an id of an older version, without microseconds
    return now, report_id
