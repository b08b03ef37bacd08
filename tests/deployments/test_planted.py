"""The end of the demo names what was planted and what was found, and nothing as found that is not there."""

from __future__ import annotations

import pytest

from deployments.cli.planted import planted_and_found
from scd_core.scenes import preset_world

PLANTS = preset_world("demo").plants
TRUTH = [
    {"plant_id": plant.plant_id, "event_id": f"{plant.kind}{n // 2}", "file": f"{plant.kind}{n}"}
    for plant in PLANTS
    for n in range(6)
]
WRONG = {row["file"]: row["file"].endswith("0") for row in TRUTH}


def lines(*slices):
    rows = [{"keys": keys, "cause": cause, "confused_with": name} for keys, cause, name in slices]
    return list(planted_and_found(PLANTS, rows, TRUTH, WRONG))


def line_of(found, words):
    (line,) = [line for line in found if words in line]
    return line


def test_each_plant_has_a_line_and_what_was_not_found_says_how_much_there_was():
    found = lines()
    assert len(found) == 1 + len(PLANTS)
    for plant in PLANTS:
        assert f"{plant.words}: not found; 1 of 3 labelled events under it has a wrong name" in line_of(
            found, plant.words
        )


def test_a_plant_under_which_no_event_fell_could_not_be_found():
    found = list(planted_and_found(PLANTS, [], [], {}))
    assert len(found) == 1 + len(PLANTS) and all("no event of these scenes is under it" in line for line in found[1:])


def test_the_place_is_right_for_what_stands_there():
    assert "(cause: place)" in line_of(lines(({"camera_id": "C03"}, "place", "Luna")), "beside the object")
    assert "(cause: place, not look-alikes)" in line_of(
        lines(({"pair": "Odin -> Orla"}, "place", "Orla")), "nearly the same"
    )


@pytest.mark.parametrize(
    ("keys", "cause", "name", "words"),
    [
        ({"camera_id": "C03"}, "background", "Luna", "beside the object is called Luna"),
        ({"deployment_id": "C05_20250301", "predicted_id": "Nyx"}, "overlay", "Nyx", "makes everybody Nyx"),
        ({"true_id": "Tara", "flank": "left"}, "flank", "Kiro", "flank of Tara"),
        ({"camera_id": "C06", "quality": "blurred"}, "image_quality", "Kiro", "lens of C06"),
        ({"pair": "Odin -> Orla"}, "confusable_pair", "Orla", "nearly the same marks"),
        ({"pair": "Sana -> Kiro", "camera_id": "C04"}, "label_suspect", "Kiro", "labels Kiro as Sana"),
    ],
)
def test_a_slice_that_names_a_plant_is_its_find(keys, cause, name, words):
    found = lines((keys, cause, name))
    assert ": found, " in line_of(found, words) and "not" not in line_of(found, words).partition(": found")[2]
    assert sum(": found, " in line for line in found) == 1
    assert not any("not planted" in line for line in found)
    other = lines((keys, "unexplained", name))
    assert "(cause: unexplained, not " in line_of(other, words)


@pytest.mark.parametrize(
    ("keys", "name"),
    [
        ({"camera_id": "C04"}, "Luna"),  # another camera
        ({"camera_id": "C03"}, "Orla"),  # another name
        ({"true_id": "Tara", "flank": "right"}, "Kiro"),
        ({"pair": "Kiro -> Sana"}, "Sana"),  # the other way round
        ({"hour": "05h"}, "Luna"),
    ],
)
def test_what_was_not_planted_is_not_called_so(keys, name):
    found = lines((keys, "unexplained", name))
    assert not any(": found, " in line for line in found)
    assert found[-1].startswith("found, and not planted: ")
