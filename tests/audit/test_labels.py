"""Labels in an audit: what an import adds, what waits, what is in doubt."""

import unicodedata
from datetime import UTC, datetime
from typing import get_type_hints

import pytest

from scd_core.audit import read_table
from scd_core.audit.errors.derive import derive_errors
from scd_core.audit.labels import truth
from scd_core.audit.labels.checks import check_labels, strange_files
from scd_core.audit.labels.importing import import_labels, label_rows, list_imports, undo_import
from scd_core.errors import InputError
from scd_core.inputs.labels import Label, LabelFile, read_labels
from scd_core.label_names import LabelFormat
from scd_core.names import Flank
from scd_core.tables.rows import LabelRow, MediaRow
from scd_core.tables.schema import TABLES, is_required
from tests.audit.audit_builder import AuditBuilder, label, write_csv


def test_rows_have_ids_that_stay():
    """The ids that earlier versions wrote: a label imported again is known by its id."""
    moment, now = datetime(2026, 2, 1, 5, 30, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC)
    csv = (Label("C01/a.jpg", "0", "Luna", Flank.LEFT, "ana", moment), Label("a.jpg", None, "Luna", None, None, None))
    first, second = label_rows(LabelFile("l.csv", LabelFormat.CSV, "0", csv), now)
    assert (first["label_id"], second["label_id"]) == ("0913b2d113669c66", "776bb052d651a34d")
    assert (first["labelled_at"], second["labelled_at"]) == (moment, now)
    package = (Label("C01/a.jpg", None, "Luna", None, "Ana", datetime(2026, 3, 2, tzinfo=UTC)),)
    (row,) = label_rows(LabelFile("observations.csv", LabelFormat.CAMTRAP_DP, "0", package), now)
    assert row["label_id"] == "c6790b2c18291416"


def test_import_is_idempotent_and_waits_for_media(tmp_path):
    out = tmp_path / "out"
    early = label(out, tmp_path, {"C01/a.jpg": "Luna"})
    assert (early.n_rows, early.n_known_media, early.n_waiting) == (1, 0, 1)
    builder = AuditBuilder(out)
    builder.predict("C01/a.jpg", "Luna")
    builder.predict("C01/b.jpg", "Luna")
    builder.write()
    again = label(out, tmp_path, {"C01/a.jpg": "Luna"})
    assert (again.n_rows, again.n_repeated, again.import_id) == (0, 1, early.import_id)
    late = label(out, tmp_path, {"C01/a.jpg": "Luna", "C01/b.jpg": "Nyx"})
    assert (late.n_rows, late.n_repeated, late.n_known_media) == (1, 1, 1)
    table = read_table(str(out), "labels")
    assert sorted(zip(table["file"], table["individual_id"])) == [("C01/a.jpg", "Luna"), ("C01/b.jpg", "Nyx")]


def test_taking_a_name_back_is_news(tmp_path):
    builder = AuditBuilder(tmp_path / "out")
    builder.predict("a.jpg", "Luna")
    out = builder.write()
    for day, name in enumerate(("Luna", "Nyx", "Luna"), start=1):
        result = label(
            out, tmp_path, {"a.jpg": name, f"other{day}.jpg": "Luna"}, now=datetime(2026, 3, day, tzinfo=UTC)
        )
        assert result.n_rows == 2
    assert len(read_table(out, "labels")) == 6


def test_columns_that_are_never_null_hold_of_waiting_labels_and_of_undone_ones(tmp_path):
    """The medium of a label is null while it waits; that of a candidate where it is merged; of any other table it never is."""
    result = label(tmp_path / "out", tmp_path, {"a.jpg": "Luna", "b.jpg": "blank"})
    undo_import(str(tmp_path / "out"), result.import_id)
    table = read_table(str(tmp_path / "out"), "labels")
    assert (len(table), table["media_id"].isna().all()) == (3, True)
    assert table[[column for column in TABLES["labels"] if is_required("labels", column)]].notna().all(axis=None)
    assert [name for name in TABLES if "media_id" in TABLES[name] and not is_required(name, "media_id")] == [
        "labels",
        "candidates",
    ]
    assert get_type_hints(LabelRow)["media_id"] == str | None and get_type_hints(MediaRow)["media_id"] is str


