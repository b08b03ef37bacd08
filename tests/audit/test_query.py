"""Asking the audit: what is seen, what is refused, what is read."""

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import fsspec
import pyarrow.parquet as pq
import pytest

from scd_core.audit import connect, read_table
from scd_core.audit.export import export_audit
from scd_core.audit.query.connection import run_sql
from scd_core.audit.report.refresh import refresh_report_tables
from scd_core.audit.report.write import write_report
from scd_core.config import AuditConfig
from scd_core.errors import InputError
from scd_core.tables.schema import TABLES, table_from_rows
from scd_core.tables.store import AuditStore
from tests.audit.audit_builder import AuditBuilder, label, minutes


@pytest.fixture
def out(tmp_path):
    for day in (1, 2, 3):
        builder = AuditBuilder(tmp_path / "out", f"b{day}", batch_date=date(2026, 3, day))
        for n in range(4):
            builder.predict(f"d{day}/{n}.jpg", "Luna" if n else "Nyx", 0.5 + n / 10)
        builder.write()
    return builder.out


def test_every_table_is_a_view_and_counts_committed_batches_only(out):
    half = AuditBuilder(out, "half")
    half.predict("late.jpg", "Luna")
    half.write(commit=False)
    with connect(out) as connection:
        names = {
            name for (name,) in connection.execute("SELECT view_name FROM duckdb_views() WHERE NOT internal").fetchall()
        }
        assert set(TABLES) <= names
        assert connection.execute("SELECT count(*) FROM predictions").fetchone() == (12,)
        assert connection.execute("SELECT count(*) FROM labels").fetchone() == (0,)
        assert connection.execute("SELECT count(DISTINCT batch_date) FROM media").fetchone() == (3,)


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TABLE t AS SELECT 1",
        "CREATE OR REPLACE VIEW predictions AS SELECT 1",
        "DROP VIEW predictions",
        "INSERT INTO predictions SELECT * FROM predictions",
        "COPY (SELECT 1) TO '{out}/x.parquet'",
        "COPY (SELECT 1) TO 'audit://x.parquet'",
        "COPY (SELECT 1) TO 'audit://{file}'",
        "EXPORT DATABASE '{out}/dump'",
        "ATTACH '{out}/x.duckdb'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET enable_external_access = true",
        "SET allowed_directories = ['/']",
        "PRAGMA memory_limit = '1GB'",
        "SELECT * FROM read_text('{secret}')",
        "SELECT * FROM read_text('audit://../secret.txt')",
        "SELECT * FROM '{secret}'",
        "SELECT * FROM glob('{out}/*')",
        "SELECT * FROM sniff_csv('{secret}')",
        "SELECT * FROM read_parquet('s3://somewhere/x.parquet')",
        "UPDATE predictions SET predicted_id = 'Nyx'",
        "DELETE FROM predictions",
        "ALTER VIEW predictions RENAME TO gone",
        "WITH x AS (SELECT 1) INSERT INTO predictions SELECT * FROM x",
        "EXPLAIN ANALYZE COPY (SELECT 1) TO '{out}/x.csv'",
        "EXPLAIN ANALYZE DROP VIEW predictions",
        "COPY predictions FROM '{secret}'",
        "IMPORT DATABASE '{out}'",
        "FORCE INSTALL httpfs FROM 'http://127.0.0.1:9/'",
        "CREATE SECRET (TYPE s3, KEY_ID 'a', SECRET 'b')",
        "CREATE MACRO f(x) AS x",
        "CREATE TYPE mood AS ENUM ('a')",
        "SELECT * FROM read_blob('{secret}')",
        "SELECT * FROM read_csv('{secret}')",
        "SELECT * FROM read_json_objects('{secret}')",
        "SELECT * FROM read_parquet('{out}/../secret.txt')",
        "SELECT * FROM query('COPY (SELECT 1) TO ''{out}/x.csv''')",
    ],
)
def test_what_would_write_or_leave_out_is_refused(out, sql):
    secret = Path(out).parent / "secret.txt"
    secret.write_text("a,b\n1,2\n")
    file = next(Path(out).glob("media/*/*.parquet")).relative_to(out)
    before = {path: path.read_bytes() for path in Path(out).rglob("*") if path.is_file()}
    text = sql.format(out=out, secret=secret, file=file)
    with connect(out) as connection:
        with pytest.raises(Exception) as caught:
            connection.execute(text).fetchall()
        assert not isinstance(caught.value, AssertionError)
        assert connection.execute("SELECT count(*) FROM predictions").fetchone() == (12,)
    with pytest.raises(InputError):
        run_sql(out, text)
    assert {path: path.read_bytes() for path in Path(out).rglob("*") if path.is_file()} == before
    assert secret.read_text() == "a,b\n1,2\n"


