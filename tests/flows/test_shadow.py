"""`nightly --shadow`: a second model names beside the first; only `compare` sees it, and its failures fail no night."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scd_core.audit import read_table
from scd_core.audit.query.connection import open_tables
from scd_core.identify.package import read_package
from scd_core.scenes import packaged_model
from scd_core.tables.schema import TABLES
from tests.forget.traces import traces

Call = Callable[..., Any]
CLEAN, SHORTCUT = str(packaged_model("clean")), str(packaged_model("shortcut"))


@pytest.fixture
def source(card: Path, tmp_path: Path) -> Path:
    """The card's pictures, uploaded long ago."""
    shutil.copytree(card / "images", tmp_path / "images")
    before = time.time() - 86_400
    for path in (tmp_path / "images").rglob("*"):
        os.utime(path, (before, before))
    return tmp_path / "images"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "c.yaml"
    path.write_text("masks: {steps: 1}\ntriage: {control_rate: 0.2}\nreclassify: {strategies: [mask_crop]}\n")
    return path


def test_a_shadow_leaves_the_tables_as_they_are_and_can_be_compared(
    card: Path, source: Path, config: Path, tmp_path: Path, trapaudit: Call
) -> None:
    out, alone = tmp_path / "a", tmp_path / "b"
    given = ("nightly", source, "--model", CLEAN, "--config", config)
    done = trapaudit(*given, "--out", out, "--shadow", SHORTCUT)
    assert done.code == 0 and "shadow shortcut: 1 batch named" in done.err, done.err
    assert trapaudit(*given, "--out", alone).code == 0
    for table in set(TABLES) - {"runs"}:
        one, other = (read_table(str(folder), table) for folder in (out, alone))
        keep = [name for name in one.columns if name not in ("run_id", "report_id", "batch_date", "report_date")]
        assert one[keep].equals(other[keep]), table
    assert not read_table(str(out), "runs")["is_shadow"].any()

    with open_tables(str(out), with_shadows=True) as connection:
        rows = connection.execute(
            "SELECT model_digest, count(*) FILTER (is_selected), count(*) FROM predictions GROUP BY ALL"
        ).fetchall()
        of_shadow = {digest: (masked, n) for digest, masked, n in rows}[read_package(SHORTCUT).digest]
        assert of_shadow[0] == 0 and of_shadow[1] > 0, "no masks"
        assert connection.execute("SELECT count(*) FROM runs WHERE is_shadow").fetchall() == [(1,)]

    again = trapaudit(*given, "--out", out, "--shadow", SHORTCUT)
    assert again.code == 0 and "nothing to do" in again.err and "shadow shortcut: 0 batches named" in again.err
    assert trapaudit("labels", "import", out, card / "labels.csv").code == 0
    compared = trapaudit("compare", out, "clean", "shortcut")
    assert compared.code in (0, 3, 4) and "visits named by both" in compared.out, compared.err
    only = trapaudit("compare", out, "clean", "shortcut", "--out", tmp_path / "l.json")
    assert only.code == compared.code


def test_what_is_forgotten_is_forgotten_by_the_shadow_too(
    source: Path, config: Path, tmp_path: Path, trapaudit: Call
) -> None:
    out = tmp_path / "a"
    given = ("nightly", source, "--model", CLEAN, "--config", config, "--out", out, "--shadow", SHORTCUT)
    assert trapaudit(*given).code == 0
    row = read_table(str(out), "media").iloc[0]
    assert len(traces(out, row["media_id"])) > 4
    assert trapaudit("forget", out, "--media", row["media_id"]).code == 0
    assert not traces(out, row["media_id"])


@pytest.mark.parametrize("kind", ["missing", "the model in use", "damaged"])
def test_a_shadow_that_fails_fails_no_night(
    kind: str, source: Path, config: Path, tmp_path: Path, trapaudit: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    shadow = {"missing": tmp_path / "nowhere", "the model in use": CLEAN, "damaged": SHORTCUT}[kind]
    if kind == "damaged":
        from tasks import classify

        load = classify.CLASSIFY.function

        def fails(media: Any, shard: Any, boxes: Any) -> Any:
            if shard.model == SHORTCUT:
                raise OSError("the disk is full")
            return load(media, shard, boxes)

        monkeypatch.setattr(classify, "CLASSIFY", classify.CLASSIFY.__class__(fails, "classify"))
    out = tmp_path / "a"
    done = trapaudit("nightly", source, "--model", CLEAN, "--config", config, "--out", out, "--shadow", shadow)
    assert done.code == 0, done.err
    said = {"missing": "no model.json there", "the model in use": "is the model in use", "damaged": "1 failed (OSError"}
    assert said[kind] in done.err and "the audit of the model in use stands" in done.err
    assert (out / "report" / "index.html").exists() and len(read_table(str(out), "runs")) == 1
