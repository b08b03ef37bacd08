"""`trapaudit run --predictions`: an audit of names that another tool gave, without a model and without torch."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scd_core.audit import connect, read_table
from scd_core.identify.package import read_package
from scd_core.scenes import packaged_model

Call = Callable[..., Any]
ROOT = Path(__file__).resolve().parents[2]
WITHOUT_TORCH = """
import sys
class Refuses:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "torchvision", "timm"):
            raise ModuleNotFoundError(name, name=name)
sys.meta_path.insert(0, Refuses())
sys.path.insert(0, sys.argv.pop(1))
from deployments.cli.main import main
main()
"""


def truth_of(card: Path) -> dict[str, str]:
    with (card / "labels.csv").open() as file:
        return {row["file"]: row["individual_id"] for row in csv.DictReader(file)}


def table(path: Path, rows: list[tuple[str, str, str]]) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("file", "individual_id", "probability"), *rows])
    return path


@pytest.fixture
def names(card: Path, tmp_path: Path) -> Path:
    """Right names of all pictures but the last, one wrong, and one of a picture that does not exist."""
    truth = truth_of(card)
    files = list(truth)
    wrong = next(name for name in truth.values() if name != truth[files[0]])
    rows = [
        (files[0], wrong, "0.9"),
        *((file, truth[file], "0.8") for file in files[1:-1]),
        ("no/where.jpg", wrong, "1"),
    ]
    return table(tmp_path / "names.csv", rows)


def test_an_audit_without_a_model_needs_no_torch(card: Path, names: Path, tmp_path: Path) -> None:
    out = tmp_path / "audit"
    command = [
        sys.executable, "-c", WITHOUT_TORCH, ROOT, "run", card / "images", "--predictions", names, "--labels",
        card / "labels.csv", "--out", out, "--runner", "threads",
    ]  # fmt: skip
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    n = len(truth_of(card))
    assert (
        f"predictions names.csv: {n} entries, {n - 1} joined, 1 waiting ('no/where.jpg' fits no picture)" in done.stderr
    )
    assert f"1 of {n} pictures has no entry in the predictions" in done.stderr
    predictions, masks = read_table(str(out), "predictions"), read_table(str(out), "masks")
    without = predictions[predictions["prediction_status"] != "ok"]
    assert list(without["prediction_status"]) == ["not_named"]
    assert list(without["failure_reason"]) == ["the predictions have no entry for this picture"]
    assert set(masks["mask_status"]) == {"not_available"} and all("--model" in why for why in masks["failure_reason"])
    assert set(read_table(str(out), "reclassifications")["strategy_status"]) == {"not_available"}
    (run,) = read_table(str(out), "runs").to_dict("records")
    assert (run["n_not_available"], run["n_masks"], run["n_failed"]) == (len(masks), 0, 0)
    assert run["model_name"] == "table of names (names.csv)" and run["device"] == "none"
    errors = read_table(str(out), "errors")
    assert int((errors["error_type"] != "correct").sum()) == 1 and len(errors) == n - 1
    page = (out / "report" / "index.html").read_text()
    assert "not available: the names are of a file of predictions" in page and "table of names (names.csv)" in page


def test_the_same_file_again_is_nothing_to_do(card: Path, names: Path, tmp_path: Path, trapaudit: Call) -> None:
    given = ("run", card / "images", "--predictions", names, "--out", tmp_path / "audit")
    assert trapaudit(*given).code == 0
    assert "nothing to do" in trapaudit(*given).err
    names.write_text(names.read_text().replace("0.9", "0.7"))
    again = trapaudit(*given)
    assert again.code == 0 and "nothing to do" not in again.err
    assert read_table(str(tmp_path / "audit"), "runs")["model_digest"].nunique() == 2


def test_a_name_given_to_a_copy_counts(card: Path, tmp_path: Path, trapaudit: Call) -> None:
    """Copies that sort behind their originals: one alone is named, one is named otherwise, one as its original."""
    truth = truth_of(card)
    source = tmp_path / "images"
    shutil.copytree(card / "images", source)
    first, second, third, *others = truth
    for place, file in enumerate((first, second, third)):
        shutil.copy(source / file, source / f"zz{place}.jpg")
    rows = [("zz0.jpg", "Luna", "0.3"), (second, "Luna", "0.9"), ("zz1.jpg", "Tara", "0.9")]
    rows += [(file, "Luna", "0.9") for file in (third, "zz2.jpg", *others)]
    flags = tmp_path / "flags.csv"
    flags.write_text("file,reason\nzz2.jpg,odd\n")
    names = table(tmp_path / "n.csv", rows)
    done = trapaudit("run", source, "--predictions", names, "--flags", flags, "--out", tmp_path / "a")
    assert done.code == 0, done.err
    assert "predictions: 1 picture has copies with other names; `failure_reason` has them" in done.err
    out = str(tmp_path / "a")
    files = read_table(out, "media").set_index("media_id")["file"]
    found = read_table(out, "predictions").assign(file=lambda table: table["media_id"].map(files)).set_index("file")
    assert len(found) == len(truth)
    assert (found.loc[first, "predicted_id"], found.loc[first, "prediction_status"]) == ("Luna", "ok")
    assert found.loc[second, "prediction_status"] == "failed"
    reason = f"copies of one picture are named differently: {second} 'Luna', zz1.jpg 'Tara'"
    assert reason in found.loc[second, "failure_reason"]
    assert found.loc[third, "predicted_id"] == "Luna" and "human_flag" in found.loc[third, "flag_reasons"]


def test_a_file_of_new_pictures_leaves_the_older_ones_as_they_are(card: Path, tmp_path: Path, trapaudit: Call) -> None:
    """A tool that writes a file for each upload: what the second file lacks was named from the first."""
    source, out = tmp_path / "images", tmp_path / "a"
    shutil.copytree(card / "images", source)
    files = list(truth_of(card))
    first = table(tmp_path / "1.csv", [(file, "Luna", "0.9") for file in files[:-2]])
    done = trapaudit("run", source, "--predictions", first, "--out", out)
    assert done.code == 0 and "2 of" in done.err, done.err
    second = table(tmp_path / "2.csv", [(file, "Tara", "0.9") for file in files[-2:]])
    done = trapaudit("run", source, "--predictions", second, "--out", out)
    assert done.code == 0, done.err
    assert f"{len(files) - 2} pictures without an entry were audited before and kept" in done.err
    with connect(str(out)) as connection:
        named = connection.execute(
            "SELECT predicted_id, count(*) FROM predictions WHERE prediction_status = 'ok' GROUP BY 1"
        )
        assert dict(named.fetchall()) == {"Luna": len(files) - 2, "Tara": 2}
        ((unnamed,),) = connection.execute(
            "SELECT count(*) FROM predictions WHERE prediction_status = 'not_named'"
        ).fetchall()
    assert unnamed == 2, "those that the first file lacked, in its own run alone"


def test_names_without_probabilities_are_not_called_unsure(card: Path, tmp_path: Path, trapaudit: Call) -> None:
    truth = truth_of(card)
    names = table(tmp_path / "n.csv", [(file, name, "") for file, name in truth.items()])
    done = trapaudit("run", card / "images", "--predictions", names, "--out", tmp_path / "audit")
    assert done.code == 0, done.err
    rows = read_table(str(tmp_path / "audit"), "predictions")
    assert rows["probability"].isna().all() and rows["margin"].isna().all()
    flags = {reason for reasons in rows["flag_reasons"] for reason in reasons}
    assert not flags & {"low_probability", "small_margin", "event_disagreement"}
    assert trapaudit("show", tmp_path / "audit", next(iter(truth))).code == 0
    for form in ("megadetector", "camtrap-dp", "label-studio", "timelapse", "tables"):
        exported = trapaudit("export", tmp_path / "audit", tmp_path / form, "--format", form)
        assert exported.code == 0 or (form == "tables" and "not" in exported.err), exported.err


def test_boxes_of_the_file_name_each_animal_and_hide_persons(card: Path, tmp_path: Path, trapaudit: Call) -> None:
    truth = truth_of(card)
    content = json.loads((card / "detections.json").read_text())
    classes = {name: str(place) for place, name in enumerate(sorted(set(truth.values())))}
    content["classification_categories"] = {place: name for name, place in classes.items()}
    content["info"]["classifier"] = "jaguars 2"
    for image in content["images"]:
        for one in image["detections"]:
            one["classifications"] = [[classes[truth[image["file"]]], 0.9]]
    first = content["images"][0]
    first["detections"].append({"category": "2", "conf": 0.95, "bbox": [0.5, 0.1, 0.2, 0.2]})
    content["images"][1]["detections"] = []
    path = tmp_path / "md.json"
    path.write_text(json.dumps(content))
    done = trapaudit(
        "run", card / "images", "--predictions", path, "--labels", card / "labels.csv", "--out", tmp_path / "a"
    )
    assert done.code == 0, done.err
    rows = read_table(str(tmp_path / "a"), "predictions").set_index("media_id")
    media = read_table(str(tmp_path / "a"), "media").set_index("file")
    boxed = rows.loc[media.loc[first["file"], "media_id"]]
    assert boxed["detection_id"] == "0" and boxed["predicted_id"] == truth[first["file"]]
    assert [round(float(box["x_min"]), 3) for box in boxed["hidden_boxes"]] == [0.5]
    empty = rows.loc[media.loc[content["images"][1]["file"], "media_id"]]
    assert empty["prediction_status"] == "no_animal"
    assert list(read_table(str(tmp_path / "a"), "runs")["model_name"]) == ["jaguars 2 (md.json)"]


def test_with_a_model_masks_explain_the_given_name(card: Path, tmp_path: Path, trapaudit: Call) -> None:
    truth = truth_of(card)
    files = list(truth)
    known = truth[files[0]]
    rows = [(files[0], known, "0.3"), (files[1], "somebody else", "0.3"), *((f, truth[f], "0.99") for f in files[2:])]
    names = table(tmp_path / "n.csv", rows)
    config = tmp_path / "c.yaml"
    config.write_text("masks: {steps: 1}\ntriage: {control_rate: 0.0}\nreclassify: {strategies: [mask_crop]}\n")
    done = trapaudit(
        "run", card / "images", "--predictions", names, "--model", packaged_model("clean"), "--config", config,
        "--out", tmp_path / "a",
    )  # fmt: skip
    assert done.code == 0, done.err
    out = str(tmp_path / "a")
    named = read_table(out, "predictions").set_index("target_id")["predicted_id"]
    masks = read_table(out, "masks").set_index("target_id")
    assert {named[target]: row["mask_status"] for target, row in masks.iterrows()}[known] == "ok"
    of_known = masks[[named[target] == known for target in masks.index]]
    assert set(of_known["predicted_id"]) == {known}
    foreign = masks[[named[target] == "somebody else" for target in masks.index]]
    assert set(foreign["mask_status"]) == {"not_available"}
    assert "no class 'somebody else'" in foreign["failure_reason"].iloc[0]
    assert (named == "somebody else").sum() == 1


def test_a_given_name_that_the_model_does_not_share_is_explained_and_kept(
    card: Path, tmp_path: Path, trapaudit: Call
) -> None:
    """Every picture has a wrong name of the model's own: its mask is of that name, and the model's is no effect of the mask."""
    truth = truth_of(card)
    known = sorted(set(truth.values()) & set(read_package(str(packaged_model("clean"))).spec.labels))
    wrong = {
        true: known[(known.index(true) + 1) % len(known)] if true in known else known[0] for true in truth.values()
    }
    config = tmp_path / "c.yaml"
    config.write_text("masks: {steps: 10}\ntriage: {control_rate: 0.0, budget: 4}\n")
    masks = {}
    for kind in ("wrong", "right"):
        rows = [(file, wrong[true] if kind == "wrong" else true, "0.3") for file, true in truth.items()]
        names, out = table(tmp_path / f"{kind}.csv", rows), tmp_path / kind
        done = trapaudit(
            "run", card / "images", "--predictions", names, "--model", packaged_model("clean"), "--config", config,
            "--out", out,
        )  # fmt: skip
        assert done.code == 0, done.err
        masks[kind] = read_table(str(out), "masks").query("mask_status == 'ok'").set_index("target_id")
    named = read_table(str(tmp_path / "wrong"), "predictions").set_index("target_id")["predicted_id"]
    of_wrong, of_right = masks["wrong"], masks["right"]
    assert len(of_wrong) and (of_wrong["predicted_id"] == named.loc[of_wrong.index]).all()
    both = of_wrong.index.intersection(of_right.index)
    assert len(both) and all(of_wrong.loc[one, "mask_png"] != of_right.loc[one, "mask_png"] for one in both)
    # The model is good: what the masks of right names leave of the picture is that individual far more than a wrong one's.
    assert of_right.loc[both, "ssr_probability"].mean() > of_wrong.loc[both, "ssr_probability"].mean()
    decided = read_table(str(tmp_path / "wrong"), "reclassifications")
    fused = decided.query("strategy == 'fused'").set_index("target_id")
    kept = fused[fused["reason"].str.contains("the model calls the whole picture")]
    assert len(kept) and not kept["is_flip"].any()
    assert (kept["predicted_id"] == named.loc[kept.index]).all()
    assert not decided[decided["target_id"].isin(kept.index)]["is_flip"].any()
    doubts = read_table(str(tmp_path / "wrong"), "errors").set_index("target_id")["suspicion_reasons"]
    assert not any("flip_under_mask" in reasons for target, reasons in doubts.items() if target in kept.index)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ((), "--predictions"),
        (("--predictions", "nowhere.csv"), "nowhere.csv"),
        (("--model", str(packaged_model("clean")), "--predictions-column", "x"), "--predictions-column"),
    ],
)
def test_what_cannot_be_run_is_one_line(
    card: Path, tmp_path: Path, trapaudit: Call, given: tuple[str, ...], words: str
) -> None:
    refused = trapaudit("run", card / "images", "--out", tmp_path / "a", *given)
    assert refused.code == 2 and refused.err.count("\n") == 1 and words in refused.err
    assert not (tmp_path / "a" / "commits").exists()


def test_names_of_other_pictures_are_refused(card: Path, tmp_path: Path, trapaudit: Call) -> None:
    names = table(tmp_path / "n.csv", [("elsewhere.jpg", "Luna", "1")])
    refused = trapaudit("run", card / "images", "--predictions", names, "--out", tmp_path / "a")
    assert refused.code == 2 and "match no image of SOURCE" in refused.err
