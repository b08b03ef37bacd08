"""`run --labels` and `labels import` accept and refuse the same files of labels, in the same words."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scd_core.audit.labels.importing import import_labels, undo_import
from scd_core.errors import InputError
from scd_core.identify.package import read_package
from scd_core.inputs.labels import read_labels
from scd_core.job import list_job, prepare_job
from scd_core.scenes import packaged_model
from tests.audit.audit_builder import AuditBuilder, label
from tests.services.audits import request_of

MODEL = packaged_model("clean")
NAMES = read_package(str(MODEL)).spec.labels
KNOWN, OTHER = NAMES[:2]


class Doors:
    """A card with two pictures, an audit of it, and both ways in."""

    def __init__(self, folder: Path, *, is_audited: bool = True, individuals: list[str] | None = None) -> None:
        self.folder, self.card, self.out = folder, folder / "card", str(folder / "audit")
        self.card.mkdir()
        builder = AuditBuilder(self.out, individuals=list(NAMES) if individuals is None else individuals)
        for name in ("a.jpg", "b.jpg"):
            (self.card / name).write_bytes(b"x")
            builder.predict(name, KNOWN, uri=(self.card / name).as_uri())
        if is_audited:
            builder.write()

    def through_run(self, file: str, column: str | None = None, by_person: bool = False, **allowed: bool) -> None:
        request = request_of(self.card, MODEL, self.out, labels=file, column=column, by_person=by_person, **allowed)
        list_job(prepare_job(request))

    def through_import(self, file: str, column: str | None = None, by_person: bool = False, **allowed: bool) -> None:
        strict = {"allow_waiting": False, "allow_new_names": False}
        import_labels(self.out, read_labels(file, column=column, by_person=by_person), **strict | allowed)

    def messages(self, file: str, **options: Any) -> list[str | None]:
        """What each says, None where it accepts the file; the run first, since it writes nothing."""
        said: list[str | None] = []
        for door in (self.through_run, self.through_import):
            try:
                door(file, **options)
            except InputError as error:
                said.append(str(error).replace("images of SOURCE", "images of OUT"))
            else:
                said.append(None)
        return said

    def csv(self, *rows: str, head: str = "file,individual_id", name: str = "labels.csv") -> str:
        (self.folder / name).write_text("\n".join([head, *rows]) + "\n")
        return str(self.folder / name)

    def json(self, **content: Any) -> str:
        (self.folder / "labels.json").write_text(json.dumps(content))
        return str(self.folder / "labels.json")

    def machine_package(self) -> str:
        self.csv("m1,a.jpg", head="mediaID,filePath", name="media.csv")
        head = "observationID,mediaID,individualID,classificationMethod"
        return self.csv(f"o1,m1,{KNOWN},machine", head=head, name="observations.csv")


SCORED = [{"bbox": [0.1, 0.1, 0.2, 0.2], "conf": 0.8, "classifications": [["0", 0.9]]}]
REFUSED: dict[str, tuple[Callable[[Doors], str], str]] = {
    "no file known": (lambda doors: doors.csv(f"c.jpg,{KNOWN}", f"d.jpg,{KNOWN}"), "none of 2 files is among the images"),
    "its one file": (lambda doors: doors.csv(f"c.jpg,{KNOWN}"), "its one file is not among the images of OUT"),
    "a name misspelt": (lambda doors: doors.csv(f"a.jpg,{KNOWN}", f"b.jpg,{OTHER.upper()}"), f"did you mean `{OTHER}`?"),
    "no name known": (lambda doors: doors.csv("a.jpg,Zebedee", "b.jpg,Zoltan"), "the model knows none of the individuals"),
    "no name known, one file": (lambda doors: doors.csv("a.jpg,Zebedee", "z.jpg,blank"), "nor do earlier labels"),
    "no column": (lambda doors: doors.csv("a.jpg,x", head="file,name"), "no column individual_id"),
    "a table of Timelapse": (
        lambda doors: doors.csv(f"a.jpg,,{KNOWN}", head="File,RelativePath,Who"),
        "name the column of names: --column NAME",
    ),
    "probabilities": (
        lambda doors: doors.csv(f"a.jpg,{KNOWN},0.9", head="file,individual_id,probability"),
        "pass --by-person",
    ),
    "a machine's package": (Doors.machine_package, "no observation has classificationMethod human"),
    "a classifier's results": (
        lambda doors: doors.json(classification_categories={"0": KNOWN}, images=[{"file": "a.jpg", "detections": SCORED}]),
        "these are a classifier's results",
    ),
}  # fmt: skip


@pytest.mark.parametrize("mistake", REFUSED)
def test_both_refuse_a_mistake_in_the_same_words(tmp_path: Path, mistake: str) -> None:
    doors = Doors(tmp_path)
    write, words = REFUSED[mistake]
    of_run, of_import = doors.messages(write(doors))
    assert of_run is not None and words in of_run
    assert of_import == of_run


@pytest.mark.parametrize(
    ("write", "options"),
    [
        (lambda doors: doors.csv(f"a.jpg,{KNOWN}", f"z.jpg,{KNOWN}"), {}),
        (lambda doors: doors.csv(f"z.jpg,{KNOWN}"), {"allow_waiting": True}),
        (lambda doors: doors.csv("a.jpg,Zebedee"), {"allow_new_names": True}),
        (lambda doors: doors.csv(f"a.jpg,,{KNOWN}", head="File,RelativePath,Who"), {"column": "who"}),
        (lambda doors: doors.csv(f"a.jpg,{KNOWN},1", head="file,individual_id,score"), {"by_person": True}),
        (lambda doors: doors.csv("a.jpg,blank", "b.jpg,unknown"), {}),
    ],
)
def test_both_accept_the_same(tmp_path: Path, write: Callable[[Doors], str], options: dict[str, Any]) -> None:
    """A file of which some pictures are not there is one of them: its other labels wait."""
    doors = Doors(tmp_path)
    assert doors.messages(write(doors), **options) == [None, None]


def test_each_permission_is_of_its_own_doubt(tmp_path: Path) -> None:
    doors = Doors(tmp_path)
    file = doors.csv("z.jpg,Zebedee")
    for allowed, words in (("allow_waiting", "the model knows none"), ("allow_new_names", "its one file is not")):
        of_run, of_import = doors.messages(file, **{allowed: True})
        assert of_run is not None and words in of_run and of_import == of_run


def test_both_know_the_names_of_earlier_labels_and_of_earlier_models(tmp_path: Path) -> None:
    doors = Doors(tmp_path, individuals=[*NAMES, "Elder"])
    file = doors.csv("a.jpg,Zebedee", "b.jpg,Elder")
    earlier = label(doors.out, tmp_path, {"b.jpg": "Zebedee"}, name="earlier.csv")
    doors.through_run(file)
    undo_import(doors.out, earlier.import_id)
    of_run, of_import = doors.messages(file)
    assert of_run is not None and "do not" not in of_run and "know 1 individual: `Zebedee`" in of_run
    assert of_import == of_run


def test_files_are_checked_where_no_model_is_known_and_names_where_no_media_are(tmp_path: Path) -> None:
    """Before the first run nothing is known, and labels wait."""
    (tmp_path / "old").mkdir()
    (tmp_path / "new").mkdir()
    old = Doors(tmp_path / "old", individuals=[])
    with pytest.raises(InputError, match="its one file is not among the images of OUT"):
        old.through_import(old.csv("z.jpg,Zebedee"))
    new = Doors(tmp_path / "new", is_audited=False)
    new.through_import(new.csv("z.jpg,Zebedee"))
    with pytest.raises(InputError, match="its one file is not among the images of SOURCE"):
        new.through_run(new.csv("z.jpg,Zebedee"))


@pytest.mark.parametrize(("given", "words"), [({"column": "Who"}, "--column"), ({"by_person": True}, "--by-person")])
def test_options_of_labels_need_labels(tmp_path: Path, given: dict[str, Any], words: str) -> None:
    doors = Doors(tmp_path)
    with pytest.raises(InputError, match=f"{words}: is of labels; give them with --labels"):
        prepare_job(request_of(doors.card, MODEL, doors.out, **given))
