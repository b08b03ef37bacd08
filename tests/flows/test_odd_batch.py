"""One run over a batch with everything odd at once: all unknown, a clock that runs backwards, paths from Windows, bad boxes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

from scd_core.audit import read_table
from scd_core.identify.calibrate import store_calibration
from scd_core.scenes import packaged_model

_EXIF_IFD, _TAKEN = 0x8769, 0x9003


def test_each_oddity_has_its_word_and_no_row_is_lost(trapaudit: Callable[..., Any], card: Path, tmp_path: Path) -> None:
    images = Path(shutil.copytree(card / "images", tmp_path / "images"))
    model = Path(shutil.copytree(packaged_model("clean"), tmp_path / "model"))
    store_calibration(str(model), 5.0, 1.0)

    told = json.loads((card / "detections.json").read_text())
    files = [entry["file"] for entry in told["images"]]
    assert len({Path(file).name for file in files}) < len(files)  # equal names in different folders
    late = next(file for file in files if file.endswith("IMG_0002.JPG"))
    with Image.open(images / late) as opened:
        exif = opened.getexif()
        exif.get_ifd(_EXIF_IFD)[_TAKEN] = "2001:01:01 00:00:00"
        opened.save(images / late, quality=90, exif=exif)
    odd = {
        "outside": [1.2, 0.1, 0.2, 0.2],
        "no area": [0.1, 0.1, 0.0, 0.2],
        "confidence": [0.1, 0.1, 0.2, 0.2],
    }
    told["images"][0]["detections"] = [
        {"category": "1", "conf": "NaN" if name == "confidence" else 0.9, "bbox": box} for name, box in odd.items()
    ]
    told["images"][1] = {"file": files[1], "failure": "Failure inference"}
    for entry in told["images"]:
        entry["file"] = "D:\\work\\cards\\" + entry["file"].replace("/", "\\")
    told["images"].append({"file": "D:\\work\\cards\\C99\\gone\\IMG_0001.JPG", "detections": []})
    detections = tmp_path / "md.json"
    detections.write_text(json.dumps(told))
    config = tmp_path / "config.yaml"
    config.write_text(
        "triage: {budget: 3, control_rate: 0.0}\nmasks: {steps: 3}\nreclassify: {strategies: [mask_crop]}\n"
    )
    out = tmp_path / "audit"
    options = ["--detections", detections, "--config", config, "--labels", card / "labels.csv", "--out", out]
    done = trapaudit("run", images, "--model", model, *options)
    assert done.code == 0, done.err

    media = read_table(str(out), "media").set_index("file")
    assert sorted(media.index) == sorted(files)
    assert media.loc[late, "clock_doubt"].startswith("the clock runs backwards")
    assert media["clock_doubt"].notna().sum() == 1
    predictions = read_table(str(out), "predictions")
    assert set(predictions["media_id"]) == set(media["media_id"])
    of = {file: predictions[predictions["media_id"] == media.loc[file, "media_id"]] for file in files[:2]}
    assert list(of[files[0]]["prediction_status"]) == ["failed"] * 3
    for reason, words in zip(
        of[files[0]]["failure_reason"], ("inside the image", "no area", "confidence"), strict=True
    ):
        assert words in reason
    assert read_table(str(out), "runs")["n_failed"].tolist() == [4]
    assert "4 predictions or masks failed" in done.err
    assert "Failure inference" in of[files[1]]["failure_reason"].iloc[0]

    named = predictions[predictions["prediction_status"] == "ok"]
    assert len(named) > 10
    assert set(named["predicted_id"]) == {"unknown"}
    assert all("unknown" in reasons for reasons in named["flag_reasons"])
    assert named["is_selected"].sum() == 3
    assert sum("cut_by_budget" in reasons for reasons in named["flag_reasons"]) == len(named) - 3
    embeddings = read_table(str(out), "embeddings")
    assert sorted(embeddings["target_id"]) == sorted(named["target_id"])
    assert {len(features) for features in embeddings["features"]} == {len(named["embedding"].iloc[0])}
    assert named["candidate_id"].notna().all()
    assert sorted(named["review_rank"].unique()) == list(range(1, named["candidate_id"].nunique() + 1))
    errors = read_table(str(out), "errors")
    assert set(errors["error_type"].dropna()) <= {"split", "correct", "exclusion"}
    assert (out / "report" / "index.html").exists()
