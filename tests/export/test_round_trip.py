"""Labels that leave as a Camtrap DP package and come back, and names that would not."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import frictionless
import pytest

from scd_core.audit import read_table
from scd_core.audit.export import export_audit
from scd_core.audit.export.camtrap_dp import CORE_TABLES, table_descriptor
from scd_core.audit.labels.importing import import_labels
from scd_core.errors import InputError
from scd_core.label_names import LabelFormat
from tests.audit.audit_builder import AuditBuilder, label, minutes
from tests.export.test_camtrap_dp import rows

LINES = (
    "file,individual_id,detection_id,labelled_by,labelled_at,flank\n"
    "a.jpg,Luna,0,ana,2026-03-01T07:00:00.250+02:00,left\na.jpg,Nyx,1,,,\nb.jpg,blank,,ben,,\nc.jpg,unknown,1,,,\n"
    "d.jpg,Luna,,,2026-03-01T00:00:00Z,\ne.jpg,Luna,0,,2026-03-01T00:00:00Z,\ne.jpg,Nyx,0,,2026-03-01T00:00:00Z,\n"
)
"""Boxes, a blank picture, an animal nobody knows, one without its box, and two names that contradict each other."""


def audit(folder: Path) -> str:
    """An audit of five pictures with two boxes each."""
    builder = AuditBuilder(folder, individuals=["Luna", "Nyx"])
    for place, file in enumerate(("a.jpg", "b.jpg", "c.jpg", "d.jpg", "e.jpg")):
        box = {"bbox_x_min": 0.1, "bbox_y_min": 0.1, "bbox_width": 0.3, "bbox_height": 0.4}
        builder.predict(file, "Luna", detection="0", at=minutes(place), **box)
        box["bbox_x_min"] = 0.6
        builder.predict(file, "Nyx", detection="1", new_media=False, **box)
    return builder.write()


def write_labels(fmt: LabelFormat, folder: Path) -> str:
    """A file of labels in one of the formats."""
    if fmt is LabelFormat.CSV:
        (folder / "labels.csv").write_text(LINES)
        return str(folder / "labels.csv")
    if fmt is LabelFormat.TIMELAPSE:
        boxes = [{"bbox": [0.1, 0.1, 0.3, 0.4], "classifications": [[code, 1.0]]} for code in "01"]
        images = [{"file": "a.jpg", "detections": boxes[:1]}, {"file": "b.jpg", "detections": boxes[1:]}]
        content = {"info": {}, "classification_categories": {"0": "Luna", "1": "blank"}, "images": images}
        (folder / "labels.json").write_text(json.dumps(content))
        return str(folder / "labels.json")
    (folder / "media.csv").write_text("mediaID,filePath\nm1,a.jpg\nm2,b.jpg\n")
    (folder / "observations.csv").write_text(
        "observationID,mediaID,individualID,observationType,classificationMethod,bboxX,bboxY,bboxWidth,bboxHeight\n"
        "o1,m1,Nyx,animal,human,,,,\no2,m1,Luna,animal,human,,,,\no3,m2,,blank,human,,,,\n"
    )
    return str(folder / "observations.csv")


@pytest.mark.parametrize("fmt", [LabelFormat.CSV, LabelFormat.TIMELAPSE, LabelFormat.CAMTRAP_DP])
@pytest.mark.parametrize("table", ["datapackage.json", "observations.csv"])
def test_an_export_imported_elsewhere_is_exported_equal(tmp_path: Path, fmt: LabelFormat, table: str) -> None:
    """In all its columns, whatever format the labels had; imported where it is from, it changes nothing."""
    one, two = audit(tmp_path / "one"), audit(tmp_path / "two")
    import_labels(one, write_labels(fmt, tmp_path), now=datetime(2026, 3, 3, 1, 2, 3, 456, tzinfo=UTC))
    export_audit(one, str(tmp_path / "dp1"), "camtrap-dp")
    human = [row for row in rows(tmp_path / "dp1", "observations") if row["classificationMethod"] == "human"]
    assert len(human) == {LabelFormat.CSV: 7, LabelFormat.TIMELAPSE: 2, LabelFormat.CAMTRAP_DP: 3}[fmt]
    assert {row["observationTags"].partition(" | ")[0] for row in human} == {f"labelSource:{fmt}"}
    again = import_labels(one, str(tmp_path / "dp1" / table))
    assert (again.n_rows, again.n_repeated, again.counts.unusable) == (0, len(human), 10)
    import_labels(two, str(tmp_path / "dp1" / table), now=datetime(2026, 3, 4, tzinfo=UTC))
    export_audit(two, str(tmp_path / "dp2"), "camtrap-dp")
    for name in CORE_TABLES:
        assert (tmp_path / "dp1" / f"{name}.csv").read_text() == (tmp_path / "dp2" / f"{name}.csv").read_text()
    labels = [read_table(out, "labels") for out in (one, two)]
    kept = ["label_id", "individual_id", "label_source", "labelled_by", "flank", "state"]
    first, second = (sorted(map(str, table[kept].to_dict("records"))) for table in labels)
    assert first == second


def test_an_exported_label_that_a_person_corrects_is_a_new_one(tmp_path: Path) -> None:
    """The id of its row is that of the label that it was."""
    out = audit(tmp_path / "one")
    (tmp_path / "labels.csv").write_text("file,individual_id,detection_id\na.jpg,Luna,0\nb.jpg,Nyx,1\n")
    import_labels(out, str(tmp_path / "labels.csv"), now=datetime(2026, 3, 3, tzinfo=UTC))
    export_audit(out, str(tmp_path / "dp"), "camtrap-dp")
    file = tmp_path / "dp" / "observations.csv"
    file.write_text(re.sub("^(human-.*),Luna,", r"\1,Nyx,", file.read_text(), flags=re.MULTILINE))
    for n_rows in (1, 0):
        found = import_labels(out, str(file), now=datetime(2026, 3, 4, tzinfo=UTC))
        assert (found.n_rows, found.n_repeated) == (n_rows, 2 - n_rows)
    export_audit(out, str(tmp_path / "dp2"), "camtrap-dp")
    human = [row for row in rows(tmp_path / "dp2", "observations") if row["classificationMethod"] == "human"]
    assert [row["individualID"] for row in human] == ["Nyx", "Nyx"]
    assert len({row["observationID"] for row in human}) == 2


def test_an_export_of_an_earlier_version_is_known_again(tmp_path: Path) -> None:
    """It had the import in the ids of its rows."""
    out = audit(tmp_path / "one")
    (tmp_path / "labels.csv").write_text(LINES)
    import_labels(out, str(tmp_path / "labels.csv"), now=datetime(2026, 3, 3, tzinfo=UTC))
    export_audit(out, str(tmp_path / "dp"), "camtrap-dp")
    file = tmp_path / "dp" / "observations.csv"
    file.write_text(re.sub("^human-", "human-0123456789abcdef-", file.read_text(), flags=re.MULTILINE))
    assert import_labels(out, str(file)).n_rows == 0


def test_what_holds_no_labels_that_count_is_refused(tmp_path: Path) -> None:
    """The table of all labels, undone ones too, is beside those that count; the other export has a model's names alone."""
    out = audit(tmp_path / "one")
    (tmp_path / "labels.csv").write_text(LINES)
    import_labels(out, str(tmp_path / "labels.csv"))
    export_audit(out, str(tmp_path / "dp"), "camtrap-dp")
    with pytest.raises(InputError, match="a table of an audit, with labels that no longer count; give the package's"):
        import_labels(out, str(tmp_path / "dp" / "audit" / "labels.csv"))
    export_audit(out, str(tmp_path / "md"), "megadetector")
    with pytest.raises(InputError, match="classifier's results"):
        import_labels(out, str(tmp_path / "md" / "megadetector.json"))


@pytest.mark.parametrize("name", ["NA", "NaN", "nan", "null", "None", "007", "1e5"])
def test_a_name_that_looks_like_nothing_survives_or_is_refused(tmp_path: Path, name: str) -> None:
    """What frictionless reads back decides."""
    builder = AuditBuilder(tmp_path / "out")
    builder.predict("a.jpg", "Luna", latitude=1.0, longitude=2.0)
    out = builder.write()
    label(out, tmp_path, {"a.jpg": name})
    if name in ("NA", "NaN", "nan"):
        with pytest.raises(InputError, match=f"reads {name!r} as a missing value"):
            export_audit(out, str(tmp_path / "dp"), "camtrap-dp")
        return
    export_audit(out, str(tmp_path / "dp"), "camtrap-dp")
    schema = {key: value for key, value in table_descriptor("observations").items() if key != "foreignKeys"}
    resource = frictionless.Resource(
        path="observations.csv",
        basepath=str(tmp_path / "dp"),
        schema=frictionless.Schema.from_descriptor(schema),
    )
    assert {row["individualID"] for row in resource.read_rows()} == {"Luna", name}
