"""Confusions of earlier reports reach triage, and stay what they were while a batch is unfinished."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from scd_core.audit.slices import confusions
from scd_core.config import AuditConfig
from scd_core.job import Shard
from tasks import triage as task


def test_no_report_is_no_confusion(tmp_path: Path) -> None:
    assert confusions.known_confusions(str(tmp_path / "out")) == []


def _slices(
    *rows: tuple[dict[str, str], bool],
    masked: int | None = None,
    recovered: int | None = None,
    cause: str = "confusable_pair",
) -> pd.DataFrame:
    return pd.DataFrame({
        "slice": [keys for keys, _ in rows], "is_systematic": [sure for _, sure in rows],
        "cause": [cause] * len(rows), "n_masked_errors": [masked] * len(rows), "n_recovered_errors": [recovered] * len(rows),
    })  # fmt: skip


@pytest.mark.parametrize(
    ("masked", "recovered", "expected"),
    [(10, 0, [("Nyx", "Luna")]), (9, 0, []), (10, 1, []), (None, None, [])],
)
def test_a_pair_that_ten_masks_never_changed_is_known(
    monkeypatch: pytest.MonkeyPatch, masked: int | None, recovered: int | None, expected: list[tuple[str, str]]
) -> None:
    found = _slices(({"pair": "Nyx -> Luna"}, True), masked=masked, recovered=recovered)
    monkeypatch.setattr(confusions, "read_table", lambda out, table, columns: found)
    assert confusions.unchanged_confusions("out") == expected
    assert confusions.known_confusions("out") == [("Nyx", "Luna")]
    found["cause"] = "background"  # of a place that names are read off, the next mask still explains an error
    assert confusions.unchanged_confusions("out") == []


def test_systematic_pairs_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    found = _slices(
        ({"pair": "Nyx -> Luna", "camera_id": "C1"}, True), ({"pair": "Nyx -> Luna"}, True),
        ({"pair": "Orion -> Luna"}, False), ({"camera_id": "C1"}, True),
    )  # fmt: skip
    monkeypatch.setattr(confusions, "read_table", lambda out, table, columns: found)
    assert confusions.known_confusions("out") == [("Nyx", "Luna")]


def test_a_later_report_does_not_change_a_batch_in_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shard = Shard("s", "m", "digest", str(tmp_path / "out"), "key", AuditConfig())
    monkeypatch.setattr(task, "known_confusions", lambda out: [("Nyx", "Luna")])
    assert task.confusions_of(shard) == [("Nyx", "Luna")]
    monkeypatch.setattr(task, "known_confusions", lambda out: [("Orion", "Luna")])
    assert task.confusions_of(shard) == [("Nyx", "Luna")]
    other = Shard("s", "m", "digest", str(tmp_path / "out"), "other", AuditConfig())
    assert task.confusions_of(other) == [("Orion", "Luna")]
