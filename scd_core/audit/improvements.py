"""What `trapaudit improve` expected of a better model, kept in OUT, so that cards can name it and later reports can check it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from scd_core.audit.wording import percent
from scd_core.tables.store import AuditStore

__all__ = [
    "IMPROVEMENTS",
    "ImprovementRecord",
    "create_improvements",
    "learnt_until",
    "read_improvements",
    "records_of",
    "with_improvements",
    "write_improvements",
]

IMPROVEMENTS = "improvements"


@dataclass(frozen=True)
class ImprovementRecord:
    """What one run of `trapaudit improve` expects of the way that it recommends, at one camera or in all new places."""

    improvement_id: str
    """Of the run; ids sort by time."""
    made_at: datetime
    model_digest: str
    """Of the model that was tried."""
    new_model_digest: str | None
    """Of the package that was written; None where none was."""
    way: str | None
    """The recommended way; None where nothing was better."""
    camera_id: str | None
    """None for all new places together."""
    n_visits: int
    """Visits that it stands on."""
    model_rate: float
    """Share of them that the tried model names rightly, 0-1."""
    expected_rate: float
    expected_low: float
    expected_high: float
    expected_gain: float
    gain_low: float
    gain_high: float
    written_digest: str | None = field(default=None, kw_only=True)
    """Of the package that was written, recommended or not: it learnt from the labels of that moment."""

    @property
    def packages(self) -> tuple[str, ...]:
        """Digests of the package that the run wrote; none where it wrote none."""
        return tuple(one for one in (self.new_model_digest, self.written_digest) if one is not None)


def write_improvements(out: str, records: Sequence[ImprovementRecord]) -> None:
    """Keep the records of one run of `improve`, as a file that is never replaced.

    Args:
        out: OUT.
        records: of one run, at least one.

    Raises:
        RunError: OUT cannot be written.
    """
    rows = [asdict(one) | {"made_at": one.made_at.isoformat()} for one in records]
    content = (json.dumps(rows, indent=1) + "\n").encode()
    AuditStore(out).create_file(f"{IMPROVEMENTS}/{records[0].improvement_id}.json", content)


def read_improvements(store: AuditStore) -> list[ImprovementRecord]:
    """The records of all runs of `improve`, in the order of time; none where there was no run.

    Raises:
        RunError: OUT cannot be read, or a file of them is damaged.
    """
    found = (store.get_json(path, records_of) for path in store.files(IMPROVEMENTS))
    return [record for records in found for record in records or ()]


def learnt_until(records: Sequence[ImprovementRecord], digest: str) -> datetime | None:
    """Until when labels were given that a model may have learnt from; None where no run of `improve` wrote it."""
    return max((one.made_at for one in records if digest in one.packages), default=None)


def records_of(rows: list[dict[str, Any]]) -> list[ImprovementRecord]:
    """The records of one run of `improve`, from the content of its file; fails where that is damaged."""
    return [ImprovementRecord(**row | {"made_at": datetime.fromisoformat(row["made_at"])}) for row in rows]


def create_improvements(connection: duckdb.DuckDBPyConnection, records: Sequence[ImprovementRecord]) -> None:
    """Make the table ``improvement_records``, which the ready view ``improvements`` reads."""
    rows = pa.Table.from_pylist([asdict(one) for one in records], schema=_SCHEMA)
    connection.register("given_improvements", rows)
    connection.execute("CREATE OR REPLACE TABLE improvement_records AS FROM given_improvements")
    connection.unregister("given_improvements")


def with_improvements(
    slices: pa.Table, errors: pa.Table, records: Sequence[ImprovementRecord], in_use: str | None
) -> pa.Table:
    """Rows of ``error_slices`` whose advice names the better model that the newest run of `improve` found for their camera.

    Only of a run that tried the model whose names the slices are of, and only where its gain at this camera is beyond chance.
    Where a package that was made of that model is in use, its errors are answered: nothing is named, though most pictures may
    still have the names that it gave.

    Args:
        slices: rows of ``error_slices``.
        errors: rows of ``errors``, of the same report.
        records: all records of OUT.
        in_use: digest of the model of the newest run; None where there is none.
    """
    newest = [one for one in records if one.improvement_id == records[-1].improvement_id]
    current = errors.filter(pc.fill_null(errors["is_current"], False))["model_digest"].to_pylist()
    models = [model for model, _ in Counter(current).most_common(1)]
    answered = {one.model_digest for one in records if in_use is not None and in_use in one.packages}
    known = {
        one.camera_id: one
        for one in newest
        if one.way and one.camera_id and one.gain_low > 0 and one.model_digest in models
    }
    if not known or not answered.isdisjoint(models):
        return slices
    advice = [
        _with_advice(text, known.get(dict(keys or ()).get("camera_id", "")))
        for text, keys in zip(slices["what_to_do"].to_pylist(), slices["slice"].to_pylist(), strict=True)
    ]
    place = slices.schema.get_field_index("what_to_do")
    return slices.set_column(place, slices.schema.field(place), pa.array(advice, pa.string()))


def _with_advice(text: str | None, record: ImprovementRecord | None) -> str | None:
    """Advice, and after it what a better model is expected to do.

    >>> figures = (24, 1 / 3, 0.88, 0.79, 0.94, 0.5, 0.3, 0.7)
    >>> record = ImprovementRecord("i", datetime(2026, 3, 1), "m", None, "logistic:box_crop", "C05", *figures)
    >>> (_with_advice("Label more.", record) or "").replace("\\u202f", "_")
    'Label more. Or a better model: logistic:box_crop is expected to be right in 88_% (79_% to 94_%) of visits of individuals \
new to camera C05 instead of 33_%, by 24 visits: `trapaudit improve OUT --model MODEL --write NEW`'
    """
    if text is None or record is None:
        return text
    between = f"{percent(record.expected_low)} to {percent(record.expected_high)}"
    return (
        f"{text} Or a better model: {record.way} is expected to be right in {percent(record.expected_rate)} ({between}) of "
        f"visits of individuals new to camera {record.camera_id} instead of {percent(record.model_rate)}, by {record.n_visits} "
        "visits: `trapaudit improve OUT --model MODEL --write NEW`"
    )


_SCHEMA = pa.schema(
    [
        ("improvement_id", pa.string()),
        ("made_at", pa.timestamp("us", tz="UTC")),
        ("model_digest", pa.string()),
        ("new_model_digest", pa.string()),
        ("way", pa.string()),
        ("camera_id", pa.string()),
        ("n_visits", pa.int64()),
        *((name, pa.float64()) for name in ("model_rate", "expected_rate", "expected_low", "expected_high")),
        *((name, pa.float64()) for name in ("expected_gain", "gain_low", "gain_high")),
        ("written_digest", pa.string()),
    ]
)