def test_sql_answers_and_words_its_refusals(out):
    assert run_sql(out, "SELECT predicted_id, count(*) FROM predictions GROUP BY 1 ORDER BY 1").fetchall() == [
        ("Luna", 9),
        ("Nyx", 3),
    ]
    assert len(run_sql(out, "EXPLAIN SELECT 1").fetchall()) == 1
    assert "target_id" in run_sql(out, "DESCRIBE predictions").df()["column_name"].tolist()
    with pytest.raises(InputError, match="sql: CREATE is refused, the audit is read-only"):
        run_sql(out, "CREATE TEMP TABLE t AS SELECT 1")
    with pytest.raises(InputError, match="sql: expected one statement, got 2"):
        run_sql(out, "SELECT 1; SELECT 2")
    with pytest.raises(InputError, match=r"sql: .*nowhere"):
        run_sql(out, "SELECT * FROM nowhere")
    with pytest.raises(InputError, match="sql: Parser Error"):
        run_sql(out, "SELEKT 1")


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1; DROP VIEW predictions",
        "SELECT 1; COPY (SELECT 1) TO '{out}/x.csv'",
        "CREATE TEMP TABLE t AS SELECT 1",
        "PREPARE q AS SELECT 1",
        "BEGIN",
        "CHECKPOINT",
        "VACUUM",
        "USE memory",
        "DETACH audit",
        "CALL pragma_version()",
        "SET threads = 1",
        "RESET threads",
        "",
        "   -- nothing",
    ],
)
def test_the_command_takes_one_reading_statement(out, sql):
    before = {path: path.read_bytes() for path in Path(out).rglob("*") if path.is_file()}
    with pytest.raises(InputError, match=r"^sql: "):
        run_sql(out, sql.format(out=out))
    assert {path: path.read_bytes() for path in Path(out).rglob("*") if path.is_file()} == before


def test_python_variables_are_no_tables(out):
    mine = duckdb.sql("SELECT 1 AS x").df()  # noqa: F841
    with connect(out) as connection, pytest.raises(duckdb.CatalogException):
        connection.execute("SELECT * FROM mine")


def test_read_table_columns_dates_and_filters(out):
    frame = read_table(out, "predictions", ["target_id", "probability"], dates=(date(2026, 3, 2), None))
    assert list(frame.columns) == ["target_id", "probability"]
    assert len(frame) == 8
    assert len(read_table(out, "predictions", dates=("2026-03-02", "2026-03-02"))) == 4
    assert len(read_table(out, "predictions", filters={"predicted_id": "Nyx"})) == 3
    assert len(read_table(out, "predictions", filters={"predicted_id": ["Nyx", "Luna"]})) == 12
    assert len(read_table(out, "predictions", filters={"detection_id": None})) == 12
    assert len(read_table(out, "predictions", filters=[("probability", ">", 0.65), ("predicted_id", "!=", "Nyx")])) == 6
    assert read_table(out, "predictions", filters={"predicted_id": []}).empty


def test_dates_leave_other_files_unopened(out):
    for path in Path(out).glob("predictions/batch_date=2026-03-01/*"):
        path.write_bytes(b"not parquet")
    assert len(read_table(out, "predictions", dates=("2026-03-02", None))) == 8


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"table": "nothing"}, "table nothing: there is none; the tables are media"),
        ({"table": "media", "columns": ["colour"]}, "table media: no column colour"),
        ({"table": "media", "filters": {"colour": 1}}, "table media: no column colour"),
        ({"table": "media", "filters": [("file", "like", "a")]}, "no operator like"),
        ({"table": "media", "dates": ("March", None)}, "dates .* are no pair of days"),
    ],
)
def test_read_table_refuses(out, arguments, message):
    with pytest.raises(InputError, match=message):
        read_table(out, **arguments)


def test_an_out_without_an_audit(tmp_path):
    for call in (lambda: connect(str(tmp_path)), lambda: read_table(str(tmp_path), "media")):
        with pytest.raises(InputError, match="holds no audit"):
            call()


def test_newest_report_is_given_and_older_ones_are_kept(out, tmp_path):
    refresh_report_tables(out, now=datetime(2026, 3, 4, tzinfo=UTC))
    label(out, tmp_path, {"d1/0.jpg": "Luna"})
    _, _, newest = refresh_report_tables(out, now=datetime(2026, 3, 4, 1, tzinfo=UTC))
    assert read_table(out, "errors")["report_id"].unique().tolist() == [newest]
    assert len(list(Path(out).glob("errors/report_date=2026-03-04/*.parquet"))) == 2


def test_plain_parquet_glob_works_without_us(out):
    with duckdb.connect() as connection:
        found = connection.execute(
            "SELECT count(*), count(DISTINCT batch_date) "
            f"FROM read_parquet('{out}/predictions/**/*.parquet', hive_partitioning = true)"
        ).fetchone()
    assert found == (12, 3)


