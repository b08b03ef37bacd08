"""Detections and flags in random dialects are read back without losing or inventing a row."""

from __future__ import annotations

import csv
import io
import json
import random
import unicodedata
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scd_core.inputs.detections import read_detections
from scd_core.inputs.flags import read_flags
from scd_core.inputs.joining import MediaIndex

SOURCE = "/data/cards"
FOLDERS = ("C01", "C02/D1", "Müritz/Süd", "Río Añejo", "Dschungel ß", "a b")
KINDS = {
    "animal": ("animal", "Animal", "ANIMALS", "leopard"),
    "person": ("person", "Human", "PEOPLE", "Homo sapiens"),
    "vehicle": ("vehicle", "Car", "BIKES"),
}
MANY = settings(
    max_examples=200,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

FILES = st.lists(
    st.tuples(st.sampled_from(FOLDERS), st.integers(0, 30)).map(lambda place: f"{place[0]}/IMG_{place[1]:04}.JPG"),
    min_size=1,
    max_size=8,
    unique=True,
)
BOXES = st.lists(st.sampled_from(sorted(KINDS)), max_size=4)


def spelt(file: str, dice: random.Random) -> str:
    """A name as another system writes it."""
    file = unicodedata.normalize(dice.choice(["NFC", "NFD"]), file)
    file = dice.choice([str, str.lower, str.upper, str.swapcase])(file) if "ß" not in file else file
    file = dice.choice(["", "./", "D:/cards/", "/mnt/cards/"]) + file
    return file.replace("/", "\\") if dice.random() < 0.5 else file


def table(rows: list[dict[str, Any]], dice: random.Random) -> bytes:
    """CSV in some dialect, its columns and rows in any order."""
    columns = list(rows[0])
    dice.shuffle(columns)
    text = io.StringIO()
    writer = csv.writer(
        text, delimiter=dice.choice(",;\t"), lineterminator=dice.choice(["\n", "\r\n"]), quoting=dice.choice([0, 1])
    )
    writer.writerow([dice.choice([str, str.upper, str.title])(column) for column in columns])
    for row in dice.sample(rows, len(rows)):
        writer.writerow([row[column] for column in columns])
    return text.getvalue().encode(dice.choice(["utf-8", "utf-8-sig", "utf-16"]))


def megadetector(truth: dict[str, list[str]], dice: random.Random) -> bytes:
    words = [word for words in KINDS.values() for word in words]
    codes = {word: str(code) for code, word in enumerate(words, start=dice.choice([0, 1]))}
    images = [
        {
            "file": spelt(file, dice),
            "detections": [
                {"category": codes[dice.choice(KINDS[kind])], "conf": 0.5, "bbox": [0.1, 0.1, 0.2, 0.2]}
                for kind in kinds
            ],
        }
        for file, kinds in truth.items()
    ]
    dice.shuffle(images)
    table_of = {code: word for word, code in codes.items()}
    return json.dumps({"detection_categories": table_of, "images": images}, ensure_ascii=dice.random() < 0.5).encode()


def boxes_table(truth: dict[str, list[str]], dice: random.Random) -> bytes:
    rows: list[dict[str, Any]] = []
    for file, kinds in truth.items():
        name = spelt(file, dice)
        box = {"x_min": 0.1, "y_min": 0.1, "width": 0.2, "height": 0.2, "remark": 'a "quoted"; remark, x'}
        rows += [{"file": name, "category": dice.choice(KINDS[kind]), "confidence": 0.5, **box} for kind in kinds]
        if not kinds:
            rows.append(
                {
                    "file": name,
                    "category": dice.choice(["", "empty", "Blank"]),
                    "confidence": "",
                    **dict.fromkeys(box, ""),
                }
            )
    return table(rows, dice)


@pytest.mark.parametrize("write", [megadetector, boxes_table])
@given(files=FILES, data=st.data(), seed=st.integers(0, 2**32))
@MANY
def test_boxes_in_any_dialect(write: Any, files: list[str], data: Any, seed: int, tmp_path: Path) -> None:
    dice = random.Random(seed)
    truth = {file: data.draw(BOXES) for file in files}
    path = tmp_path / "d"
    path.write_bytes(write(truth, dice))
    disk = {unicodedata.normalize(dice.choice(["NFC", "NFD"]), file): kinds for file, kinds in truth.items()}
    without = "C09/other.JPG"
    found = read_detections(str(path))
    join = found.join([*disk, without], SOURCE)
    entries = found.entries(join)
    assert set(entries) == set(disk)
    for file, kinds in disk.items():
        boxes = entries[file]
        assert isinstance(boxes, tuple)
        assert Counter("animal" if box.is_animal else box.category for box in boxes) == Counter(kinds)
    counts = found.counts(join, len(disk) + 1)
    assert (counts.rows, counts.joined, counts.waiting, counts.unusable) == (len(disk), len(disk), 0, 0)
    assert counts.notes[-1] == f"1 of {len(disk) + 1} pictures has no entry in the detections"


@given(files=FILES, seed=st.integers(0, 2**32))
@MANY
def test_flags_in_any_dialect(files: list[str], seed: int, tmp_path: Path) -> None:
    dice = random.Random(seed)
    disk = [unicodedata.normalize(dice.choice(["NFC", "NFD"]), file) for file in files]
    names = [spelt(file, dice) for file in disk]
    again = dice.sample(names, dice.randint(0, len(names)))
    path = tmp_path / "flags.csv"
    path.write_bytes(
        table([{"file": name, "reason": "blurred, odd"} for name in [*names, *again, "C09/gone.JPG"]], dice)
    )
    media = MediaIndex((f"{SOURCE}/{file}", file) for file in [*disk, "C01/other.JPG"])
    flagged, counts = read_flags(str(path)).join(media)
    assert flagged == {f"{SOURCE}/{file}" for file in disk}
    assert (counts.rows, counts.joined, counts.waiting) == (len(names) + len(again) + 1, len(names), 1)
    assert sum("again" in note for note in counts.notes) == bool(again)
