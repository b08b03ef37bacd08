"""An OUT that an earlier schema version wrote is read by this one, and one of a later version is refused in words.

The archives in `outs` were written by that version's own code: `trapaudit scenes /cards --events 6`, then `trapaudit run
/cards/images --model shortcut --labels /cards/labels.csv --out /audit`; the page and what is made anew are left out. A version
that is released gets one.
"""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from deployments.cli.main import app
from scd_core import __version__
from scd_core.audit import read_table
from scd_core.audit.query.connection import run_sql
from scd_core.audit.report.refresh import refresh_report_tables
from scd_core.audit.report.write import write_report
from scd_core.config import AuditConfig
from scd_core.errors import InputError
from scd_core.tables.schema import SCHEMA_VERSION, TABLES
from scd_core.tables.store import AuditStore
from tests.forget.traces import traces

OUTS = Path(__file__).parent / "outs"
VERSIONS = range(1, SCHEMA_VERSION + 1)


def unpacked(version: int, folder: Path) -> str:
    with tarfile.open(OUTS / f"schema-{version}.tar.gz") as archive:
        archive.extractall(folder, filter="data")
    return str(folder)


@pytest.mark.parametrize("version", VERSIONS)
def test_an_out_of_each_version_is_read(version: int, tmp_path: Path) -> None:
    out = unpacked(version, tmp_path / "out")
    (commit,) = AuditStore(out).committed().values()
    assert commit["schema_version"] == version, "the archive is of another version"
    sizes = {table: len(read_table(out, table)) for table in TABLES}
    assert (sizes["media"], sizes["predictions"], sizes["masks"], sizes["labels"], sizes["errors"]) == (
        11,
        11,
        5,
        11,
        11,
    )
    for table in TABLES:
        rows = AuditStore(out).read(table)
        assert rows.column_names == TABLES[table] and len(rows) == (
            sizes[table] if table != "error_slices" else len(rows)
        )
    assert run_sql(out, "SELECT count(*) FROM media JOIN predictions USING (media_id)").fetchall() == [(11,)]
    file = read_table(out, "media")["file"][0]
    shown = CliRunner().invoke(app, ["show", out, file, "--json"])
    assert shown.exit_code == 0 and json.loads(shown.output)


@pytest.mark.parametrize("version", VERSIONS)
def test_an_out_of_each_version_gets_a_report_an_export_and_forgets(version: int, tmp_path: Path) -> None:
    out = unpacked(version, tmp_path / "out")
    errors, _, _ = refresh_report_tables(out)
    assert sum(errors["is_labelled"].to_pylist()) == 11
    assert sum(kind != "correct" for kind in errors["error_type"].to_pylist()) == 7, "as that version counted"
    address, totals = write_report(out, AuditConfig())
    assert totals.n_labelled == 11 and address
    done = CliRunner().invoke(app, ["export", out, str(tmp_path / "package")])
    assert done.exit_code == 0, done.exception
    file = read_table(out, "media")["file"][0]
    done = CliRunner().invoke(app, ["forget", out, "--file", file])
    assert done.exit_code == 0, done.exception
    assert traces(Path(out), file) == [] and len(read_table(out, "media")) == 10


def test_columns_that_came_without_another_version_are_null_where_a_file_lacks_them(tmp_path: Path) -> None:
    out = unpacked(SCHEMA_VERSION, tmp_path / "out")
    (file,) = Path(out).glob("predictions/*/*.parquet")
    pq.write_table(pq.read_table(file, partitioning=None).drop_columns(["margin", "embedding"]), file)
    for path in Path(out).glob("state/*/*"):
        path.unlink()
    assert run_sql(out, "SELECT count(*), count(margin), count(embedding) FROM predictions").fetchall() == [(11, 0, 0)]
    assert len(refresh_report_tables(out)[0]) == 11


COMMANDS = {
    "sql": ["sql", "OUT", "SELECT 1"],
    "report": ["report", "OUT"],
    "show": ["show", "OUT", "a.jpg"],
    "export": ["export", "OUT", "DIR"],
    "forget": ["forget", "OUT", "--camera", "C01"],
    "prune": ["prune", "OUT"],
    "repair": ["repair", "OUT"],
    "labels": ["labels", "list", "OUT"],
    "undo": ["labels", "undo", "OUT", "x"],
    "compare": ["compare", "OUT", "a", "b"],
    "individuals": ["individuals", "list", "OUT"],
    "suspects": ["individuals", "suspects", "OUT"],
    "count": ["individuals", "count", "OUT"],
}


@pytest.mark.parametrize("command", COMMANDS)
def test_an_out_of_a_later_version_is_refused_in_words_and_left_as_it_is(command: str, tmp_path: Path) -> None:
    out = unpacked(SCHEMA_VERSION, tmp_path / "out")
    (commit,) = Path(out).glob("commits/*.json")
    commit.write_text(json.dumps(json.loads(commit.read_text()) | {"schema_version": SCHEMA_VERSION + 1}))
    before = {path: path.read_bytes() for path in Path(out).rglob("*.parquet")}
    words = {"OUT": out, "DIR": str(tmp_path / "dir")}
    done = CliRunner().invoke(app, [words.get(word, word) for word in COMMANDS[command]])
    assert isinstance(done.exception, InputError), (done.output, done.exception)
    assert "upgrade it" in str(done.exception) and f"schema version {SCHEMA_VERSION + 1}" in str(done.exception)
    assert {path: path.read_bytes() for path in Path(out).rglob("*.parquet")} == before


def test_a_run_into_an_out_of_a_later_version_is_refused_before_any_work(tmp_path: Path) -> None:
    from scd_core.job import prepare_job
    from tests.services.audits import request_of

    out = unpacked(SCHEMA_VERSION, tmp_path / "out")
    (commit,) = Path(out).glob("commits/*.json")
    commit.write_text(json.dumps(json.loads(commit.read_text()) | {"schema_version": SCHEMA_VERSION + 1}))
    model = Path(__file__).resolve().parents[2] / "scd_core" / "scenes" / "models" / "shortcut"
    with pytest.raises(InputError, match="upgrade it"):
        prepare_job(request_of(tmp_path, model, out))


def test_the_command_says_its_version() -> None:
    done = CliRunner().invoke(app, ["--version"])
    assert (done.exit_code, done.output) == (0, f"trapaudit {__version__}\n")