def test_conflicts_of_one_moment_are_reported(tmp_path):
    builder = AuditBuilder(tmp_path / "out")
    builder.predict("a.jpg", "Luna")
    out = builder.write()
    moment = "2026-03-01T00:00:00Z"
    assert not label(out, tmp_path, {"a.jpg": "Luna"}, labelled_by="ana", labelled_at=moment).conflicts
    found = label(out, tmp_path, {"a.jpg": "Nyx"}, labelled_by="ben", labelled_at=moment, name="two.csv").conflicts
    assert found == ["a.jpg at 2026-03-01T00:00:00Z: Luna (ana), Nyx (ben)"]


@pytest.mark.parametrize("name", ["C01/a.jpg", "s3://cards/C01/a.jpg", "cards/C01/a.jpg", "a.jpg"])
def test_media_are_found_by_uri_path_or_unique_name(tmp_path, name):
    builder = AuditBuilder(tmp_path / "out")
    builder.predict("C01/a.jpg", "Luna")
    builder.predict("C01/b.jpg", "Luna")
    assert label(builder.write(), tmp_path, {name: "Luna"}).n_known_media == 1


@pytest.mark.parametrize(("name", "n_compared"), [("C01/a.jpg", 0), ("s3://cards/C01/a.jpg", 0), ("c01/A.JPG", 2)])
def test_a_file_as_it_is_written_is_not_compared_with_the_names_of_all_media(tmp_path, monkeypatch, name, n_compared):
    builder = AuditBuilder(tmp_path / "out")
    builder.predict("C01/a.jpg", "Luna")
    builder.predict("C02/a.jpg", "Luna")
    compared = []

    class Index(truth.MediaIndex):
        def __init__(self, media):
            compared.extend(found := list(media))
            super().__init__(found)

    monkeypatch.setattr(truth, "MediaIndex", Index)
    label(builder.write(), tmp_path, {name: "Luna"})
    assert len(compared) == n_compared
    assert found(str(tmp_path / "out")) == {"id-C01/a.jpg": ("Luna", "correct")}


def test_a_name_that_fits_two_objects_is_reported(tmp_path):
    builder = AuditBuilder(tmp_path / "out")
    builder.predict("C01/a.jpg", "Luna")
    builder.predict("C02/a.jpg", "Luna")
    result = label(builder.write(), tmp_path, {"a.jpg": "Luna", "C02/a.jpg": "Nyx"})
    assert (result.ambiguous, result.n_known_media, result.n_waiting) == (["a.jpg"], 1, 1)


def test_a_duplicates_label_belongs_to_the_first_object(tmp_path):
    builder = AuditBuilder(tmp_path / "out")
    builder.predict("a.jpg", "Luna")
    builder.media("copy.jpg", status="duplicate", duplicate_of="id-a.jpg")
    out = builder.write()
    label(out, tmp_path, {"copy.jpg": "Luna"})
    assert read_table(out, "labels")["media_id"].tolist() == ["id-a.jpg"]


def test_check_labels(tmp_path):
    labels = read_labels(write_csv(tmp_path / "l.csv", [
        {"file": "C01/a.jpg", "individual_id": "Luna"},
        {"file": "C09/z.jpg", "individual_id": "Lnua"},
    ])).labels  # fmt: skip
    with pytest.raises(InputError) as caught:
        check_labels(labels, ["C09/z.jpg"], ["Luna", "Nyx"], "SOURCE")
    assert str(caught.value) == (
        "labels: neither the model nor earlier labels know 1 individual: `Lnua`: did you mean `Luna`?; mend the file, or pass "
        "--allow-new-names where this is meant"
    )
    with pytest.raises(InputError, match="none of 2 files is among"):
        check_labels(labels, ["C01/a.jpg", "C09/z.jpg"], ["Luna"], "SOURCE", allow_new_names=True)
    with pytest.raises(InputError, match="the model knows none of the individuals"):
        check_labels(labels, [], ["Nyx"], "SOURCE")
    assert check_labels(labels, ["C09/z.jpg"], ["Luna"], "SOURCE", allow_new_names=True) == ["Lnua"]
    assert check_labels(labels, ["C09/z.jpg"], None, "SOURCE") == []
    fine = read_labels(write_csv(tmp_path / "f.csv", [{"file": "a.jpg", "individual_id": "unknown"}])).labels
    assert check_labels(fine, [], ["Nyx"], "SOURCE") == []


