"""Labels in random dialects are read back without losing or inventing a row."""

from __future__ import annotations

import json
import random
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scd_core.inputs.joining import MediaIndex
from scd_core.inputs.labels import read_labels
from tests.inputs.test_dialects import FILES, SOURCE, spelt, table

NAMES = ("Luna", "Nyx; the 2nd", "NA", "null", "None", "007", "Mü,ller", "unknown", "blank")
MANY = settings(
    max_examples=200,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def given_name(name: str, dice: random.Random) -> str:
    if name == "blank":
        return dice.choice(["blank", "Empty", "NOTHING", "none"])
    return dice.choice(["unknown", "Unknown"]) if name == "unknown" else name


def own_csv(truth: dict[str, str], dice: random.Random, folder: Path) -> dict[str, Any]:
    rows = [
        {"file": spelt(file, dice), "individual_id": given_name(name, dice), "x": ""} for file, name in truth.items()
    ]
    (folder / "labels.csv").write_bytes(table([*rows, *dice.sample(rows, 1)], dice))
    return {"url": str(folder / "labels.csv")}


def timelapse_csv(truth: dict[str, str], dice: random.Random, folder: Path) -> dict[str, Any]:
    rows = []
    for file, name in truth.items():
        path, _, base = file.rpartition("/")
        path = path.replace("/", "\\") if dice.random() < 0.5 else path
        rows.append({"File": base, "RelativePath": path, "Who": given_name(name, dice), "DeleteFlag": "false"})
    rows.append({"File": "gone.JPG", "RelativePath": "", "Who": "Luna", "DeleteFlag": "true"})
    rows.append({"File": "nobody.JPG", "RelativePath": "", "Who": "", "DeleteFlag": "false"})
    (folder / "data.csv").write_bytes(table(rows, dice))
    return {"url": str(folder / "data.csv"), "column": dice.choice(["Who", "who"])}


def checked_json(truth: dict[str, str], dice: random.Random, folder: Path) -> dict[str, Any]:
    codes = {str(place): name for place, name in enumerate(NAMES)}
    code_of = {name: code for code, name in codes.items()}
    images = [
        {
            "file": spelt(file, dice),
            "detections": [{"bbox": [0.1, 0.1, 0.2, 0.2], "classifications": [[code_of[name], 1.0]]}],
        }
        for file, name in truth.items()
    ]
    dice.shuffle(images)
    content = {"info": {}, "classification_categories": codes, "images": images}
    (folder / "labels.json").write_text(json.dumps(content))
    return {"url": str(folder / "labels.json")}


def camtrap_dp(truth: dict[str, str], dice: random.Random, folder: Path) -> dict[str, Any]:
    media, observations = [], []
    for place, (file, name) in enumerate(truth.items()):
        time = f"2026-03-01T{place:02}:00:00"
        offset = dice.choice(["", "Z", "+02:00"])
        media.append(
            {
                "mediaID": f"m{place}",
                "deploymentID": f"d{place}",
                "timestamp": time + offset,
                "filePath": spelt(file, dice),
            }
        )
        row = dict.fromkeys(("mediaID", "eventStart", "eventEnd", "individualID", "observationType"), "")
        row |= {
            "observationID": f"o{place}",
            "deploymentID": f"d{place}",
            "classificationMethod": dice.choice(["human", "Human"]),
        }
        if name == "blank" and dice.random() < 0.5:
            row["observationType"] = "blank"
        else:
            row["individualID"] = given_name(name, dice)
        if dice.random() < 0.5:
            event_offset = dice.choice(["", offset])
            row |= {"eventStart": time + event_offset, "eventEnd": time + event_offset}
        else:
            row["mediaID"] = f"m{place}"
        observations.append(row)
        observations.append(row | {"observationID": f"x{place}", "classificationMethod": "machine"})
    (folder / "media.csv").write_bytes(table(media, dice))
    (folder / "observations.csv").write_bytes(table(observations, dice))
    return {"url": str(folder / "observations.csv")}


@pytest.mark.parametrize("write", [own_csv, timelapse_csv, checked_json, camtrap_dp])
@given(files=FILES, seed=st.integers(0, 2**32))
@MANY
def test_labels_in_any_dialect(write: Any, files: list[str], seed: int, tmp_path: Path) -> None:
    dice = random.Random(seed)
    # A package reads NA as no value.
    names = [name for name in NAMES if write is not camtrap_dp or name != "NA"]
    truth = {file: dice.choice(names) for file in files}
    disk = {unicodedata.normalize(dice.choice(["NFC", "NFD"]), file): file for file in files}
    media = MediaIndex((f"{SOURCE}/{file}", file) for file in [*disk, "C01/other.JPG"])
    found = read_labels(**write(truth, dice, tmp_path))
    named = {}
    for label in found.labels:
        (uri,) = media.find(label.file)
        named[disk[uri.removeprefix(f"{SOURCE}/")]] = "blank" if label.state == "blank" else label.individual_id
    assert (named, len(found.labels)) == (truth, len(truth))
    counts = found.join(media)
    assert (counts.joined, counts.waiting) == (len(truth), 0)
    assert counts.unusable == {timelapse_csv: 2, camtrap_dp: len(truth)}.get(write, 0)
