"""A template and a table for Timelapse: a row for each picture, in it a menu of names for each animal.

The form of the template's tables is that of Timelapse 2.3; later versions read it and add what they know beyond it.
"""

from __future__ import annotations

import csv
import json
import sqlite3
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path, PurePosixPath

import duckdb

from scd_core.audit.export.label_tasks import LabelTask, label_names, label_tasks
from scd_core.audit.export.megadetector import write_megadetector
from scd_core.errors import InputError
from scd_core.inputs.exported import CARRIED, word_of
from scd_core.inputs.timelapse_table import ANIMAL, NEW_NAME
from scd_core.label_names import LabelState
from scd_core.names import UNKNOWN, Flank

__all__ = ["MAX_ANIMALS", "write_timelapse"]

MAX_ANIMALS = 8
"""Most animals of one picture that have a menu."""
_COLUMNS = (
    "ControlOrder", "SpreadsheetOrder", "Type", "DefaultValue", "Label", "DataLabel", "Tooltip", "TXTBOXWIDTH", "Copyable",
    "Visible", "List", "ExportToCSV",
)  # fmt: skip
_VERSION = "2.3.0.0"


def write_timelapse(
    connection: duckdb.DuckDBPyConnection, folder: Path, now: datetime, limit: int | None = None
) -> list[str]:
    """Write ``TimelapseTemplate.tdb``, ``timelapse.csv`` to import into it, and ``megadetector.json`` with the boxes.

    The template goes into SOURCE, which becomes Timelapse's root folder. Each picture has one row, as Timelapse makes it: the
    names that the model gave (`called`), a menu for each animal (`animal_1` is the one furthest left; labels that count stand
    there already), a field for a name that the menus lack, who looked, and a hidden field with all that `labels import`
    needs to know which animal each name is of.

    Args:
        connection: database with the tables of :func:`scd_core.audit.export.newest.create_newest`.
        folder: local folder that gets the files.
        now: time of the export.
        limit: most pictures; None takes all.

    Returns:
        One line for each thing that the table lacks.

    Raises:
        InputError: the audit holds no picture to name.
    """
    names = label_names(connection)
    sizes = Counter(len(task.picture.slots()) for task in label_tasks(connection, limit))
    if not sizes:
        raise InputError("export timelapse: the audit holds no picture with something to name")
    write_megadetector(connection, folder, now)
    n_menus = min(MAX_ANIMALS, max(sizes))
    _write_template(folder / "TimelapseTemplate.tdb", names, n_menus)
    with (folder / "timelapse.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["File", "RelativePath", *_fields(n_menus)])
        writer.writerows(_row(task, n_menus) for task in label_tasks(connection, limit))
    over = sum(n for size, n in sizes.items() if size > MAX_ANIMALS)
    if not over:
        return []
    return [
        f"{over} {'picture has' if over == 1 else 'pictures have'} more than {MAX_ANIMALS} animals and labels; "
        "those further right have no menu"
    ]


def _fields(n_menus: int) -> list[str]:
    return [
        "called",
        *(f"{ANIMAL}{number}" for number in range(1, n_menus + 1)),
        NEW_NAME,
        "flank",
        "labelled_by",
        CARRIED,
    ]


def _row(task: LabelTask, n_menus: int) -> list[str]:
    path = PurePosixPath(task.row["file"])
    folder = "" if str(path.parent) == "." else str(path.parent).replace("/", "\\")
    called = "; ".join(f"{one.name} {one.probability:.0%}" for one in task.suggestions)
    slots = task.picture.slots()[:n_menus]
    given = [word_of(slot.label) if slot.label else "" for slot in slots]
    given += [""] * (n_menus - len(given))
    return [path.name, folder, called, *given, "", "", "", task.picture.as_text()]


def _write_template(file: Path, names: Sequence[str], n_menus: int) -> None:
    """An SQLite database with the two tables of a Timelapse template."""
    states = [UNKNOWN, LabelState.BLANK, LabelState.UNCLEAR]
    menu = _menu([*(name for name in names if name not in states), *map(str, states)])
    controls: list[tuple[str, str, str, str, str, int, bool, bool, str, bool]] = [
        ("File", "", "File", "File", "The file name", 100, False, True, "", True),
        (
            "RelativePath",
            "",
            "RelativePath",
            "RelativePath",
            "Folder, from the root folder",
            100,
            False,
            True,
            "",
            True,
        ),
        ("DateTime", "0001-01-01 00:00:00", "DateTime", "DateTime", "Date and time taken", 160, False, True, "", True),
        ("DeleteFlag", "false", "Delete?", "DeleteFlag", "Mark a file to be deleted", 20, False, True, "", True),
        ("Note", "", "Called", "called", "Names that the model gave, from left to right", 200, False, True, "", True),
    ]
    for number in range(1, n_menus + 1):
        tip = "Who it is; animals are counted from left to right. Empty: not looked at"
        label, key = (f"Animal {number}", f"{ANIMAL}{number}")
        controls.append(("FixedChoice", "", label, key, tip, 120, False, True, menu, True))
    controls += [
        (
            "Note",
            "",
            "New name",
            NEW_NAME,
            "A name not in the menus, of the first animal with an empty one",
            120,
            False,
            True,
            "",
            True,
        ),
        ("FixedChoice", "", "Flank", "flank", "Flank of the first animal", 60, False, True, _menu(list(Flank)), True),
        ("Note", "", "Labelled by", "labelled_by", "Who looked", 80, True, True, "", True),
        ("Note", "", "Trapaudit", CARRIED, "For the way back; leave it as it is", 20, False, False, "", True),
    ]
    connection = sqlite3.connect(file)
    try:
        connection.execute(
            "CREATE TABLE TemplateTable (Id INTEGER PRIMARY KEY AUTOINCREMENT, ControlOrder INTEGER, SpreadsheetOrder INTEGER, "
            + ", ".join(f"{column} TEXT" for column in _COLUMNS[2:])
            + ")"
        )
        connection.execute("CREATE TABLE TemplateInfo (VersionCompatabily TEXT)")  # so spelt in Timelapse
        connection.execute("INSERT INTO TemplateInfo VALUES (?)", (_VERSION,))
        connection.executemany(
            f"INSERT INTO TemplateTable ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))})",
            ((place, place, *map(_as_text, control)) for place, control in enumerate(controls, 1)),
        )
        connection.commit()
    finally:
        connection.close()


def _menu(choices: Sequence[str]) -> str:
    return json.dumps({"IncludeEmptyChoice": True, "ChoiceListNonEmpty": list(choices)}, ensure_ascii=False)


def _as_text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
