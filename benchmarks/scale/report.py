"""What a report costs at size: time and memory of `trapaudit report` over millions of predictions.

    python -m benchmarks.scale.report [--json FILE] [--quick] [--millions 1 5 20]

Writes an audit (500 batches at 5 million predictions, a mask for a tenth of them, a label for a twenty-fifth), then derives
errors and slices and draws the page in a child process, whose time and peak memory are what is reported: once from nothing, and
once more after one batch with its labels was added (`_night`). The audit is deleted afterwards; 5 million
predictions need about 1.5 GB of disk.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from datetime import date, timedelta
from functools import cache
from pathlib import Path

import duckdb

from benchmarks.common import ROOT, Report, options, resolve_device
from scd_core.tables.schema import SCHEMA_DIGEST, TABLES, empty_table
from scd_core.tables.store import AuditStore

PER_BATCH = 10_000
MASKED, LABELLED = 10, 25
"""One prediction in so many."""

# Pictures that are nowhere, and quickly known to be: what they cost does not grow.
# Each batch: events of three frames, 40 cameras, 60 individuals; at camera C07 ind03 is called ind11.
_FRAMES = """
    CREATE OR REPLACE TEMP TABLE frames AS
    WITH numbered AS (SELECT i, $batch * $n + i AS g, ($batch * $n + i) // 3 AS e FROM range($n) numbers(i)),
    drawn AS (
        SELECT *, hash(e * 8 + 1) % 40 AS camera, hash(e * 8 + 2) % 60 AS owner, hash(e * 8 + 3) % 1000 AS luck,
            hash(g * 8 + 4) % 1000 AS chance
        FROM numbered
    ),
    named AS (
        SELECT *, CASE WHEN camera = 7 AND owner = 3 AND luck < 700 THEN 11 WHEN luck < 40 THEN hash(e * 8 + 5) % 60
            ELSE owner END AS name
        FROM drawn
    )
    SELECT *, md5(g::VARCHAR) AS media_id, name <> owner AS is_wrong,
        greatest(0.05, least(0.999, 0.95 - (name <> owner)::INT * 0.35 - chance / 4000)) AS probability,
        i % $masked = 0 AS is_masked,
        TIMESTAMP '2026-01-01' + INTERVAL ($batch) HOUR + INTERVAL (i) SECOND AS captured_at
    FROM named
"""
_KEY = {"run_id": "$run", "batch_key": "$key", "model_digest": "'model-1'", "media_id": "media_id"}
_COLUMNS = {
    "media": _KEY
    | {
        "uri": "'memory://cards/' || printf('C%02d', camera) || '/' || media_id || '.jpg'",
        "file": "printf('C%02d', camera) || '/' || media_id || '.jpg'",
        "size_bytes": "2000000",
        "status": "'ok'",
        "camera_id": "printf('C%02d', camera)",
        "deployment_id": "printf('C%02d-d%d', camera, $batch // 100)",
        "event_id": "'e' || e",
        "captured_at": "captured_at",
        "is_infrared": "hour(captured_at) NOT BETWEEN 6 AND 17",
        "sharpness": "100 + chance / 10",
        "brightness": "0.4 + chance / 10000",
    },
    "predictions": _KEY
    | {
        "target_id": "media_id",
        "prediction_status": "'ok'",
        "predicted_id": "printf('ind%02d', name)",
        "probability": "probability",
        "margin": "probability - (1 - probability) / 2",
        "topk": "[{'individual_id': printf('ind%02d', name), 'probability': probability},"
        " {'individual_id': printf('ind%02d', (name + 1) % 60), 'probability': (1 - probability) / 2}]",
        "event_id": "'e' || e",
        "event_predicted_id": "printf('ind%02d', name)",
        "is_flagged": "is_masked",
        "flag_reasons": "CASE WHEN is_masked AND is_wrong THEN ['low_probability'] ELSE []::VARCHAR[] END",
        "is_control": "is_masked AND NOT is_wrong",
        "is_selected": "is_masked",
        "inclusion_probability": "CASE WHEN is_masked AND is_wrong THEN 1 ELSE 0.1 END",
    },
    "masks": _KEY
    | {
        "target_id": "media_id",
        "method": "'scd'",
        "mask_status": "'ok'",
        "predicted_id": "printf('ind%02d', name)",
        "mask_png": "encode(repeat(md5(media_id), 16))",
        "background_reliance": "CASE WHEN is_wrong AND camera = 7 THEN 0.8 ELSE chance / 2500 END",
        "background_log_odds_drop": "CASE WHEN is_wrong AND camera = 7 THEN 3 ELSE 0.1 END",
        "overlay_reliance": "0.01",
        "overlay_log_odds_drop": "0",
    },
    "reclassifications": _KEY
    | {
        "target_id": "media_id",
        "strategy": "strategy",
        "strategy_status": "'ok'",
        "predicted_id": "printf('ind%02d', CASE WHEN camera = 7 THEN owner ELSE name END)",
        "probability": "0.8",
        "is_flip": "is_wrong AND camera = 7",
    },
}


def write_audit(out: str, millions: float, first: int = 0) -> None:
    """Write an audit of so many million predictions, or the part of it that begins with a batch."""
    store = AuditStore(out)
    store.check_writable()
    n_batches = int(millions * 1_000_000 / PER_BATCH)
    with duckdb.connect() as connection:
        for batch in range(first, n_batches):
            key, day = f"batch{batch:05d}", date(2026, 1, 1) + timedelta(days=batch)
            values = {"batch": batch, "n": PER_BATCH, "masked": MASKED}
            connection.execute(_FRAMES, values)
            files = {table: f"{table}/batch_date={day}/{key}.parquet" for table in (*_COLUMNS, "runs")}
            for table, columns in _COLUMNS.items():
                source = "frames"
                if table in ("masks", "reclassifications"):
                    source = "(SELECT * FROM frames WHERE is_masked)"
                if table == "reclassifications":
                    source += ", (VALUES ('early_blur'), ('fused')) strategies(strategy)"
                _copy(connection, out, table, columns, source, files[table], batch, key)
            run = {
                "run_id": "$run",
                "batch_key": "$key",
                "model_digest": "'model-1'",
                "n_media": str(PER_BATCH),
                "source": "'memory://cards'",
                "finished_at": f"TIMESTAMPTZ '2026-01-02 00:00:00+00' + INTERVAL ({batch}) DAY",
            }
            _copy(connection, out, "runs", run, "(SELECT 1)", files["runs"], batch, key)
            content = {"model_digest": "model-1", "config_digest": "c", "batch_date": str(day), "files": files}
            content["schema_digest"] = SCHEMA_DIGEST  # as this version writes it
            store.put_file(f"commits/{key}.json", json.dumps({"batch_key": key} | content).encode())
            label = _KEY | {
                "import_id": "$key",
                "label_id": "media_id",
                "file": "printf('C%02d', camera) || '/' || media_id || '.jpg'",
                # A tenth was labelled before its pictures were seen and waits to be matched.
                "media_id": "CASE WHEN chance >= 100 THEN media_id END",
                "individual_id": "printf('ind%02d', owner)",
                "label_source": "'csv'",
                "labelled_by": "'person' || e % 3",
                "labelled_at": "TIMESTAMPTZ '2027-06-01 00:00:00+00'",
                "imported_at": "TIMESTAMPTZ '2027-06-02 00:00:00+00'",
            }
            label = {name: sql for name, sql in label.items() if name in TABLES["labels"]}
            source = f"(SELECT * FROM frames WHERE is_masked AND i % {LABELLED * 2} IN (0, 10))"
            _copy(connection, out, "labels", label, source, f"labels/import_date={day}/{key}.parquet", batch, key)


def _copy(
    connection: duckdb.DuckDBPyConnection,
    out: str,
    table: str,
    columns: dict[str, str],
    source: str,
    file: str,
    batch: int,
    key: str,
) -> None:
    path = Path(out) / file
    path.parent.mkdir(parents=True, exist_ok=True)
    selected = ", ".join(f'({columns.get(name, "NULL")})::{kind} AS "{name}"' for name, kind in _types(table))
    text = f"SELECT {selected} FROM {source}"
    for name, value in (("$run", f"'run-{key}'"), ("$key", f"'{key}'"), ("$batch", str(batch))):
        text = text.replace(name, value)
    connection.execute(f"COPY ({text}) TO '{path}' (FORMAT parquet, COMPRESSION zstd)")


@cache
def _types(table: str) -> tuple[tuple[str, str], ...]:
    with duckdb.connect() as connection:
        connection.register("nothing", empty_table(table))
        return tuple((name, kind) for name, kind, *_ in connection.execute("DESCRIBE nothing").fetchall())


def measure(millions: float, folder: str | None = None) -> dict[str, object]:
    """Write an audit, report on it in a child process, delete it."""
    with tempfile.TemporaryDirectory(prefix="report-scale-", dir=folder) as scratch:
        out = str(Path(scratch) / "out")
        started = time.perf_counter()
        write_audit(out, millions)
        written = time.perf_counter() - started
        size = sum(path.stat().st_size for path in Path(out).rglob("*") if path.is_file())
        found = _report(out, scratch)
        n_batches = int(millions * 1_000_000 / PER_BATCH)
        write_audit(out, millions + PER_BATCH / 1e6, n_batches)
        night = {f"{name}_night": value for name, value in _report(out, scratch).items() if name not in _SAME}
    return (
        {"millions": millions, "batches": n_batches, "disk_gb": size / 1e9, "seconds_writing": written} | found | night
    )


_SAME = ("errors", "slices", "found")
"""What is no cost."""


def _report(out: str, scratch: str) -> dict[str, object]:
    """What a report costs, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.scale.derive", out, str(Path(scratch) / "spill")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout.strip().splitlines()[-1])


def main() -> None:
    """Parse the command line, measure, print, write."""
    parser: argparse.ArgumentParser = options(__doc__.splitlines()[0])
    parser.add_argument("--millions", type=float, nargs="+", default=[1, 5], help="predictions; 20 needs 6 GB of disk")
    parser.add_argument("--folder", help="where the audit is written; the system's temporary folder otherwise")
    chosen = parser.parse_args()
    sizes = [0.1] if chosen.quick else chosen.millions
    report = Report("report_scale", resolve_device("cpu"))
    for millions in sizes:
        report.rows.append(measure(millions, chosen.folder))
    for row in report.rows:
        name = f"{row['millions']:g}m"
        report.summary |= {f"seconds_{name}": row["seconds"], f"peak_memory_gb_{name}": row["peak_gb"]}
        report.summary[f"cpu_seconds_{name}"] = row["cpu_seconds"]
        report.summary |= {
            f"{cost}_{name}": row[cost] for cost in ("seconds_night", "cpu_seconds_night", "peak_gb_night")
        }
    report.notes["seconds"] = (
        "wall time of errors, slices and page; cpu_seconds is without the waiting for other programs"
    )
    report.show(
        (
            "millions",
            "batches",
            "disk_gb",
            "seconds_writing",
            "errors",
            "seconds_derive",
            "seconds",
            "cpu_seconds",
            "peak_gb",
            "seconds_night",
            "cpu_seconds_night",
            "peak_gb_night",
        ),
        "size",
    )
    report.finish(chosen.json)


if __name__ == "__main__":
    main()
