"""Persons and vehicles through a whole run: nothing that the audit writes shows them."""

from __future__ import annotations

import base64
import io
import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from scd_core.audit import read_table
from scd_core.scenes import packaged_model

PERSON = (0.06, 0.1, 0.2, 0.5)
MAGENTA = (255, 0, 255)


def _magenta(picture: Image.Image) -> int:
    """Pixels of the planted colour, dimmed or drawn over ones included."""
    red, green, blue = np.moveaxis(np.asarray(picture.convert("RGB"), np.int16), -1, 0)
    return int(((np.minimum(red, blue) - green) > 60).sum())


def _pictures(folder: Path) -> Iterator[Image.Image]:
    """Every picture in every file below a folder, those written into pages and tables included."""
    for path in sorted(folder.rglob("*")):
        if not path.is_file():
            continue
        data = path.read_bytes()
        embedded = [
            base64.b64decode(found) for found in re.findall(rb"data:image/[a-z]+;base64,([A-Za-z0-9+/=]+)", data)
        ]
        for content in (data, *embedded):
            if content[:3] == b"\xff\xd8\xff" or content[:4] in (b"\x89PNG", b"RIFF", b"GIF8"):
                yield Image.open(io.BytesIO(content))


@pytest.mark.parametrize("box_use", ["classify", "locate"])
def test_no_file_of_an_audit_shows_a_person(
    trapaudit: Callable[..., Any], card: Path, tmp_path: Path, box_use: str
) -> None:
    images = Path(shutil.copytree(card / "images", tmp_path / "images"))
    told = json.loads((card / "detections.json").read_text())
    for place, entry in enumerate(told["images"]):
        path = images / entry["file"]
        with Image.open(path) as opened:
            picture, exif = opened.convert("RGB"), opened.getexif()
        x, y, width, height = PERSON
        corners = (x * picture.width, y * picture.height, (x + width) * picture.width, (y + height) * picture.height)
        ImageDraw.Draw(picture).rectangle(corners, fill=MAGENTA)
        picture.save(path, quality=90, exif=exif)
        assert _magenta(picture) > 200
        entry["detections"].append({"category": str(2 + place % 2), "conf": 0.9, "bbox": PERSON})
    persons_only = told["images"][0]
    persons_only["detections"] = persons_only["detections"][1:]
    files = [entry["file"] for entry in told["images"]]
    without = told["images"].pop()["file"]
    for entry in told["images"][::3]:
        entry["file"] = "D:\\cards\\" + entry["file"].swapcase().replace("/", "\\")
    detections = tmp_path / "md.json"
    detections.write_text(json.dumps(told))
    config = tmp_path / "config.yaml"
    config.write_text(
        f"classify: {{box_use: {box_use}}}\ntriage: {{control_rate: 1.0}}\n"
        "masks: {steps: 3}\nreclassify: {strategies: [early_blur, mask_crop, center_crop]}\n"
    )
    out = tmp_path / "audit"
    options = ["--detections", detections, "--config", config, "--labels", card / "labels.csv", "--out", out]
    done = trapaudit("run", images, "--model", str(packaged_model("shortcut")), *options)
    assert done.code == 0, done.err

    media = read_table(str(out), "media").set_index("file")
    predictions = read_table(str(out), "predictions")
    assert len(media) == len(files)
    assert f"{len(files) - 1} entries, {len(files) - 1} joined; 1 of {len(files)} pictures has no entry" in done.err
    assert re.search(r"labels labels\.csv: (\d+) rows, \1 joined", done.err)
    unseen = predictions[predictions["media_id"] == media.loc[without, "media_id"]]
    assert list(unseen["prediction_status"]) == ["no_detections"] and unseen["predicted_id"].isna().all()
    alone = predictions[predictions["media_id"] == media.loc[files[0], "media_id"]]
    assert list(alone["prediction_status"]) == ["no_animal"]
    assert alone["predicted_id"].isna().all()
    assert "only person" in alone["failure_reason"].iloc[0]
    assert (predictions["prediction_status"] == "ok").sum() > 10
    assert len(read_table(str(out), "masks")) > 10

    shown = list(_pictures(out))
    assert len(shown) >= 3
    assert [_magenta(picture) for picture in shown] == [0] * len(shown)
    assert any((np.asarray(picture.convert("L")) == 128).mean() > 0.02 for picture in shown)
