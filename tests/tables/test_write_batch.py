"""A finished batch of another program: checked, written and committed, or refused with a line that says what is wrong."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pyarrow as pa
import pytest

from scd_core.audit.report.refresh import refresh_report_tables
from scd_core.errors import RunError
from scd_core.names import MediaStatus, PredictionStatus
from scd_core.tables import write_batch
from scd_core.tables.done import done_media
from scd_core.tables.rows import RunRow
from scd_core.tables.schema import SCHEMA_VERSION
from scd_core.tables.store import AuditStore

DAY = date(2026, 5, 30)
NOON = datetime(2026, 5, 30, 12, tzinfo=UTC)
RUN: RunRow = {"run_id": "r1", "model_digest": "m1", "config_digest": "c1", "source": "s3://cards", "started_at": NOON}


def media(*names: str, **more: object) -> pa.Table:
    """Rows with the columns that are never null, and no others."""
    rows = [
        {
            "media_id": name, "uri": f"s3://cards/{name}.jpg", "file": f"{name}.jpg", "etag": "e", "size_bytes": 1,
            "last_modified_at": NOON, "status": str(MediaStatus.OK), **more,
        }
        for name in names
    ]  # fmt: skip
    return pa.Table.from_pylist(rows)


def predictions(*names: str, **more: object) -> pa.Table:
    rows = [
        {
            "target_id": name, "media_id": name, "prediction_status": str(PredictionStatus.OK), "predicted_id": "Ada",
            "probability": 0.9, "is_flagged": False,
            "is_control": False, "is_selected": False, **more,
        }
        for name in names
    ]  # fmt: skip
    return pa.Table.from_pylist(rows)


def embeddings(*names):
    key = ("target_id", "media_id")
    return pa.Table.from_pylist([dict.fromkeys(key, n) | {"embedding_space": "s", "features": [1.0]} for n in names])


def test_a_batch_without_pictures_is_an_audit(tmp_path):
    out = str(tmp_path / "out")
    tables = {"media": media("a", "b"), "predictions": predictions("a", "b")}
    commit = write_batch(out, tables, DAY, "k1", RUN)
    assert commit["is_ours"] and commit["counts"]["n_predictions"] == 2
    assert commit["schema_version"] == SCHEMA_VERSION
    store = AuditStore(out)
    assert done_media(store, "m1", "c1").ids.has(["a", "b"]).all()
    assert {row["run_id"] for row in store.read("predictions").to_pylist()} == {"r1"}
    assert store.read("runs")["n_media"].to_pylist() == [2]
    errors, _, _ = refresh_report_tables(out)
    assert len(errors) == 0


def test_the_batch_of_another_run_stands(tmp_path):
    out = str(tmp_path / "out")
    first = {"media": media("a"), "predictions": predictions("a")}
    write_batch(out, first, DAY, "k1", RUN)
    second = {"media": media("b"), "predictions": predictions("b")}
    commit = write_batch(out, second, DAY, "k1", RUN | {"run_id": "r2"})  # type: ignore[arg-type]
    assert not commit["is_ours"] and commit["run_id"] == "r1"
    assert AuditStore(out).read("media")["media_id"].to_pylist() == ["a"]


@pytest.mark.parametrize(
    ("tables", "error", "message"),
    [
        ({"media": media("a", "a"), "predictions": predictions("a")}, RunError, "1 media are there twice, first a"),
        (
            {"media": media("a", "b"), "predictions": predictions("a")},
            RunError,
            "1 usable images have no prediction row",
        ),
        ({"media": media("a"), "predictions": predictions("a", "z")}, RunError, "1 media that are not in it, first z"),
        (
            {"media": media("a"), "predictions": predictions("a"), "embeddings": embeddings("z")},
            RunError,
            "embeddings of 1 targets without a prediction, first z",
        ),
        (
            {"media": media("a"), "predictions": predictions("a", is_selected=True)},
            RunError,
            "1 predictions selected, 0 mask rows",
        ),
        ({"media": media("a", status="fine")}, ValueError, "column status: 'fine' is none of corrupt"),
        ({"media": media("a", colour="red")}, ValueError, "table media has no column colour"),
        ({"media": media("a").drop_columns(["uri"])}, ValueError, "table media: column uri must not be null"),
        ({"errors": media("a")}, ValueError, "table errors: not one of a batch"),
    ],
)
def test_what_does_not_fit_together_is_refused_before_anything_is_written(tmp_path, tables, error, message):
    with pytest.raises(error, match=message):
        write_batch(str(tmp_path / "out"), tables, DAY, "k1", RUN)
    assert not list(tmp_path.rglob("*")), "not even begun"
