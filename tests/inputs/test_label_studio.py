"""Projects of Label Studio that no audit made: any interface, any address of a picture, any of its forms."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from scd_core.errors import InputError
from scd_core.inputs.label import Label
from scd_core.inputs.labels import LabelFile, read_labels

AT = {"created_at": "2026-03-20T10:00:00Z", "updated_at": "2026-03-21T10:00:00+02:00"}


def region(kind: str, word: str | list[str], control: str = "label", key: str = "r1", **place: Any) -> dict[str, Any]:
    box = {"x": 10.0, "y": 20.0, "width": 30.0, "height": 40.0, "rotation": 0} | place
    said = {} if kind in ("rectangle", "polygon") else {kind: word if isinstance(word, list) else [word]}
    size = {"original_width": 200, "original_height": 100, "image_rotation": 0}
    return {"id": key, "from_name": control, "to_name": "img", "type": kind, "value": box | said, **size}


def read(folder: Path, content: Any, name: str = "project.json", **options: Any) -> LabelFile:
    (folder / name).write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
    return read_labels(str(folder / name), **options)


def task(*results: dict[str, Any], image: str = "s3://cards/C01/a.jpg", **more: Any) -> dict[str, Any]:
    annotation = {"result": list(results), "completed_by": 3, "was_cancelled": False, **AT}
    return {"id": 1, "data": {"image": image}, "annotations": [annotation], "predictions": [], **more}


def only(folder: Path, *results: dict[str, Any], **options: Any) -> Label:
    (label,) = read(folder, [task(*results)], **options).labels
    return label


def test_a_rectangle_with_a_name(tmp_path: Path) -> None:
    label = only(tmp_path, region("rectanglelabels", "Luna"))
    assert (label.file, label.individual_id, label.labelled_by) == (
        "s3://cards/C01/a.jpg",
        "Luna",
        "Label Studio user 3",
    )
    assert label.bbox == pytest.approx((0.1, 0.2, 0.3, 0.4)) and label.labelled_at is not None
    assert label.labelled_at.isoformat() == "2026-03-21T08:00:00+00:00", "as it was last saved, in UTC"


def test_a_rectangle_and_its_name_as_two_results(tmp_path: Path) -> None:
    """Interfaces with `Rectangle` and `Labels` apart."""
    label = only(tmp_path, region("rectangle", "", "box", x=50), region("labels", "Luna"))
    assert (label.individual_id, label.bbox) == ("Luna", pytest.approx((0.1, 0.2, 0.3, 0.4)))
    bare = {"id": "r1", "from_name": "label", "type": "labels", "value": {"labels": ["Luna"]}}
    assert only(tmp_path, region("rectangle", "", "box", x=50), bare).bbox == pytest.approx((0.5, 0.2, 0.3, 0.4))


def test_a_turned_rectangle_has_the_box_around_it(tmp_path: Path) -> None:
    """By a quarter, about its first corner, in a picture of 200 x 100: 60 x 40 pixels become 40 x 60 to the left and below."""
    label = only(tmp_path, region("rectanglelabels", "Luna", x=50, rotation=90))
    assert label.bbox == pytest.approx((0.3, 0.2, 0.2, 0.6))


def test_a_polygon_and_an_ellipse_have_the_box_around_them(tmp_path: Path) -> None:
    polygon = region("polygonlabels", "Luna")
    polygon["value"] = {"points": [[10, 20], [40, 30], [20, 60]], "polygonlabels": ["Luna"]}
    assert only(tmp_path, polygon).bbox == pytest.approx((0.1, 0.2, 0.3, 0.4))
    ellipse = region("ellipselabels", "Luna")
    ellipse["value"] = {"x": 50, "y": 50, "radiusX": 10, "radiusY": 20, "rotation": 0, "ellipselabels": ["Luna"]}
    assert only(tmp_path, ellipse).bbox == pytest.approx((0.4, 0.3, 0.2, 0.4))


def test_choices_and_a_taxonomy_name_the_picture(tmp_path: Path) -> None:
    choice = {"id": "c", "from_name": "who", "type": "choices", "value": {"choices": ["Luna"]}}
    assert (only(tmp_path, choice).individual_id, only(tmp_path, choice).bbox) == ("Luna", None)
    tree = {"id": "c", "from_name": "species", "type": "taxonomy", "value": {"taxonomy": [["Felidae", "Lynx lynx"]]}}
    assert only(tmp_path, tree).individual_id == "Lynx lynx"
    nothing = {"id": "c", "from_name": "who", "type": "choices", "value": {"choices": ["Empty"]}}
    assert only(tmp_path, nothing).state == "blank"


def test_where_several_controls_could_name_the_user_says_which(tmp_path: Path) -> None:
    """Names of regions go before what is said of the picture; two of a kind are not decided by a guess."""
    day = {"id": "d", "from_name": "light", "type": "choices", "value": {"choices": ["night"]}}
    assert only(tmp_path, region("rectanglelabels", "Luna"), day).individual_id == "Luna"
    who = {"id": "w", "from_name": "Who", "type": "choices", "value": {"choices": ["Luna"]}}
    with pytest.raises(InputError, match=r"the controls Who, light could each hold the names; .*: --column NAME"):
        only(tmp_path, day, who)
    assert only(tmp_path, day, who, column="who").individual_id == "Luna"


@pytest.mark.parametrize(
    ("address", "file"),
    [
        ("/data/local-files/?d=cards/C01/a%20b.jpg", "cards/C01/a b.jpg"),
        ("/data/local-files/?d=cards%5CC01%5Ca.jpg", "cards/C01/a.jpg"),
        ("/data/upload/12/1a2b3c4d-IMG_1.JPG", "IMG_1.JPG"),
        ("https://store.example/cards/C01/a%20b.jpg?X-Amz-Signature=1", "https://store.example/cards/C01/a b.jpg"),
        ("s3://cards/C01/a.jpg", "s3://cards/C01/a.jpg"),
        ("gs://cards/C01/a.PNG", "gs://cards/C01/a.PNG"),
    ],
)
def test_addresses_of_pictures(tmp_path: Path, address: str, file: str) -> None:
    labels = read(tmp_path, [task(region("rectanglelabels", "Luna"), image=address)]).labels
    assert [label.file for label in labels] == [file]


def test_the_short_forms(tmp_path: Path) -> None:
    box = {"x": 10, "y": 20, "width": 30, "height": 40, "rotation": 0, "original_width": 9, "rectanglelabels": ["Luna"]}
    row = {"image": "s3://cards/a.jpg", "id": 1, "label": [box], "light": "night", "annotator": "ana@example.org"}
    (label,) = read(tmp_path, [row | {"annotation_id": 4, **AT}]).labels
    assert (label.individual_id, label.bbox, label.labelled_by) == (
        "Luna",
        pytest.approx((0.1, 0.2, 0.3, 0.4)),
        "ana@example.org",
    )
    cell = json.dumps([box]).replace('"', '""')
    lines = f'image,id,label,light,annotator,annotation_id,updated_at\ns3://cards/a.jpg,1,"{cell}",night,3,4,2026-03-21T08:00:00Z\n'
    (again,) = read(tmp_path, lines, "project.csv").labels
    assert (again.bbox, again.individual_id, again.labelled_at) == (label.bbox, "Luna", label.labelled_at)
    with_tabs = lines.replace(",", "\t", 6).replace("jpg,1,", "jpg\t1\t").replace(",night,3,4,", "\tnight\t3\t4\t")
    (tabs,) = read(tmp_path, with_tabs, "project.tsv").labels
    assert tabs.individual_id == "Luna"
    (night,) = read(tmp_path, lines, "project.csv", column="Light").labels
    assert (night.individual_id, night.bbox) == ("night", None)
    with pytest.raises(InputError, match=r"1 answer without a name .--column names a control of choices"):
        read(tmp_path, lines.replace(f'"{cell}"', ""), "project.csv")


def test_a_task_without_a_picture_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="task 1: its data names no picture"):
        read(tmp_path, [task(region("rectanglelabels", "Luna"), image="a text to classify")])
