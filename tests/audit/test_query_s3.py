"""Queries where the audit lies: on real S3 servers, and reading no more than is wanted."""

from __future__ import annotations

import uuid
from datetime import date

import fsspec
import numpy as np
import pytest
from typer.testing import CliRunner

from scd_core.audit import connect, read_table
from scd_core.audit.query.files import AuditFileSystem
from scd_core.audit.query.views import READY_VIEWS
from scd_core.audit.report.refresh import refresh_report_tables
from tests.audit.audit_builder import AuditBuilder, label


def build(out, n=40):
    for day in (1, 2, 3):
        builder = AuditBuilder(out, f"b{day}", batch_date=date(2026, 3, day))
        rng = np.random.default_rng(day)
        for number in range(n):
            name = "Luna" if number % 3 else "Nyx"
            target = builder.predict(f"C01/d{day}_{number}.jpg", name, 0.5 + number / 100, event=f"e{day}-{number}")
            builder.mask(target, mask_png=rng.bytes(20_000))
        builder.write()
    return builder.out


def test_views_sql_and_frames_on_s3(bucket, tmp_path):
    from deployments.cli.main import app

    bucket = f"s3://{bucket}/audit"
    build(bucket, n=6)
    label(bucket, tmp_path, {f"C01/d1_{number}.jpg": "Luna" for number in range(6)})
    refresh_report_tables(bucket)
    with connect(bucket) as audit:
        assert audit.execute("SELECT count(*), count(DISTINCT batch_date) FROM predictions").fetchone() == (18, 3)
        for name in READY_VIEWS:
            audit.execute(f"SELECT * FROM {name}").fetchall()
        with pytest.raises(Exception, match=r"read-only|not supported|Permission|disabled"):
            audit.execute("COPY (SELECT 1 AS x) TO 'audit://media/x.parquet' (FORMAT parquet)")
    found = CliRunner().invoke(
        app, ["sql", bucket, "SELECT count(*) AS n FROM errors WHERE is_labelled", "--format", "csv"]
    )
    assert found.exit_code == 0 and found.stdout.split() == ["n", "6"]
    assert len(read_table(bucket, "masks", ["area"], dates=("2026-03-02", None))) == 12


@pytest.fixture
def reads(monkeypatch):
    """path -> bytes read through the audit's file system."""
    counted: dict[str, int] = {}
    real = AuditFileSystem._open

    def opened(self, path, mode="rb", **kwargs):
        file = real(self, path, mode, **kwargs)
        name = str(path).split("://")[-1]
        counted.setdefault(name, 0)
        read, readinto = file.read, getattr(file, "readinto", None)

        def count_read(size=-1):
            data = read(size)
            counted[name] += len(data)
            return data

        file.read = count_read
        if readinto is not None:

            def count_into(buffer):
                n = readinto(buffer)
                counted[name] += n or 0
                return n

            file.readinto = count_into
        return file

    monkeypatch.setattr(AuditFileSystem, "_open", opened)
    return counted


def test_only_the_columns_and_days_asked_for_are_read(reads):
    name = f"ask-{uuid.uuid4().hex}"
    out = build(f"memory://{name}")
    memory = fsspec.filesystem("memory")
    try:
        size = {path: memory.size(path) for path in memory.find(f"/{name}/masks")}
        assert len(size) == 3 and min(size.values()) > 500_000
        whole = read_table(out, "masks")
        everything = sum(reads.values())
        assert len(whole) == 120 and everything > sum(size.values()) * 0.9, "the counter sees what is read"
        reads.clear()
        frame = read_table(out, "masks", ["target_id", "background_reliance"], dates=("2026-03-03", "2026-03-03"))
        assert len(frame) == 40
        assert [path for path in reads if "masks" in path] == [path for path in reads if "2026-03-03" in path] != []
        assert sum(reads.values()) < 0.1 * min(size.values()), "the mask pictures were left where they are"
        reads.clear()
        assert len(read_table(out, "masks", ["target_id"], filters={"target_id": "nobody"})) == 0
        assert sum(reads.values()) < 0.1 * everything
    finally:
        memory.rm(f"/{name}", recursive=True)