def test_import_needs_no_audit_but_a_readable_file(tmp_path):
    with pytest.raises(InputError):
        import_labels(str(tmp_path / "out"), str(tmp_path / "none.csv"))
    assert not (tmp_path / "out").exists()


def boxes(out, file, *names, **more):
    builder = AuditBuilder(out, individuals=["Luna", "Nyx", "Odin"])
    for place, name in enumerate(names):
        box = {"bbox_x_min": 0.5 * place, "bbox_y_min": 0.1, "bbox_width": 0.4, "bbox_height": 0.4}
        builder.predict(file, name, detection=str(place), new_media=not place, **box, **more)
    return builder.write()


def found(out):
    return {row["target_id"]: (row["true_id"], row["error_type"]) for row in derive_errors(out).to_pylist()}


def test_a_then_b_then_a_again_is_a(tmp_path):
    """Without a time of labelling as well: the same file imported again is the last decision."""
    builder = AuditBuilder(tmp_path / "out")
    builder.predict("a.jpg", "Luna")
    out = builder.write()
    ids = []
    for day, name in enumerate(("Luna", "Nyx", "Luna", "Nyx", "Luna"), start=1):
        result = label(out, tmp_path, {"a.jpg": name}, now=datetime(2026, 3, day, tzinfo=UTC))
        assert result.n_rows == 1
        ids.append(result.import_id)
        assert found(out)["id-a.jpg"][0] == name
    assert len(set(ids)) == 5
    assert label(out, tmp_path, {"a.jpg": "Luna"}, now=datetime(2026, 3, 9, tzinfo=UTC)).n_rows == 0


def test_a_run_that_is_given_the_same_file_each_night_decides_nothing(tmp_path):
    builder = AuditBuilder(tmp_path / "out")
    builder.predict("a.jpg", "Luna")
    out = builder.write()
    file = write_csv(tmp_path / "nightly.csv", [{"file": "a.jpg", "individual_id": "Luna"}])
    import_labels(out, file, is_decision=False)
    label(out, tmp_path, {"a.jpg": "Nyx"}, now=datetime(2126, 3, 9, tzinfo=UTC))
    assert import_labels(out, file, is_decision=False).n_rows == 0
    assert found(out)["id-a.jpg"][0] == "Nyx"


def test_an_import_is_undone_by_a_row_and_imported_again(tmp_path):
    builder = AuditBuilder(tmp_path / "out")
    builder.predict("a.jpg", "Luna")
    out = builder.write()
    first = label(out, tmp_path, {"a.jpg": "Luna"}, labelled_by="ana", now=datetime(2026, 3, 1, tzinfo=UTC))
    second = label(
        out, tmp_path, {"a.jpg": "Nyx"}, labelled_by="ben", now=datetime(2026, 3, 2, tzinfo=UTC), name="b.csv"
    )
    with pytest.raises(InputError, match=rf"no such import; imports are {first.import_id}, {second.import_id}"):
        undo_import(out, "zz")
    with pytest.raises(InputError, match="IMPORT is empty; give the import_id that `trapaudit labels list OUT` shows"):
        undo_import(out, " ")
    assert undo_import(out, second.import_id[:12]) == 1
    assert found(out)["id-a.jpg"] == ("Luna", "correct")
    with pytest.raises(InputError, match="is undone already"):
        undo_import(out, second.import_id)
    undoing = read_table(out, "labels").query("undoes_import_id.notna()")["import_id"].item()
    for start in (undoing, undoing[:10]):
        with pytest.raises(
            InputError, match=rf"is the undoing of import {second.import_id}; import the file again to take that back$"
        ):
            undo_import(out, start)
    listed = list_imports(out).to_pylist()
    assert [(row["file"], row["labelled_by"], row["n_labels"], row["n_count"]) for row in listed] == [
        ("labels.csv", "ana", 1, 1),
        ("b.csv", "ben", 1, 0),
    ]
    assert [row["undone_at"] is None for row in listed] == [True, False]
    assert len(read_table(out, "labels")) == 3  # nothing was taken away
    again = label(
        out, tmp_path, {"a.jpg": "Nyx"}, labelled_by="ben", now=datetime(2026, 3, 4, tzinfo=UTC), name="b.csv"
    )
    assert again.n_rows == 1 and again.import_id != second.import_id
    assert found(out)["id-a.jpg"][0] == "Nyx"
    undo_import(out, again.import_id)
    undo_import(out, first.import_id)
    assert found(out) == {}


