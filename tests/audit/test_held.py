"""Small files: a report opens those that are new, and has the rows of one that opens all."""

from datetime import UTC, date, datetime, timedelta

import pyarrow.parquet as pq
import pytest

from scd_core.audit.labels.importing import list_imports, undo_import
from scd_core.audit.query.connection import open_tables
from scd_core.audit.state import held
from scd_core.audit.state.held import hold_small, small_held
from scd_core.audit.state.kept import KeptRows
from scd_core.tables.store import AuditStore
from tests.audit.audit_builder import AuditBuilder, label

NIGHT = datetime(2026, 5, 1, 3, tzinfo=UTC)


def write_batch(out, number):
    batch = AuditBuilder(out, f"b{number}", batch_date=date(2026, 3, 1), finished=NIGHT + timedelta(number))
    batch.predict(f"{number}.jpg", "Luna")
    batch.write()


def rows_of(out, table, night=None, columns="*"):
    """The table; with what earlier reports kept, for a report of a night."""
    kept = None if night is None else KeptRows(AuditStore(out), NIGHT + timedelta(days=night))
    with open_tables(out) as connection:
        hold_small(connection, table, kept, columns)
        return connection.sql(f"FROM temp.{table} ORDER BY ALL").to_arrow_table()


@pytest.fixture
def opened(monkeypatch):
    """Files that were opened since the list was cleared."""
    seen, table_sql = [], held.table_sql

    def read(table, files, **more):
        seen.extend(files)
        return table_sql(table, files, **more)

    monkeypatch.setattr(held, "table_sql", read)
    return seen


@pytest.mark.parametrize("place", ["disk", "memory"])
def test_only_files_that_no_report_knew_are_opened_and_the_rows_are_those_of_all(tmp_path, opened, place):
    out = str(tmp_path / "out") if place == "disk" else "memory://held-small/out"
    for night in range(4):
        write_batch(out, night)
        label(out, tmp_path, {f"{night}.jpg": "Nyx"}, NIGHT + timedelta(days=night), f"{night}.csv")
        for table in ("runs", "labels"):
            opened.clear()
            found = rows_of(out, table, night)
            assert len(opened) == 1, (night, table)
            assert found.equals(rows_of(out, table)) and found.num_rows == night + 1
    opened.clear()
    names = rows_of(out, "labels", 5, "import_id, individual_id")
    assert opened == [] and names.column_names == ["import_id", "individual_id"] and names.num_rows == 4


def test_an_undone_import_comes_as_a_file_of_its_own(tmp_path, opened):
    out = str(tmp_path / "out")
    write_batch(out, 0)
    label(out, tmp_path, {"0.jpg": "Nyx"}, NIGHT, "first.csv")
    rows_of(out, "labels", 0)
    undo_import(out, list_imports(out).to_pylist()[0]["import_id"], now=NIGHT + timedelta(hours=1))
    opened.clear()
    found = rows_of(out, "labels", 1)
    assert len(opened) == 1 and found.equals(rows_of(out, "labels"))
    assert found["undoes_import_id"].null_count == 1


def test_a_file_whose_rows_have_another_key_is_opened_each_time(tmp_path, opened):
    out = str(tmp_path / "out")
    write_batch(out, 0)
    label(out, tmp_path, {"0.jpg": "Nyx"}, NIGHT, "first.csv")
    (file,) = (tmp_path / "out" / "labels").rglob("*.parquet")
    rows = pq.read_table(file, partitioning=None)
    pq.write_table(rows.set_column(0, "import_id", [["other"] * len(rows)]), file)
    for night in range(2):
        opened.clear()
        assert rows_of(out, "labels", night)["import_id"].to_pylist() == ["other"]
        assert len(opened) == 1


def test_a_table_that_is_held_for_a_while_is_that_of_all_files_again(tmp_path):
    out = str(tmp_path / "out")
    write_batch(out, 0)
    with open_tables(out) as connection:
        with small_held(connection, "labels", KeptRows(AuditStore(out), NIGHT)):
            assert connection.execute("SELECT count(*) FROM temp.labels").fetchall() == [(0,)]
        assert connection.execute("SELECT count(*) FROM labels").fetchall() == [(0,)]
        temporary = connection.execute("SELECT table_name FROM duckdb_tables() WHERE temporary").fetchall()
        assert ("labels",) not in temporary


@pytest.mark.parametrize("columns", ["*", "import_id, individual_id"])
def test_where_what_was_kept_is_damaged_all_files_are_opened(tmp_path, opened, columns):
    out = str(tmp_path / "out")
    write_batch(out, 0)
    label(out, tmp_path, {"0.jpg": "Nyx"}, NIGHT, "0.csv")
    rows_of(out, "labels", 0)
    (kept,) = (tmp_path / "out").glob("state/*/small_labels-small_labels.parquet")
    kept.write_bytes(kept.read_bytes()[:50])
    opened.clear()
    found = rows_of(out, "labels", 1, columns)
    assert len(opened) >= 1 and found.equals(rows_of(out, "labels", columns=columns)) and found.num_rows == 1
