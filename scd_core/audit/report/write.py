"""Writing OUT/report/index.html."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime

from scd_core.audit.compare.shown import shown_comparison
from scd_core.audit.errors.certificates import create_certificates, read_certificates
from scd_core.audit.improvements import create_improvements, read_improvements
from scd_core.audit.query.connection import REPORT_MEMORY, open_tables
from scd_core.audit.query.tables import report_time
from scd_core.audit.report.content import Snapshots, gather
from scd_core.audit.report.facts import load_facts
from scd_core.audit.report.page import render
from scd_core.audit.report.state import report_state
from scd_core.audit.report.totals import Totals
from scd_core.audit.review.kept import keep_queues
from scd_core.audit.state.held import hold_small, small_held
from scd_core.audit.state.kept import KeptRows
from scd_core.config import AuditConfig
from scd_core.tables.folder import file_key
from scd_core.tables.store import AuditStore

__all__ = ["write_report"]

_PAGE = "report/index.html"
_LABELS = (
    "import_id, undoes_import_id, media_id, detection_id, individual_id, state, labelled_by, labelled_at, imported_at, "
    "review_queue"
)
"""What the page and the queues read of labels."""


def write_report(
    out: str, config: AuditConfig, now: datetime | None = None, models: tuple[str, str] | None = None
) -> tuple[str, Totals]:
    """Draw the page of the newest report: what the classifier keeps getting wrong, with the pictures that show it.

    The page is one file that loads nothing; the list of what to label next is in it as a file to save. Only the pictures of
    the shown examples are read; in place of one that cannot be read stands the reason. Without labels the page lists
    suspicions only.

    Args:
        out: OUT, with at least one committed batch; reads the newest snapshot of `errors` and `error_slices`.
        config: settings (`slices.examples` pictures per slice, `media` for decoding).
        now: time that the page carries; None is now.
        models: two models to show side by side, the old one first; None chooses them (:func:`shown_comparison`).

    Returns:
        Address of the page, without credentials, and the totals that it shows.

    Raises:
        InputError: OUT holds no audit, or `models` cannot be compared.
        RunError: the page could not be written.
    """
    store, now = AuditStore(out), now or datetime.now(UTC)
    label_files = store.committed_files("labels")
    compared = shown_comparison(out, config, models)
    with (
        tempfile.TemporaryDirectory(prefix="trapaudit-") as scratch,
        open_tables(out, memory_limit=REPORT_MEMORY, scratch=scratch) as connection,
    ):
        create_certificates(connection, read_certificates(store))
        create_improvements(connection, read_improvements(store))
        kept = KeptRows(store, now)
        hold_small(connection, "runs", kept)
        load_facts(connection, kept, report_state(out))
        snapshots = _snapshots(store)
        with small_held(connection, "labels", kept, _LABELS):
            content = gather(connection, config, snapshots, now, out=_address(store), compared=compared)
            keep_queues(store, connection, snapshots.newest or "none", label_files)
    store.put_file(_PAGE, render(content).encode("utf-8", "replace"))
    return store.storage.uri_of(store.storage.path(_PAGE)), content.totals


def _address(store: AuditStore) -> str:
    """OUT as a command takes it, from any folder; without credentials."""
    address = store.storage.uri_of(store.storage.root)
    return store.storage.root if address.startswith("file://") else address


def _snapshots(store: AuditStore) -> Snapshots:
    """The two newest reports, by date and id."""
    reports = store.committed_files("error_slices")
    newest = file_key(reports[-1]) if reports else None
    return Snapshots(newest, report_time(reports[-2]) if len(reports) > 1 else None)