def test_a_blank_picture_is_right_without_a_name_and_wrong_with_one(tmp_path):
    builder = AuditBuilder(tmp_path / "out")
    for file, name in (("none.jpg", None), ("luna.jpg", "Luna"), ("unknown.jpg", "unknown"), ("class.jpg", "Empty")):
        builder.predict(file, name)
    builder.predict("boxes.jpg", "Luna", detection="0")
    builder.predict("boxes.jpg", "Nyx", detection="1", new_media=False)
    out = builder.write()
    label(out, tmp_path, dict.fromkeys(["none.jpg", "luna.jpg", "unknown.jpg", "class.jpg", "boxes.jpg"], "blank"))
    assert set(read_table(out, "labels")["individual_id"]) == {None}
    assert found(out) == {
        "id-none.jpg": ("blank", "correct"),
        "id-class.jpg": ("blank", "correct"),
        "id-luna.jpg": ("blank", "combination"),
        "id-unknown.jpg": ("blank", "split"),
        "id-boxes.jpg:0": ("blank", "combination"),
        "id-boxes.jpg:1": ("blank", "combination"),
    }


def test_blank_and_an_animal_supersede_each_other(tmp_path):
    out = boxes(tmp_path / "out", "a.jpg", "Luna", "Nyx")
    for day, (name, box, expected) in enumerate(
        (("blank", "", {"blank"}), ("Luna", "0", {"Luna"}), ("empty", "", {"blank"})), start=1
    ):
        label(out, tmp_path, {"a.jpg": name}, detection_id=box, now=datetime(2026, 3, day, tzinfo=UTC))
        assert {true for true, _ in found(out).values()} == expected


def observations(tmp_path, *lines):
    (tmp_path / "media.csv").write_text(
        "mediaID,deploymentID,timestamp,filePath\nm1,d1,2026-03-01T06:00:00Z,C01/a.jpg\n"
    )
    head = "observationID,deploymentID,mediaID,individualID,bboxX,bboxY,bboxWidth,bboxHeight,classificationMethod,classifiedBy\n"
    path = tmp_path / "observations.csv"
    path.write_text(head + "".join(f"o{n},d1,m1,{line},human,Ana\n" for n, line in enumerate(lines)))
    return str(path)


def test_a_label_is_of_the_box_that_agrees_with_its_own(tmp_path):
    out = boxes(tmp_path / "out", "C01/a.jpg", "Luna", "Nyx")
    result = import_labels(out, observations(tmp_path, "Odin,0.52,0.1,0.4,0.4", "Luna,0,0.12,0.4,0.4"))
    assert (result.conflicts, result.counts.joined, result.counts.notes) == ([], 2, ())
    assert found(out) == {"id-C01/a.jpg:0": ("Luna", "correct"), "id-C01/a.jpg:1": ("Odin", "shift")}


def test_several_animals_without_a_box_are_no_conflict_and_are_counted(tmp_path):
    out = boxes(tmp_path / "out", "C01/a.jpg", "Luna", "Nyx")
    result = import_labels(out, observations(tmp_path, "Odin,,,,", "Luna,,,,", "Nyx,0.2,0.6,0.1,0.1"))
    assert result.conflicts == []
    assert result.counts.notes == ("3 labels name no box of a picture with several animals, such as 'C01/a.jpg'",)
    assert found(out) == {}


def test_one_box_needs_no_box_in_the_label_and_all_rows_of_it_are_one_animal(tmp_path):
    out = boxes(tmp_path / "out", "C01/a.jpg", "Luna")
    import_labels(out, observations(tmp_path, "Nyx,0.8,0.8,0.1,0.1"), now=datetime(2026, 3, 1, tzinfo=UTC))
    assert found(out)["id-C01/a.jpg:0"][0] == "Nyx"
    label(out, tmp_path, {"C01/a.jpg": "Luna"}, now=datetime(2026, 3, 2, tzinfo=UTC))
    assert found(out)["id-C01/a.jpg:0"] == ("Luna", "correct")