def test_any_file_system(out):
    memory = fsspec.filesystem("memory")
    memory.put(out, "/audit-copy", recursive=True)
    try:
        with connect("memory://audit-copy") as connection:
            assert connection.execute("SELECT count(*) FROM predictions").fetchone() == (12,)
            with pytest.raises(Exception, match="read-only"):
                connection.execute("COPY (SELECT 1) TO 'audit://x.parquet'")
        assert len(read_table("memory://audit-copy", "media", ["file"])) == 12
        _, slices, _ = refresh_report_tables("memory://audit-copy")
        assert len(slices) == 0
    finally:
        memory.rm("/audit-copy", recursive=True)


def test_reports_of_one_moment_stand_in_the_order_in_which_they_were_made(out, tmp_path):
    """Ids are random behind the time, and clocks go back: the report that was made last is the newest all the same."""
    label(out, tmp_path, {"d1/0.jpg": "Luna"})
    now = datetime(2026, 3, 4, 23, 59, 59, tzinfo=UTC)
    made = [refresh_report_tables(out, now=now)[2] for _ in range(4)]
    made.append(refresh_report_tables(out, now=now - timedelta(days=2))[2])
    assert made == sorted(made) and len(set(made)) == 5
    assert read_table(out, "errors", ["report_id"]).report_id.unique().tolist() == [made[-1]]
    old = next(Path(out).glob(f"error_slices/*/{made[-1]}.parquet"))
    for table in ("errors", "error_slices"):  # as an older version named it, in the same second
        path = next(Path(out).glob(f"{table}/*/{made[-1]}.parquet"))
        path.rename(path.with_name(f"{old.name.partition('-')[0]}-ffffffff.parquet"))
    later = refresh_report_tables(out, now=now)[2]
    assert later > f"{old.name.partition('-')[0]}-ffffffff"


READERS = {
    "connect": lambda out, folder: connect(out).sql("SELECT count(*) FROM errors").fetchall(),
    "sql": lambda out, folder: run_sql(out, "SELECT individuals FROM runs").fetchall(),
    "read_table": lambda out, folder: read_table(out, "media"),
    "report": lambda out, folder: write_report(out, AuditConfig()),
    "tables": lambda out, folder: refresh_report_tables(out),
    "camtrap-dp": lambda out, folder: export_audit(out, str(folder / "dp"), "camtrap-dp"),
    "megadetector": lambda out, folder: export_audit(out, str(folder / "md.json"), "megadetector"),
}


@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
def test_every_reader_takes_an_older_schema_and_refuses_a_newer_one(tmp_path, reader):
    """What an older batch or report lacks is null; a newer OUT is refused with what to do."""
    builder = AuditBuilder(tmp_path / "out")
    builder.predict("a.jpg", "Nyx", at=minutes(1), camera="C01")
    builder.predict("b.jpg", "Luna", at=minutes(9), camera="C01")
    out = builder.write()
    label(out, tmp_path, {"a.jpg": "Luna"})
    refresh_report_tables(out)
    gone = {
        "runs": "individuals",
        "media": "brightness",
        "error_slices": "tested_within",
        "errors": "visit_id",
    }
    for table, column in gone.items():
        path = next(Path(out).glob(f"{table}/*/*.parquet"))
        pq.write_table(pq.read_table(path, partitioning=None).drop_columns([column]), path)
    commit = next(Path(out).glob("commits/*.json"))
    content = json.loads(commit.read_text())
    commit.write_text(json.dumps(content | {"schema_version": 0}))
    reader(out, tmp_path)
    commit.write_text(json.dumps(content | {"schema_version": 99}))
    with pytest.raises(InputError, match=r"schema version 99, this trapaudit reads up to .*upgrade"):
        reader(out, tmp_path)


def test_throughput_is_pictures_by_seconds_of_each_stage(tmp_path):
    builder = AuditBuilder(tmp_path / "out")
    for number in range(6):
        builder.predict(f"{number}.jpg", "Ama")
    store, run = AuditStore(builder.write(commit=False)), {**builder.stamp, "config_digest": "c1"}
    timed = {"n_media": 6, "n_ok": 6, "n_predictions": 5, "n_masks": 2, "seconds": [("ingest", 3.0), ("mask", 1.0)]}
    path = next((tmp_path / "out" / "runs").rglob("*.parquet"))
    path.unlink()
    store.write_table("runs", table_from_rows("runs", [run | timed]), builder.batch_date, builder.batch_key)
    builder.write()
    found = run_sql(
        builder.out, "SELECT stage, pictures, pictures_per_second, share_of_time FROM throughput"
    ).fetchall()
    assert found == [("ingest", 6, 2.0, 0.75), ("mask", 2, 2.0, 0.25)]
