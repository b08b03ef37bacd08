"""A template and a table for Timelapse, filled in as Timelapse does it, and read back."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from scd_core.audit import connect, read_table
from scd_core.audit.export import export_audit
from scd_core.audit.export.timelapse import MAX_ANIMALS
from scd_core.audit.labels.importing import import_labels
from scd_core.errors import InputError
from scd_core.inputs.labels import read_labels
from scd_core.label_names import LabelFormat
from tests.audit.audit_builder import AuditBuilder, minutes
from tests.export.test_round_trip import audit, write_labels

KEPT = ["label_id", "individual_id", "label_source", "labelled_by", "flank", "state", "labelled_at", "bbox_x_min"]


class Timelapse:
    """What Timelapse 2.3 does: it makes a row a file from a template, takes a table into it by its own rules, and exports."""

    def __init__(self, template: Path, files: list[str]) -> None:
        with sqlite3.connect(template) as database:
            cursor = database.execute("SELECT * FROM TemplateTable ORDER BY SpreadsheetOrder")
            names = [column[0] for column in cursor.description]
            self.controls = {row["DataLabel"]: row for row in (dict(zip(names, values)) for values in cursor)}
            assert database.execute("SELECT VersionCompatabily FROM TemplateInfo").fetchall() == [("2.3.0.0",)]
        assert [row["Type"] for row in self.controls.values()][:4] == ["File", "RelativePath", "DateTime", "DeleteFlag"]
        assert all(label.replace("_", "").isalnum() and not label[0].isdigit() for label in self.controls)
        self.rows = []
        for file in files:
            folder, _, name = file.rpartition("/")
            row = {label: control["DefaultValue"] for label, control in self.controls.items()}
            self.rows.append(row | {"File": name, "RelativePath": folder.replace("/", "\\")})

    def take(self, table: str) -> None:
        for given in csv.DictReader(io.StringIO(table, newline="")):
            assert set(given) <= set(self.controls), "a column that the template lacks stops the import"
            for label, value in given.items():
                self.check(label, value)
            fitting = [row for row in self.rows if all(row[key] == given[key] for key in ("File", "RelativePath"))]
            assert len(fitting) == 1, "a second row of a picture would be ignored"
            fitting[0] |= given

    def check(self, label: str, value: str) -> None:
        if self.controls[label]["Type"] == "FixedChoice" and value:
            assert value in json.loads(self.controls[label]["List"])["ChoiceListNonEmpty"]
        if self.controls[label]["Type"] == "DeleteFlag":
            assert value in ("true", "false")

    def enter(self, file: str, **values: str) -> None:
        (row,) = [row for row in self.rows if row["File"] == file]
        for label, value in values.items():
            assert self.controls[label]["Visible"] == "true"
            self.check(label, value)
        row |= values

    def export(self) -> str:
        sink = io.StringIO()
        columns = ["RootFolder", *(label for label, row in self.controls.items() if row["ExportToCSV"] == "true")]
        writer = csv.DictWriter(sink, columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(row | {"RootFolder": "cards"} for row in self.rows)
        return sink.getvalue()


def opened(out: str, folder: Path) -> Timelapse:
    """Timelapse with the audit's pictures and the exported table in it."""
    assert export_audit(out, str(folder), "timelapse") == (folder / "timelapse.csv").as_uri()
    assert sorted(path.name for path in folder.iterdir()) == [
        "TimelapseTemplate.tdb",
        "megadetector.json",
        "timelapse.csv",
    ]
    with connect(out) as connection:
        files = [row[0] for row in connection.sql("SELECT DISTINCT file FROM media").fetchall()]
    program = Timelapse(folder / "TimelapseTemplate.tdb", files)
    program.take((folder / "timelapse.csv").read_text("utf-8"))
    return program


def saved(program: Timelapse, folder: Path) -> str:
    (folder / "TimelapseData.csv").write_text(program.export(), "utf-8")
    return str(folder / "TimelapseData.csv")


def rows_of(out: str) -> list[dict[str, Any]]:
    with connect(out) as connection:
        return connection.sql("SELECT * FROM labels ORDER BY file, detection_id, label_id").to_arrow_table().to_pylist()


@pytest.mark.parametrize("fmt", [LabelFormat.CSV, LabelFormat.TIMELAPSE, LabelFormat.CAMTRAP_DP])
def test_labels_go_through_timelapse_and_are_the_same(tmp_path: Path, fmt: LabelFormat) -> None:
    one, two = audit(tmp_path / "one"), audit(tmp_path / "two")
    import_labels(one, write_labels(fmt, tmp_path), now=datetime(2026, 3, 3, 1, 2, 3, 456, tzinfo=UTC))
    file = saved(opened(one, tmp_path / "tl"), tmp_path)
    again = import_labels(one, file)
    assert again.n_rows == 0 and again.n_repeated == len(read_table(one, "labels"))
    import_labels(two, file, now=datetime(2026, 4, 1, tzinfo=UTC))
    first, second = (sorted(str([row[name] for name in KEPT]) for row in rows_of(out)) for out in (one, two))
    assert first == second


