"""The main job on real camera-trap photographs: every file accounted for, broken ones told, jaguars recovered."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest

from scd_core.audit import read_table
from tests.services.audits import audit

JAGUAR_NAMES = {"media": {"filename_pattern": r"(?P<camera_id>[A-Z]+ \d+)_(?P<captured_at>\d{8}_\d{4})"}}
FAST: dict[str, Any] = {"masks": {"steps": 3}, "triage": {"budget": 2}}
"""What is measured are the jaguars; the other folders only need a mask to be made."""


@pytest.fixture(scope="module")
def audited(photographs: Path, mobilenet: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """OUT of one audit per folder."""
    outs = {}
    for name in ("jaguar", "southwest", "speciesnet"):
        out = tmp_path_factory.mktemp("audits") / name
        more: dict[str, Any] = {"settings": FAST}
        if name == "jaguar":
            truth = out.with_suffix(".csv")
            files = sorted(path.name for path in (photographs / name).glob("*.jpg"))
            truth.write_text("file,individual_id\n" + "".join(f"{file},jaguar\n" for file in files))
            more = {"labels": str(truth), "settings": JAGUAR_NAMES | {"triage": {"control_rate": 1.0}}}
        audit(photographs / name, mobilenet, out, **more)
        outs[name] = str(out)
    return outs


@pytest.mark.parametrize("name", ["jaguar", "southwest", "speciesnet"])
def test_every_file_is_in_media_exactly_once(audited: dict[str, str], photographs: Path, name: str) -> None:
    media = read_table(audited[name], "media")
    files = sorted(path.name for path in (photographs / name).iterdir() if path.suffix != ".csv")
    assert sorted(media["file"]) == files
    assert media["media_id"].is_unique
    predictions = read_table(audited[name], "predictions")
    assert set(predictions["media_id"]) == set(media.loc[media["status"] == "ok", "media_id"])


def test_broken_files_are_quarantined_with_their_reason(audited: dict[str, str]) -> None:
    southwest = read_table(audited["southwest"], "media").set_index("file")
    assert southwest.loc["error_img.JPG", "status"] == "empty"
    assert southwest.loc["error_vid.mp4", "status"] in ("empty", "unsupported")
    speciesnet = read_table(audited["speciesnet"], "media").set_index("file")
    truncated = speciesnet.loc["african_elephants_truncated_file.jpg"]
    assert truncated["status"] == "corrupt"
    assert "truncated" in truncated["failure_reason"]
    assert speciesnet.loc["african_elephants_cmyk.jpg", "status"] == "ok"
    broken = pd.concat([southwest, speciesnet]).query("status not in ('ok', 'duplicate')")
    assert broken["failure_reason"].notna().all()
    assert broken["failure_stage"].notna().all()


def test_orientation_is_applied(audited: dict[str, str]) -> None:
    media = read_table(audited["speciesnet"], "media").set_index("file")
    upright, turned = media.loc["african_elephants.jpg"], media.loc["african_elephants_with_exif_orientation.jpg"]
    assert upright["width"] > upright["height"]
    assert turned["width"] > 0
    same = read_table(audited["speciesnet"], "predictions").set_index("media_id")["predicted_id"]
    assert same[upright["media_id"]] == same[turned["media_id"]]


def test_more_jaguars_are_right_after_re_classification_than_before(audited: dict[str, str]) -> None:
    names = read_table(audited["jaguar"], "reclassifications").pivot(
        index="target_id", columns="strategy", values="predicted_id"
    )
    before = read_table(audited["jaguar"], "predictions").set_index("target_id")["predicted_id"]
    right = {"before": int((before == "jaguar").sum())} | (names == "jaguar").sum().to_dict()
    assert len(before) == 10
    assert right["fused"] > right["before"], right
    assert right["mask_crop"] > right["before"], right


def test_labels_become_errors(audited: dict[str, str]) -> None:
    errors = read_table(audited["jaguar"], "errors")
    assert (errors["true_id"] == "jaguar").all()
    wrong = errors["predicted_id"] != "jaguar"
    assert (errors.loc[wrong, "error_type"] == "shift").all()
    assert (errors.loc[~wrong, "error_type"] == "correct").all()
    assert (wrong & (errors["suggested_id"] == "jaguar")).any()
    assert (errors["final_id"] == errors["predicted_id"]).all(), "ten labels certify nothing"
    assert not errors["is_recovered"].any()


def test_times_and_cameras_come_from_the_names(audited: dict[str, str]) -> None:
    media = read_table(audited["jaguar"], "media").set_index("file")
    row = media.loc["AREAS 28_20051017_1554.jpg"]
    assert (row["camera_id"], row["captured_at_source"]) == ("AREAS 28", "filename")
    assert row["captured_at"] == pd.Timestamp("2005-10-17 15:54")
    # A time is never invented: these have neither EXIF nor a telling name.
    others = read_table(audited["speciesnet"], "media")
    assert others.loc[others["captured_at_source"].isna(), "captured_at"].isna().all()


def test_a_plain_glob_reads_the_tables_without_us(audited: dict[str, str]) -> None:
    found = duckdb.sql(
        f"select count(*), count(distinct media_id), min(batch_date) "
        f"from read_parquet('{audited['jaguar']}/predictions/**/*.parquet', hive_partitioning=true)"
    ).fetchall()
    assert found[0][:2] == (10, 10)


def test_a_second_run_does_nothing(audited: dict[str, str], photographs: Path, mobilenet: Path) -> None:
    out = Path(audited["speciesnet"])
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.parquet")}
    result = audit(photographs / "speciesnet", mobilenet, out, settings=FAST)
    assert (result.batches, result.n_done) == ([], 11)
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*.parquet")} == before


def test_the_report_is_one_file(audited: dict[str, str]) -> None:
    page = (Path(audited["jaguar"]) / "report" / "index.html").read_text()
    assert "jaguar" in page
    assert "http://" not in page.replace("http://www.w3.org", "")
