"""What `trapaudit prune` removes and leaves, and how `trapaudit repair` has what was lost made again."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from deployments.cli.main import app
from scd_core.audit import read_table
from scd_core.audit.errors.certificates import read_certificates
from scd_core.audit.improvements import read_improvements
from scd_core.audit.query.connection import run_sql
from scd_core.audit.report.refresh import refresh_report_tables
from scd_core.errors import RunError, TrapauditError
from scd_core.tables.schema import table_from_rows
from scd_core.tables.shards import save_shard
from scd_core.tables.store import AuditStore
from tests.audit.audit_builder import AuditBuilder, label
from tests.services.audits import audit

MODEL = Path(__file__).resolve().parents[2] / "scd_core" / "scenes" / "models" / "shortcut"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> str:
    tmp_path = tmp_path_factory.mktemp("built")
    for batch, file in (("b1", "C01/a.jpg"), ("b2", "C02/b.jpg")):
        builder = AuditBuilder(tmp_path / "out", batch)
        builder.mask(builder.predict(file, "Ama", camera=file[:3]))
        builder.write()
    out = str(tmp_path / "out")
    AuditStore(out).check_writable()
    label(out, tmp_path, {"C01/a.jpg": "Bo"})
    for days in (200, 100, 50, 10, 0):
        refresh_report_tables(out, now=datetime.now(UTC) - timedelta(days=days))
    return out


@pytest.fixture
def out(built: str, tmp_path: Path) -> str:
    """A copy of the audit; each test changes its own."""
    return str(shutil.copytree(built, tmp_path / "out"))


def command(*arguments: str) -> str:
    done = CliRunner().invoke(app, list(arguments))
    assert done.exit_code == 0, (done.output, done.exception)
    return done.output


def make_old(out: str, folder: str, days: float) -> None:
    for path in (Path(out) / folder).rglob("*"):
        os.utime(path, (time.time() - 86_400 * days,) * 2)


def n_reports(out: str) -> int:
    return len(list(Path(out).glob("errors/*/*.parquet")))


def test_old_reports_go_and_the_two_newest_stay(out: str) -> None:
    rows = {table: read_table(out, table) for table in ("media", "predictions", "masks", "labels", "errors")}
    assert "tables of old reports: 4 files" in command("prune", out, "--keep-reports", "90d", "--dry-run")
    assert n_reports(out) == 5
    command("prune", out, "--keep-reports", "90d")
    assert n_reports(out) == 3
    command("prune", out, "--keep-reports", "0d")
    assert n_reports(out) == 2
    for table, before in rows.items():
        assert read_table(out, table).equals(before), table


def test_unfinished_work_goes_when_nobody_went_on_with_it(out: str) -> None:
    store = AuditStore(out)
    rows = table_from_rows("media", [])
    for key in ("old", "new"):
        save_shard(store, key, "ingest", "s1", rows)
        store.write_table("media", rows, date(2026, 3, 1), key)
        if key == "old":
            make_old(out, "work/old", 8)
            make_old(out, "media/batch_date=2026-03-01", 8)
    said = command("prune", out)
    assert "unfinished work: 1 files" in said and "never committed: 1 files" in said
    assert [path.parts[-3] for path in Path(out).glob("work/*/*/*.shard")] == ["new"]
    assert {path.stem for path in Path(out).glob("media/*/*.parquet")} == {"b1", "b2", "new"}


def test_an_age_that_is_none_is_refused(out: str) -> None:
    for wrong in ("90", "soon", "-1d"):
        done = CliRunner().invoke(app, ["prune", out, f"--keep-reports={wrong}"])
        assert "is no age" in str(done.exception)


@pytest.mark.parametrize(
    ("table", "hurt"),
    [("media", "gone"), ("masks", "gone"), ("media", "damaged"), ("masks", "damaged"), ("errors", "damaged")],
)
def test_a_lost_file_is_one_line_that_names_it_and_the_way_out(out: str, table: str, hurt: str) -> None:
    (path,) = (
        [*Path(out).glob(f"{table}/*/b1.parquet")] if table != "errors" else [max(Path(out).glob("errors/*/*.parquet"))]
    )
    path.unlink() if hurt == "gone" else path.write_bytes(b"PAR1 no more PAR1")
    for read in (
        lambda: run_sql(out, f"SELECT * FROM {table}"),
        lambda: read_table(out, table),
        lambda: AuditStore(out).read(table),
    ):
        with pytest.raises(TrapauditError) as caught:
            read()
        line = str(caught.value)
        assert path.name in line and f"trapaudit repair {out}" in line and "\n" not in line
    said = command("repair", out)
    assert path.name in said
    assert "every file that counts is there" in command("repair", out)
    left = read_table(out, "media")
    assert len(left) == (2 if table == "errors" else 1), "the other batch stays"
    assert len(read_table(out, "labels")) == 1


def test_lost_labels_are_named_and_nothing_pretends_to_make_them_again(out: str) -> None:
    (path,) = Path(out).glob("labels/*/*.parquet")
    path.unlink()
    path.with_name("broken.parquet").write_bytes(b"x")
    done = CliRunner().invoke(app, ["repair", out])
    assert done.exit_code == 1 and "labels/" in done.output and "import its labels again" in done.output


def test_a_repaired_batch_is_audited_again_by_the_next_run(tmp_path: Path) -> None:
    scenes = tmp_path / "scenes"
    assert CliRunner().invoke(app, ["scenes", str(scenes), "--events", "2"]).exit_code == 0
    settings, out = {"masks": {"steps": 2}}, str(tmp_path / "out")
    audit(scenes / "images", MODEL, out, settings, report=False)
    before = read_table(out, "media").sort_values("media_id")["media_id"].tolist()
    next((tmp_path / "out" / "predictions").rglob("*.parquet")).unlink()
    with pytest.raises(RunError, match="trapaudit repair"):
        AuditStore(out).read("predictions")
    command("repair", out)
    assert len(AuditStore(out).read("media")) == 0
    audit(scenes / "images", MODEL, out, settings, report=False)
    assert sorted(read_table(out, "media")["media_id"]) == before
    assert len(read_table(out, "predictions")) > 0
    assert audit(scenes / "images", MODEL, out, settings, report=False).batches == [], "once"


@pytest.mark.parametrize("content", ["", "{", "null", '[{"way": 1}]', "\x00" * 20])
@pytest.mark.parametrize(
    ("file", "read"),
    [
        ("improvements/20260301T000000-0a0a0a0a.json", read_improvements),
        ("certificates/model-1/report-1.json", read_certificates),
    ],
    ids=["improvements", "certificates"],
)
def test_damaged_notes_are_one_line_that_names_the_file(
    out: str, file: str, read: Callable[[AuditStore], object], content: str
) -> None:
    path = Path(out) / file
    path.parent.mkdir(parents=True)
    path.write_text(content)
    with pytest.raises(RunError, match=f"{file}: is damaged .*trapaudit repair"):
        read(AuditStore(out))


@pytest.mark.parametrize("content", ['[{"way":', "null", '[{"way": 1}]'])
def test_repair_drops_damaged_notes_and_nothing_else(out: str, content: str) -> None:
    """What a report refuses to read is what repair finds."""
    path = Path(out) / "improvements" / "20260301T000000-0a0a0a0a.json"
    path.parent.mkdir()
    path.write_text(content)
    before = {one for one in Path(out).rglob("*") if one.is_file()}
    assert "damaged" in command("repair", out, "--dry-run") and path.is_file()
    assert "damaged" in command("repair", out)
    assert before - {one for one in Path(out).rglob("*") if one.is_file()} == {path}
    assert "can be read" in command("repair", out)
