"""`--expected`: individuals expected at places count as more probable there; a name stands with what it was searched among."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scd_core.audit import read_table
from scd_core.scenes import packaged_model

Call = Callable[..., Any]
CLEAN = str(packaged_model("clean"))
SETTINGS = "masks: {steps: 1}\ntriage: {control_rate: 0.1}\nreclassify: {strategies: [mask_crop]}\n"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "c.yaml"
    path.write_text(SETTINGS + "classify: {expected_weight: 6.0}\n")
    return path


def _named(out: Path) -> Any:
    media = read_table(str(out), "media")[["media_id", "file", "camera_id"]]
    rows = read_table(str(out), "predictions").merge(media, on="media_id")
    return rows[rows["prediction_status"] == "ok"].set_index("file").sort_index()


def test_a_false_list_moves_names_by_its_weight_and_each_is_flagged(
    card: Path, config: Path, tmp_path: Path, trapaudit: Call
) -> None:
    given = ("run", card / "images", "--model", CLEAN, "--config", config)
    done = trapaudit(*given, "--out", tmp_path / "plain")
    assert done.code == 0, done.err
    plain = _named(tmp_path / "plain")
    assert plain["is_expected"].isna().all() and plain["unweighted_id"].isna().all()
    assert plain["gallery_digest"].isna().all()

    camera = plain["camera_id"].mode()[0]
    seen = plain[(plain["camera_id"] == camera) & (plain["predicted_id"] != "unknown")]
    alone = next(name for name in sorted(set(plain["predicted_id"])) if name not in ("unknown", *seen["predicted_id"]))
    file = tmp_path / "e.csv"
    file.write_text(
        f"individual_id,camera_id,from,to\n{alone},{camera},,\n{alone},C99,,\nZoe,{camera},,\n{alone},,soon,\n"
    )
    done = trapaudit(*given, "--out", tmp_path / "out", "--expected", file)
    assert done.code == 0, done.err
    rows = _named(tmp_path / "out")
    here, there = rows[rows["camera_id"] == camera], rows[rows["camera_id"] != camera]
    assert there["predicted_id"].equals(plain.loc[there.index, "predicted_id"]) and there["is_expected"].isna().all()
    known = here[here["predicted_id"] != "unknown"]
    assert len(known) and not known["is_expected"].any()
    assert all("not_expected" in reasons for reasons in known["flag_reasons"])
    moved = known[known["unweighted_id"].notna()]
    assert (moved["predicted_id"] == alone).all()
    assert moved["unweighted_id"].equals(plain.loc[moved.index, "predicted_id"].rename("unweighted_id"))
    stayed = known.index.difference(moved.index)
    assert known.loc[stayed, "predicted_id"].equals(plain.loc[stayed, "predicted_id"])
    assert len(stayed), "a weight of 6 is no filter"

    run = read_table(str(tmp_path / "out"), "runs").iloc[0]
    names = dict(run["individuals_by_hash"])
    assert list(names[known["individuals_available"].iloc[0]]) == [alone]
    assert set(names[there["individuals_available"].iloc[0]]) == set(run["individuals"])
    (counts,) = [one for one in json.loads(run["inputs"]) if one["kind"] == "expected"]
    assert (counts["rows"], counts["joined"], counts["waiting"], counts["unusable"]) == (4, 1, 1, 2)
    assert "expected e.csv: 4 rows, 1 joined, 1 waiting, 2 not usable" in done.err

    assert "nothing to do" in trapaudit(*given, "--out", tmp_path / "out", "--expected", file).err
    file.write_text(f"individual_id\n{alone}\n")
    assert "nothing to do" not in trapaudit(*given, "--out", tmp_path / "out", "--expected", file).err
    page = (tmp_path / "out" / "report" / "index.html").read_text()
    assert "not_expected" not in page


def test_names_of_another_tool_are_flagged_and_never_moved(card: Path, tmp_path: Path, trapaudit: Call) -> None:
    (tmp_path / "names.csv").write_text(
        "file,individual_id\n"
        + "".join(
            f"{path.relative_to(card / 'images')},{'Ada' if number % 2 else 'Bo'}\n"
            for number, path in enumerate(sorted((card / "images").rglob("IMG*")))
        )
    )
    (tmp_path / "e.csv").write_text("individual\nAda\n")
    done = trapaudit(
        "run", card / "images", "--predictions", tmp_path / "names.csv", "--predictions-column", "individual_id",
        "--out", tmp_path / "out", "--expected", tmp_path / "e.csv",
    )  # fmt: skip
    assert done.code == 0, done.err
    rows = _named(tmp_path / "out")
    assert (rows["is_expected"] == (rows["predicted_id"] == "Ada")).all() and rows["is_expected"].nunique() == 2
    flagged = rows["flag_reasons"].map(lambda reasons: "not_expected" in reasons)
    assert (flagged == (rows["predicted_id"] == "Bo")).all() and rows["unweighted_id"].isna().all()


@pytest.mark.parametrize(
    ("command", "text", "words"),
    [
        ("run", "individual_id\nZoe\n", "'Zoe' is no name of the model"),
        ("nightly", "file\na\n", "no column individual_id"),
    ],
)
def test_a_list_that_cannot_be_used_ends_the_run_in_one_line(
    command: str, text: str, words: str, card: Path, tmp_path: Path, trapaudit: Call
) -> None:
    (tmp_path / "e.csv").write_text(text)
    done = trapaudit(
        command, card / "images", "--model", CLEAN, "--out", tmp_path / "out", "--expected", tmp_path / "e.csv"
    )
    assert done.code == 2 and words in done.err and len(done.err.strip().splitlines()) == 1
    assert not (tmp_path / "out" / "commits").exists()