def test_what_a_person_enters_is_of_the_animal_it_was_entered_for(tmp_path: Path) -> None:
    """From left to right; a name that the menus lack; blank; by whom; and from which stratum it was drawn."""
    out = audit(tmp_path / "one")
    program = opened(out, tmp_path / "tl")
    program.enter("a.jpg", animal_1="Nyx", animal_2="Luna", flank="left", labelled_by="ana")
    program.enter("b.jpg", animal_2="unknown", new_name="Tau")
    program.enter("c.jpg", animal_1="blank")
    program.enter("d.jpg", animal_2="unclear")
    found = import_labels(out, saved(program, tmp_path), now=datetime(2026, 4, 1, tzinfo=UTC))
    assert (found.n_rows, found.n_known_media) == (6, 6) and found.new_names == ["Tau"]
    rows = rows_of(out)
    assert [(row["file"], row["detection_id"], row["individual_id"] or row["state"], row["flank"]) for row in rows] == [
        ("a.jpg", "0", "Nyx", "left"), ("a.jpg", "1", "Luna", None), ("b.jpg", "0", "Tau", None),
        ("b.jpg", "1", "unknown", None), ("c.jpg", None, "blank", None), ("d.jpg", "1", "unclear", None),
    ]  # fmt: skip
    assert [row["labelled_by"] for row in rows] == ["ana", "ana", None, None, None, None]
    assert [row["file"] for row in rows if row["queue"] is not None] == ["c.jpg"]
    assert {row["label_source"] for row in rows} == {"csv"}


def test_a_corrected_label_is_new_and_an_emptied_menu_says_nothing(tmp_path: Path) -> None:
    out = audit(tmp_path / "one")
    (tmp_path / "labels.csv").write_text(
        "file,individual_id,detection_id,labelled_by,flank\na.jpg,Luna,0,ana,left\nb.jpg,Luna,0,ana,\nc.jpg,Nyx,1,ana,\n"
    )
    import_labels(out, str(tmp_path / "labels.csv"), now=datetime(2026, 3, 3, tzinfo=UTC))
    program = opened(out, tmp_path / "tl")
    program.enter("a.jpg", animal_1="Nyx", labelled_by="ben")
    program.enter("b.jpg", animal_1="")
    found = import_labels(out, saved(program, tmp_path), now=datetime(2026, 4, 1, tzinfo=UTC))
    assert (found.n_rows, found.n_repeated) == (1, 1)
    (row,) = [row for row in rows_of(out) if row["labelled_by"] == "ben"]
    assert (row["file"], row["detection_id"], row["individual_id"]) == ("a.jpg", "0", "Nyx")


def test_more_animals_than_menus_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    builder = AuditBuilder(tmp_path / "out", individuals=["Luna"])
    for place in range(MAX_ANIMALS + 2):
        box = {"bbox_x_min": place * 0.09, "bbox_y_min": 0.1, "bbox_width": 0.08, "bbox_height": 0.2}
        builder.predict("a.jpg", "Luna", detection=str(place), at=minutes(0), new_media=not place, **box)
    program = opened(builder.write(), tmp_path / "tl")
    assert f"1 picture has more than {MAX_ANIMALS} animals" in caplog.text
    assert sum(label.startswith("animal_") for label in program.controls) == MAX_ANIMALS


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"trapaudit": "[]"}, "line 2: trapaudit is not as trapaudit exported it .TypeError"),
        ({"trapaudit": "{"}, "line 2: trapaudit is not as trapaudit exported it .JSONDecodeError"),
        ({"flank": "top", "animal_1": "Luna"}, "line 2: flank 'top'; expected left, right or nothing"),
        ({"new_name": "Tau", "animal_1": "Luna", "animal_2": "Nyx"}, "new_name is given and no animal's menu is empty"),
    ],
)
def test_a_bad_row_is_one_clear_line(tmp_path: Path, changed: dict[str, str], message: str) -> None:
    program = opened(audit(tmp_path / "one"), tmp_path / "tl")
    program.rows[0] |= changed
    with pytest.raises(InputError, match=message) as error:
        read_labels(saved(program, tmp_path))
    assert "\n" not in str(error.value)


def test_a_picture_that_came_after_the_export_is_read_by_its_name(tmp_path: Path) -> None:
    program = opened(audit(tmp_path / "one"), tmp_path / "tl")
    program.rows[1] |= {"trapaudit": "", "animal_1": "Luna", "RelativePath": "C01\\dep2", "File": "new.jpg"}
    program.rows[2] |= {"DeleteFlag": "true", "animal_1": "Luna"}
    (label,) = read_labels(saved(program, tmp_path)).labels
    assert (label.file, label.detection_id, label.individual_id) == ("C01/dep2/new.jpg", None, "Luna")
