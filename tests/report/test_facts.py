"""What the page takes from the report before it: the same as from all rows, and never of other batches or labels."""

from datetime import UTC, date, datetime

import pytest

from scd_core.audit.query.connection import open_tables
from scd_core.audit.report import facts, queries
from scd_core.audit.report.refresh import refresh_report_tables
from scd_core.audit.report.write import write_report
from scd_core.config import AuditConfig, SliceConfig
from scd_core.tables.store import AuditStore
from tests.audit.audit_builder import AuditBuilder, label

PLAIN = AuditConfig(slices=SliceConfig(examples=0))


def batch(out, number, model="m1"):
    return AuditBuilder(out, f"b{number}", model, date(2026, 3, number), datetime(2026, 3, number, 9, tzinfo=UTC))


@pytest.fixture
def out(tmp_path):
    """Three pictures, one unreadable at first; a second run reads it, and names another anew, without a flag."""
    out = tmp_path / "out"
    first = batch(out, 1)
    first.predict("a.jpg", "Luna", is_flagged=True)
    first.mask("id-a.jpg")
    first.predict("b.jpg", "Nyx", is_flagged=True, camera="C2")
    first.mask("id-b.jpg")
    first.media("c.jpg", status="corrupt", camera="C3")
    first.media("d.jpg", status="corrupt")
    first.write()
    second = batch(out, 2, "m2")
    second.predict("b.jpg", "Tom", camera="C2")
    second.predict("c.jpg", None, camera="C3")
    second.media("e.jpg", status="duplicate")
    second.media("a.jpg", status="missing")  # the name of before counts
    second.write()
    label(out, tmp_path, {"a.jpg": "Luna", "b.jpg": "Nyx", "later.jpg": "Tom"})
    return str(out)


def counts(totals):
    return (totals.n_media, totals.n_quarantined, totals.n_duplicates, totals.n_cameras), (
        totals.n_predictions, totals.n_unnamed, totals.n_flagged, totals.n_individuals, totals.n_masked,
    )  # fmt: skip


def test_each_picture_counts_once_by_the_newest_run_that_could_use_it(out):
    _, totals = write_report(out, PLAIN)
    assert counts(totals) == ((5, 1, 1, 3), (2, 1, 1, 2, 1))


def test_the_page_after_a_report_is_the_one_from_all_rows(out, monkeypatch):
    now = datetime(2026, 4, 1, tzinfo=UTC)
    refresh_report_tables(out, PLAIN, now=now)
    anew = write_report(out, PLAIN, now)
    page = AuditStore(out).get_file("report/index.html")
    with monkeypatch.context() as patch:
        patch.setattr(facts, "create_truth", None)
        patch.setattr(facts, "need_facts", None)
        assert write_report(out, PLAIN, now) == anew
        assert AuditStore(out).get_file("report/index.html") == page
    for file in AuditStore(out).files("state"):
        AuditStore(out).delete_file(file)
    assert write_report(out, PLAIN, now) == anew
    assert AuditStore(out).get_file("report/index.html") == page


@pytest.mark.parametrize("news", ["batch", "labels"])
def test_what_came_after_the_report_is_on_the_page(out, tmp_path, news):
    refresh_report_tables(out, PLAIN)
    if news == "batch":
        late = batch(out, 3)
        late.predict("later.jpg", "Luna")
        late.write()
    else:
        label(out, tmp_path, {"a.jpg": "Nyx", "other.jpg": "Nyx"}, name="more.csv")
    _, totals = write_report(out, PLAIN)
    assert totals.n_media == (6 if news == "batch" else 5)
    with open_tables(out) as connection:
        facts.load_facts(connection, facts.KeptRows(AuditStore(out), datetime.now(UTC)), "of nothing")
        rows = dict(connection.execute("SELECT file, n_waiting FROM label_files").fetchall())
    assert rows == ({"labels.csv": 0} if news == "batch" else {"labels.csv": 1, "more.csv": 1})
    page = AuditStore(out).get_file("report/index.html").decode()
    assert ("more.csv" in page) == (news != "batch")


@pytest.mark.parametrize("harm", ["torn", "gone"])
def test_facts_that_are_torn_or_gone_cost_time_only(out, tmp_path, harm):
    refresh_report_tables(out, PLAIN)
    for file in (tmp_path / "out" / "state").rglob("page-*.parquet"):
        file.write_bytes(file.read_bytes()[:-20]) if harm == "torn" else file.unlink()
    assert counts(write_report(out, PLAIN)[1]) == ((5, 1, 1, 3), (2, 1, 1, 2, 1))


def test_files_that_could_not_be_used_are_looked_for_in_the_batches_that_have_one(out, monkeypatch):
    clean = batch(out, 3)
    clean.predict("f.jpg", "Luna")
    clean.write()
    shown = []
    own = queries.batches_shown
    monkeypatch.setattr(
        queries, "batches_shown", lambda connection, keys: own(connection, shown.append(sorted(keys)) or keys)
    )
    with open_tables(out) as connection:
        facts.need_facts(connection)
        kinds, files = queries.unusable_files(connection, 10)
        assert kinds == queries.query(connection, "quarantine_kinds")
        assert files == queries.query(connection, "quarantined", limit=10)
    # In b2 one is missing that b1 could use, in b1 one is corrupt that b2 could use.
    assert shown == [["b1", "b2"]] and {row["file"] for row in files} == {"a.jpg", "c.jpg", "d.jpg"}
