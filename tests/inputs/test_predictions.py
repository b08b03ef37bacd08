"""Names that another tool gave: each format read, and what cannot be used counted or refused in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from scd_core.errors import InputError
from scd_core.inputs.predictions import Given, Predictions, read_predictions

BOX = [0.1, 0.2, 0.3, 0.4]
FOX = "1f689929-883d-4dae-958c-3d57ab5b6c16;mammalia;carnivora;canidae;vulpes;vulpes;red fox"
GENUS = "1f689929-883d-4dae-958c-3d57ab5b6c17;mammalia;carnivora;canidae;vulpes;;"
HUMAN = "990ae9dd-7a59-4344-afcb-1b7b21368000;mammalia;primates;hominidae;homo;sapiens;human"
BLANK = "f1856211-cfb7-4a5b-9158-c0f72fd09ee6;;;;;;blank"


def read(folder: Path, content: Any, name: str = "p.json", column: str | None = None) -> Predictions:
    (folder / name).write_text(content if isinstance(content, str) else json.dumps(content))
    return read_predictions(str(folder / name), column)


def one(found: Predictions, file: str = "a.jpg") -> Given:
    entry = found.entries[file]
    assert isinstance(entry, tuple)
    (given,) = entry
    return given


def megadetector(folder: Path, *boxes: dict[str, Any], **info: Any) -> Predictions:
    content = {
        "info": info,
        "detection_categories": {"1": "animal", "2": "person"},
        "classification_categories": {"0": "lynx", "1": "fox", "2": "human"},
        "images": [{"file": "a.jpg", "detections": list(boxes)}, {"file": "b.jpg", "failure": "Failure image access"}],
    }
    return read(folder, content)


def box(*pairs: tuple[str, float], category: str = "1", conf: float = 0.9) -> dict[str, Any]:
    return {"category": category, "conf": conf, "bbox": BOX, "classifications": [list(pair) for pair in pairs]}


def test_boxes_with_classifications(tmp_path: Path) -> None:
    found = megadetector(tmp_path, box(("1", 0.2), ("0", 0.7)), box(("2", 0.9)), box(), classifier="jag v2")
    named, nameless = found.entries["a.jpg"]
    assert isinstance(named, Given) and isinstance(nameless, Given)
    assert (named.candidates, named.detection_id, named.confidence) == ((("lynx", 0.7), ("fox", 0.2)), "0", 0.9)
    assert (nameless.candidates, nameless.detection_id) == ((), "2")
    assert found.entries["b.jpg"] == "Failure image access"
    assert found.names == ("fox", "lynx"), "a name that the file lists and never gives can be given"
    assert str(found.tool) == "jag v2"


def test_a_probability_outside_0_to_1_is_a_name_that_cannot_be_used(tmp_path: Path) -> None:
    found = megadetector(tmp_path, box(("0", 7.5)), box(("1", 0.5)))
    bad, good = found.entries["a.jpg"]
    assert isinstance(bad, Given) and isinstance(good, Given)
    assert bad.problem == "probability 7.5 of 'lynx' is no number of 0-1" and not bad.candidates and good.candidates


def test_boxes_without_a_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"predictions .*p.json: holds boxes and no name; give it with --detections"):
        megadetector(tmp_path, box())


def test_no_usable_name_is_refused_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"can be used \('a.jpg': probability 91.0 of 'lynx' is no number of 0-1\)"):
        megadetector(tmp_path, box(("0", 91)))
    with pytest.raises(InputError, match=r"no name that can be used \('b.jpg': Failure image access\)"):
        megadetector(tmp_path)
    with pytest.raises(InputError, match=r"\('a.jpg': probability '91' is no number of 0-1\)"):
        read(tmp_path, "file,individual_id,probability\na.jpg,Luna,91\n", "p.csv")
    with pytest.raises(InputError, match=r"\('00.jpg': names 2 animals"):
        read(tmp_path, "file,individual_id\n00.jpg,Luna\n00.jpg,Tara\n", "p.csv")
    rows = "observationID,mediaID,observationType,classificationMethod,scientificName\no1,gone,animal,machine,Puma\n"
    (tmp_path / "media.csv").write_text("mediaID,filePath\nm1,a.jpg\n")
    with pytest.raises(InputError, match=r"\(line 2: mediaID gone is not in media.csv\)"):
        read(tmp_path, rows, "observations.csv")


def test_one_picture_twice_with_other_names_is_refused(tmp_path: Path) -> None:
    images = [{"file": "a.jpg", "detections": [box((key, 0.7))]} for key in "01"]
    content = {"detection_categories": {"1": "animal"}, "classification_categories": {"0": "lynx", "1": "fox"}}
    with pytest.raises(InputError, match=r"names 'a.jpg' twice, with other names; leave one of the two out"):
        read(tmp_path, {**content, "images": images})
    assert one(read(tmp_path, {**content, "images": [images[0], images[0]]})).candidates == (("lynx", 0.7),)


def test_a_column_of_names_is_of_a_table(tmp_path: Path) -> None:
    images = [{"file": "a.jpg", "detections": [box(("0", 0.7))]}]
    content = {"detection_categories": {"1": "animal"}, "classification_categories": {"0": "lynx"}, "images": images}
    with pytest.raises(InputError, match="is JSON, which has no column 'Species'"):
        read(tmp_path, content, column="Species")
    (tmp_path / "media.csv").write_text("mediaID,filePath\nm1,a.jpg\n")
    rows = "observationID,mediaID,observationType,classificationMethod,scientificName\no1,m1,animal,machine,Puma\n"
    with pytest.raises(InputError, match="is a Camtrap DP, which has its own columns of names"):
        read(tmp_path, rows, "observations.csv", column="scientificName")


def test_species_net_names_pictures(tmp_path: Path) -> None:
    lists = {"classes": [GENUS, FOX], "scores": [0.3, 0.6]}
    entries = [
        {
            "filepath": "a.jpg",
            "prediction": FOX,
            "prediction_score": 0.8,
            "classifications": lists,
            "model_version": "4.0.1a",
        },
        {"filepath": "b.jpg", "prediction": BLANK, "prediction_score": 0.9},
        {"filepath": "c.jpg", "prediction": HUMAN, "prediction_score": 0.9},
        {"filepath": "d.jpg", "classifications": lists},
        {"filepath": "e.jpg", "failures": ["CLASSIFIER"]},
        {"filepath": "f.jpg", "prediction": "u;;;;;;no cv result", "prediction_score": 0.1},
    ]
    found = read(tmp_path, {"predictions": entries})
    assert one(found).candidates == (("red fox", 0.8), ("vulpes", 0.3))
    assert one(found, "b.jpg").candidates == (("blank", 0.9),)
    assert one(found, "c.jpg").hidden == "person"
    assert one(found, "d.jpg").candidates == (("red fox", 0.6), ("vulpes", 0.3))
    assert found.entries["e.jpg"] == "no name (SpeciesNet failed: CLASSIFIER)"
    assert found.entries["f.jpg"] == "SpeciesNet came to no result"
    assert str(found.tool) == "SpeciesNet 4.0.1a" and found.detections is None
    assert found.names == ("blank", "red fox", "vulpes")


def test_a_taxonomy_of_species_net_or_of_described_categories(tmp_path: Path) -> None:
    entries = [{"filepath": "a.jpg", "prediction": GENUS, "classifications": {"classes": [FOX], "scores": [0.6]}}]
    fox, genus = "mammalia;carnivora;canidae;vulpes;vulpes", "mammalia;carnivora;canidae;vulpes;"
    assert read(tmp_path, {"predictions": entries}).lineages == {"red fox": fox, "vulpes": genus}
    content = {
        "detection_categories": {"1": "animal"},
        "classification_categories": {"0": "lynx", "1": "fox"},
        "classification_category_descriptions": {"1": FOX},
        "images": [{"file": "a.jpg", "detections": [box(("1", 0.7))]}],
    }
    assert read(tmp_path, content).lineages == {"fox": fox}
    assert read(tmp_path, content | {"classification_category_descriptions": 3}).lineages == {}


def test_a_plain_table(tmp_path: Path) -> None:
    text = "file;individual_id;probability;top2;p2\na.jpg;Luna;0,7;Tara;20 %\nb.jpg;None;;;\nc.jpg;unknown;0,3;;\n;Luna;1;;\n"
    found = read(tmp_path, text, "p.csv")
    assert one(found).candidates == (("Luna", 0.7), ("Tara", 0.2))
    assert one(found, "b.jpg").candidates == (("None", None),), "None is a name, as in labels"
    assert found.names == ("Luna", "None", "Tara")
    assert list(found.unusable) == ["line 5: file is empty"] and found.n_rows == 4


@pytest.mark.parametrize("text", ["1.2", "-0.1", "nan", "sure"])
def test_a_probability_that_is_none(tmp_path: Path, text: str) -> None:
    found = read(tmp_path, f"file,individual_id,probability\na.jpg,Luna,{text}\nb.jpg,Tara,.5\n", "p.csv")
    assert one(found).problem == f"probability '{text}' is no number of 0-1"
    assert not one(found).candidates and one(found, "b.jpg").problem is None
    note = "1 name is not usable"
    assert note in found.counts(found.join(["a.jpg", "b.jpg"]), 2).notes


def test_two_names_of_one_picture(tmp_path: Path) -> None:
    lines = "a.jpg,Luna,.9\na.jpg,Tara,.8\nb.jpg,Luna,.9\nb.jpg,Luna,.9\n"
    found = read(tmp_path, "file,individual_id,probability\n" + lines, "p.csv")
    assert found.entries["a.jpg"] == "names 2 animals (Luna; Tara) and no boxes, so nobody knows which is which"
    assert one(found, "b.jpg").candidates == (("Luna", 0.9),)
    boxed = "file,individual_id,probability,confidence,x_min,y_min,width,height\n"
    boxed += "a.jpg,Luna,.9,.7,0,0,.2,.2\na.jpg,Tara,.8,.6,.5,.5,.2,.2\n"
    first, second = read(tmp_path, boxed, "q.csv").entries["a.jpg"]
    assert isinstance(first, Given) and isinstance(second, Given)
    assert (first.detection_id, first.confidence, second.detection_id) == ("0", 0.7, "1")


def test_a_timelapse_table_needs_the_column_of_names(tmp_path: Path) -> None:
    text = (
        "File,RelativePath,DeleteFlag,Species,Classification_conf\na.jpg,C01,false,lynx,0.8\nb.jpg,C01,true,lynx,0.8\n"
    )
    with pytest.raises(InputError, match="--predictions-column"):
        read(tmp_path, text, "t.csv")
    found = read(tmp_path, text, "t.csv", "Species")
    assert one(found, "C01/a.jpg").candidates == (("lynx", 0.8),) and len(found.entries) == 1
    assert found.notes == ["probabilities are those of column `Classification_conf`"]


MEDIA = "mediaID,deploymentID,timestamp,filePath\nm1,d,2024-01-01T00:00:00Z,a.jpg\nm2,d,2024-01-01T00:00:05Z,b.jpg\n"
COLUMNS = (
    "mediaID,deploymentID,eventStart,eventEnd,observationID,observationType,scientificName,individualID,"
    "classificationMethod,classifiedBy,classificationProbability\n"
)


def camtrap(folder: Path, *lines: str) -> Predictions:
    (folder / "media.csv").write_text(MEDIA)
    return read(folder, COLUMNS + "\n".join(lines) + "\n", "observations.csv")


def test_machine_observations_of_a_camtrap_dp(tmp_path: Path) -> None:
    found = camtrap(
        tmp_path,
        ",d,2024-01-01T00:00:00Z,2024-01-01T00:01:00Z,o1,animal,Lynx lynx,,machine,AI 2,0.6",
        "m1,d,,,o2,animal,Lynx lynx,Luna,machine,AI 2,0.9",
        "m1,d,,,o3,animal,Lynx lynx,Tara,human,Ann,",
        "m9,d,,,o4,animal,Lynx lynx,Luna,machine,AI 2,0.9",
    )
    assert one(found).candidates == (("Luna", 0.9),) and one(found, "b.jpg").candidates == (("Lynx lynx", 0.6),)
    assert str(found.tool) == "AI 2" and list(found.unusable) == ["line 5: mediaID m9 is not in media.csv"]
    assert list(found.notes) == ["1 observation of people not read as predictions"]
    with pytest.raises(InputError, match="no observation of a machine"):
        camtrap(tmp_path, "m1,d,,,o3,animal,Lynx lynx,Tara,human,Ann,")


def test_machine_observations_without_a_name_have_the_reason(tmp_path: Path) -> None:
    named = "m2,d,,,o2,animal,Lynx lynx,,machine,AI,0.9"
    found = camtrap(tmp_path, "m1,d,,,o1,unknown,,,machine,AI,0.5", named)
    assert one(found).nameless == "the observation is of type 'unknown', which names nothing"
    found = camtrap(tmp_path, "m1,d,,,o1,animal,,,machine,AI,0.5", named)
    assert one(found).nameless == "the observation of an animal has neither individualID nor scientificName"
    assert one(found, "b.jpg").nameless is None
    with pytest.raises(InputError, match=r"can be used \('a.jpg': the observation is of type 'unclassified', which"):
        camtrap(tmp_path, "m1,d,,,o1,unclassified,,,machine,AI,0.5")


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("p.json", "{not json", "not JSON"),
        ("p.json", "[" * 100_000, "no JSON that can be read"),
        ("p.json", '[{"file": "a.jpg"}]', "is a list; expected an object with `images`"),
        ("p.json", '[{"id": 1, "data": {"image": "a.jpg"}, "annotations": []}]', "export of Label Studio"),
        ("p.json", '[{"annotator": 1, "image": "a.jpg"}]', "export of Label Studio"),
        ("p.json", json.dumps({"images": 3}), "no list `images`"),
        ("p.json", json.dumps({"predictions": [{"filepath": "a.jpg"}]}), "no prediction has a name"),
        ("p.json", json.dumps({"predictions": [{"x": 1}]}), r"predictions\[0\]"),
        ("p.json", json.dumps({"predictions": []}), "holds no name"),
        ("p.csv", "file,probability\na.jpg,.5\n", "no column individual_id"),
        ("p.csv", "file,individual_id\na.jpg,\n", "holds no name"),
        ("p.csv", "", "no column file"),
        ("p.csv", "<!DOCTYPE html><html></html>", "no column file"),
    ],
)
def test_bad_files_are_one_line(tmp_path: Path, name: str, content: str, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        read(tmp_path, content, name)
    assert "\n" not in str(caught.value) and name in str(caught.value)


def test_the_digest_is_of_the_tool_and_the_file(tmp_path: Path) -> None:
    first = megadetector(tmp_path, box(("0", 0.7)), classifier="a")
    again = megadetector(tmp_path, box(("0", 0.7)), classifier="a")
    other_tool = megadetector(tmp_path, box(("0", 0.7)), classifier="b")
    other_names = megadetector(tmp_path, box(("0", 0.8)), classifier="a")
    assert first.digest == again.digest
    assert len({first.digest, other_tool.digest, other_names.digest}) == 3