@pytest.mark.parametrize(
    "name", ["C01/A.JPG", "c01/a.jpg", "D:\\cards\\C01\\a.jpg", "/mnt/x/C01/a.jpg", "cards/C01/A.jpg"]
)
def test_labels_join_as_detections_do(tmp_path, name):
    builder = AuditBuilder(tmp_path / "out")
    builder.predict("C01/a.jpg", "Luna")
    assert label(builder.write(), tmp_path, {name: "Luna"}).n_known_media == 1


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_labels_join_in_either_unicode_form(tmp_path, form):
    builder = AuditBuilder(tmp_path / "out")
    builder.predict(unicodedata.normalize(form, "C01/Müritz/a.jpg"), "Luna")
    builder.predict("C02/a.jpg", "Luna")
    for other in ("NFC", "NFD"):
        path = unicodedata.normalize(other, "C01/Müritz/a.jpg")
        assert label(builder.write(), tmp_path, {path: "Luna"}, name=f"{other}.csv").n_waiting == 0


def test_a_strict_import_refuses_what_a_run_refuses(tmp_path):
    builder = AuditBuilder(tmp_path / "out", individuals=["great_white_shark", "Luna"])
    builder.predict("a.jpg", "Luna")
    out = builder.write()
    strict = {"allow_waiting": False, "allow_new_names": False}

    def imports(truths, **allowed):
        rows = [{"file": file, "individual_id": name} for file, name in truths.items()]
        return import_labels(out, write_csv(tmp_path / "s.csv", rows), **strict | allowed)

    misspelt = {"a.jpg": "Great white shark", "b.jpg": "Luna"}
    with pytest.raises(InputError, match=r"`Great white shark`: did you mean `great_white_shark`\?"):
        imports(misspelt)
    with pytest.raises(InputError, match="its one file is not among the images of OUT"):
        imports({"z.jpg": "Luna"})
    assert len(read_table(out, "labels")) == 0
    assert imports({"z.jpg": "Luna"}, allow_waiting=True).counts.waiting == 1
    assert imports(misspelt, allow_new_names=True).new_names == ["Great white shark"]
    assert imports({"a.jpg": "Luna", "y.jpg": "Luna"}).waiting == ["y.jpg"]
    assert strange_files(["y.jpg"], "OUT") == "labels: 1 file is not among the images of OUT: y.jpg"
    assert imports({"a.jpg": "Great white shark"}).n_rows == 1  # an earlier label knows it now


def test_labels_dated_in_the_future_are_said(tmp_path):
    """A year that was mistyped would win over every later decision, in silence."""
    builder = AuditBuilder(tmp_path / "out")
    builder.predict("C01/a.jpg", "Luna")
    out, now = builder.write(), datetime(2026, 3, 2, tzinfo=UTC)
    for moment, n in (("2026-03-02T18:00:00", 0), ("2062-03-01T00:00:00Z", 1)):
        (tmp_path / "l.csv").write_text(f"file,individual_id,labelled_at\nC01/a.jpg,Luna,{moment}\n")
        notes = import_labels(out, str(tmp_path / "l.csv"), now=now).counts.notes
        assert len(notes) == n
    assert notes[0].startswith("1 label is dated in the future, such as 'C01/a.jpg' at 2062-03-01 00:00;")


def test_every_row_of_a_file_is_counted(tmp_path):
    builder = AuditBuilder(tmp_path / "out")
    builder.predict("C01/a.jpg", "Luna")
    builder.predict("C02/a.jpg", "Luna")
    counts = label(builder.write(), tmp_path, {"C01/a.jpg": "Luna", "a.jpg": "Nyx", "z.jpg": "Nyx"}).counts
    assert (counts.rows, counts.joined, counts.waiting, counts.unusable) == (3, 1, 2, 0)
    assert counts.line() == (
        "labels labels.csv: 3 rows, 1 joined, 2 waiting ('a.jpg' fits several pictures; 'z.jpg' fits no picture)"
    )
