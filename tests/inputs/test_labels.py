"""Human truth: what the files of labels hold, and what is refused."""

import gzip
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from scd_core.errors import InputError
from scd_core.inputs.labels import read_labels

DATA = Path(__file__).resolve().parents[2] / ".." / "shared" / "data"


def rows(file):
    return read_labels(str(file)).labels


def text(tmp_path, content, name="labels.csv"):
    path = tmp_path / name
    path.write_text(content) if isinstance(content, str) else path.write_bytes(content)
    return path


def test_csv_gives_who_and_when(tmp_path):
    file = text(
        tmp_path,
        "file,individual_id,detection_id,labelled_by,labelled_at,flank\n"
        "C01\\a.jpg,Luna,0,ana,2026-02-01T07:30:00+02:00,Left\n"
        "s3://key:secret@cards/b.jpg, Nyx ,,,,\n",
    )
    first, second = rows(file)
    assert (first.file, first.detection_id, first.flank) == ("C01/a.jpg", "0", "left")
    assert (first.labelled_by, first.labelled_at) == ("ana", datetime(2026, 2, 1, 5, 30, tzinfo=UTC))
    assert (second.file, second.individual_id, second.labelled_by) == ("s3://cards/b.jpg", "Nyx", None)
    assert second.labelled_at is None


def test_csv_with_a_mark_semicolons_and_quotes(tmp_path):
    file = text(tmp_path, '\ufefffile;individual_id\r\n"C01/with\nbreak.jpg";Luna\r\na.jpg;"Nyx; the second"\r\n')
    assert [row.individual_id for row in rows(file)] == ["Luna", "Nyx; the second"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("file,name\na.jpg,Luna\n", "line 1: no column individual_id"),
        ("", "line 1: no column file"),
        ("file,individual_id\na.jpg,Luna\n,Nyx\n", "line 3: file is empty"),
        ("file,individual_id\na.jpg,\n", "line 2: individual_id is empty; write unknown"),
        ("file,individual_id,labelled_at\na.jpg,Luna,\nb.jpg,Luna,yesterday\n", "line 3: labelled_at 'yesterday'"),
        ("file,individual_id\na.jpg,Luna,Nyx\n", "line 2: more values than the 2 columns"),
        ("file,individual_id,flank\na.jpg,Luna,top\n", "line 2: flank 'top'"),
        ("file,individual_id,Individual_ID\na.jpg,Luna,Nyx\n", "line 1: column individual_id is there twice"),
        ("file,individual_id\n", "holds no label"),
        (b"file,individual_id\na.jpg,Lun\xe9\n", "line 2: not UTF-8"),
        ('{"images": 3}', "no list `images`"),
        ('{"images": [{"detections": []}]}', "images[0]: no file"),
    ],
)
def test_bad_lines_are_named(tmp_path, content, message):
    with pytest.raises(InputError) as caught:
        rows(text(tmp_path, content))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_lines_of_separators_below_a_table_are_no_rows(tmp_path):
    """Spreadsheets write them where cells below the table were once used."""
    found = read_labels(str(text(tmp_path, "file;individual_id;flank\na.jpg;Luna;\n;;\n ; ;\n")))
    assert (len(found.labels), found.n_rows) == (1, 1)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match=r"none\.csv: no such file"):
        read_labels(str(tmp_path / "none.csv"))


def test_unknown_format_is_refused(tmp_path):
    with pytest.raises(InputError, match="labels format xlsx: not known"):
        read_labels(str(text(tmp_path, "file,individual_id\na,b\n")), "xlsx")


OBSERVATIONS = (
    "observationID,deploymentID,mediaID,eventStart,eventEnd,individualID,classificationMethod,classifiedBy,"
    "classificationTimestamp\n"
)
MEDIA = (
    "mediaID,deploymentID,timestamp,filePath\n"
    "m1,d1,2026-03-01T06:00:00Z,C01/a.jpg\n"
    "m2,d1,2026-03-01T06:00:10Z,C01/b.jpg\n"
    "m3,d2,2026-03-01T06:00:05Z,C02/c.jpg\n"
)


def test_camtrap_dp_takes_human_names_only(tmp_path):
    text(tmp_path, MEDIA, "media.csv")
    file = text(
        tmp_path,
        OBSERVATIONS
        + "o1,d1,m1,,,Luna,human,Ana,2026-03-02T00:00:00Z\n"
        + "o2,d1,m2,,,Nyx,machine,net,\n"
        + "o3,d2,m3,,,,human,Ana,\n",
        "observations.csv",
    )
    (row,) = rows(file)
    assert (row.file, row.individual_id, row.labelled_by) == ("C01/a.jpg", "Luna", "Ana")
    assert read_labels(str(file)).format == "camtrap-dp"


def test_camtrap_dp_event_names_all_its_media(tmp_path):
    text(tmp_path, MEDIA, "media.csv")
    line = "o1,d1,,2026-03-01T06:00:00Z,2026-03-01T06:00:10Z,Luna,human,Ana,\n"
    file = text(tmp_path, OBSERVATIONS + line, "observations.csv")
    assert [row.file for row in rows(file)] == ["C01/a.jpg", "C01/b.jpg"]


EVENT = "2026-03-01T06:00:00{0},2026-03-01T06:00:10{0}"


@pytest.mark.parametrize("media_offset", ["", "Z", "+02:00", "+0200"])
@pytest.mark.parametrize("event_offset", ["", "+02:00"])
def test_an_event_reaches_its_media_whatever_the_offsets(tmp_path, media_offset, event_offset):
    """The side without an offset is the camera's own clock; two offsets are two moments."""
    text(tmp_path, MEDIA.replace("Z,", f"{media_offset},"), "media.csv")
    line = f"o1,d1,,{EVENT.format(event_offset)},Luna,human,Ana,\no2,d2,m3,,,Nyx,human,Ana,\n"
    found = read_labels(str(text(tmp_path, OBSERVATIONS + line, "observations.csv")))
    files = [row.file for row in found.labels if row.individual_id == "Luna"]
    if (media_offset, event_offset) == ("Z", "+02:00"):
        assert files == []
        (what,) = found.left_out.items()
        assert what == ("event labels that fit no picture", (1, (what[1][1][0],))) and "of d1" in what[1][1][0]
    else:
        assert files == ["C01/a.jpg", "C01/b.jpg"]


NAIVE = (
    "mediaID,deploymentID,timestamp,filePath\n"
    "m1,d1,2026-03-01T06:00:00,six.jpg\nm2,d1,2026-03-01T08:00:00,eight.jpg\n"
    "m3,d1,2026-03-01T08:00:10,later.jpg\nm4,d2,2026-03-01T06:00:00,other.jpg\n"
)


def package_with_clocks(tmp_path, form, deployments, observations, media=NAIVE):
    """A package in one of its forms; gives the file that a user hands over."""
    tables = {"deployments": deployments, "media": media, "observations": observations}
    ending = ".csv.gz" if form == "gzip" else ".csv"
    for name, content in tables.items():
        packed = gzip.compress(content.encode()) if form == "gzip" else content
        text(tmp_path, packed, f"{name}{ending}")
    if form != "package":
        return text(tmp_path, (tmp_path / f"observations{ending}").read_bytes(), f"observations{ending}")
    resources = [{"name": name, "path": f"{name}.csv"} for name in tables]
    return text(tmp_path, json.dumps({"resources": resources}), "datapackage.json")


@pytest.mark.parametrize("form", ["csv", "gzip", "package"])
@pytest.mark.parametrize(
    ("start", "expected"),
    [
        ("2026-02-01T00:00:00+02:00", ["eight.jpg", "later.jpg"]),
        ("2026-02-01T00:00:00Z", ["six.jpg"]),
        ("2026-02-01T00:00:00+05:00", []),
        ("2026-02-01T00:00:00", ["six.jpg"]),
        ("soon", ["six.jpg"]),
        ("", ["six.jpg"]),
    ],
)
def test_an_event_over_media_without_offset_is_of_the_deployments_clock(tmp_path, form, start, expected):
    """Six o'clock UTC is eight o'clock on a camera at +02:00; where no offset is known, clocks are compared as written."""
    deployments = f"deploymentID,deploymentStart\nd1,{start}\nd2,2026-02-01T00:00:00+00:00\n"
    line = f"o1,d1,,{EVENT.format('Z')},Luna,human,Ana,\no2,d2,m4,,,Nyx,human,Ana,\n"
    found = read_labels(str(package_with_clocks(tmp_path, form, deployments, OBSERVATIONS + line)))
    assert [row.file for row in found.labels if row.individual_id == "Luna"] == expected
    assert found.left_out.get("event labels that fit no picture", (0,))[0] == (0 if expected else 1)


def test_an_event_without_offset_is_of_the_deployments_clock(tmp_path):
    deployments = "deploymentID,start\nd1,2026-02-01T00:00:00-02:00\n"
    line = "o1,d1,,2026-03-01T06:00:00,2026-03-01T06:00:10,Luna,human,Ana,\n"
    media = NAIVE.replace("T08:00:00", "T08:00:00Z").replace("T06:00:00", "T06:00:00Z")
    file = package_with_clocks(tmp_path, "csv", deployments, OBSERVATIONS + line, media)
    assert [row.file for row in rows(file)] == ["eight.jpg"]


def test_deployments_are_part_of_an_import_only_where_their_clocks_are_used(tmp_path):
    """The import that an earlier version made of the same file is known again, unless it joined other pictures."""
    line = f"o1,d1,,{EVENT.format('Z')},Luna,human,Ana,\n"
    naive = package_with_clocks(tmp_path, "csv", "deploymentID,deploymentStart\n", OBSERVATIONS + line)
    without = read_labels(str(naive)).import_id
    text(tmp_path, "deploymentID,deploymentStart\nd1,2026-02-01T00:00:00+02:00\n", "deployments.csv")
    assert read_labels(str(naive)).import_id != without
    text(tmp_path, OBSERVATIONS + "o1,d1,m1,,,Luna,human,Ana,\n", "observations.csv")
    with_clocks = read_labels(str(naive)).import_id
    (tmp_path / "deployments.csv").unlink()
    assert read_labels(str(naive)).import_id == with_clocks


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"", b"name\nx\n", b'deploymentID,start\nd1,"2026\n'])
def test_deployments_that_cannot_be_read_are_no_reason_to_refuse_labels(tmp_path, content):
    line = f"o1,d1,,{EVENT.format('Z')},Luna,human,Ana,\n"
    file = package_with_clocks(tmp_path, "csv", "deploymentID\n", OBSERVATIONS + line)
    text(tmp_path, content, "deployments.csv")
    assert [row.file for row in rows(file)] == ["six.jpg"]


@pytest.mark.parametrize("form", ["csv", "package"])
@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"deploymentID,start\nd1,2026-02-01T00:00:00+02:00,Stra\xdfe\n", "line 2: not UTF-8"),
        (b"\x1f\x8bxx", "damaged gzip file"),
        (b"deploymentID,start\nd1,01/02/2026\n", "line 2: deploymentStart '01/02/2026' is no ISO 8601 time"),
    ],
)
def test_deployments_that_cannot_be_read_are_said(tmp_path, form, content, why):
    """The clock's offset may be in them: events may reach other pictures than they mean."""
    line = f"o1,d1,,{EVENT.format('Z')},Luna,human,Ana,\n"
    file = package_with_clocks(tmp_path, form, "deploymentID\n", OBSERVATIONS + line)
    assert read_labels(str(file)).notes == ()
    text(tmp_path, content, "deployments.csv")
    (note,) = read_labels(str(file)).counts([], []).notes
    assert (
        note.startswith("clocks without an offset are compared as written where deployments are not read")
        and why in note
    )


@pytest.mark.parametrize("path", ["https://example.org/deployments.csv", "../deployments.csv", "gone.csv"])
def test_deployments_of_a_package_that_must_not_or_cannot_be_opened_are_said(tmp_path, path):
    line = f"o1,d1,,{EVENT.format('Z')},Luna,human,Ana,\n"
    file = package_with_clocks(tmp_path, "package", "deploymentID\n", OBSERVATIONS + line)
    file.write_text(file.read_text().replace("deployments.csv", path))
    (note,) = read_labels(str(file)).notes
    assert path in note


def test_an_event_ends_with_its_last_second(tmp_path):
    text(tmp_path, MEDIA.replace("06:00:10Z", "06:00:10.950Z"), "media.csv")
    line = f"o1,d1,,{EVENT.format('Z')},Luna,human,Ana,\n"
    assert len(rows(text(tmp_path, OBSERVATIONS + line, "observations.csv"))) == 2


def test_camtrap_dp_blank_pictures_and_boxes(tmp_path):
    text(tmp_path, MEDIA, "media.csv")
    head = "observationID,deploymentID,mediaID,observationType,individualID,bboxX,bboxY,bboxWidth,bboxHeight,"
    head += "classificationMethod\n"
    lines = (
        "o1,d1,m1,blank,,,,,,human\no2,d1,m2,animal,Luna,0.1,0.2,0.3,0.4,human\n"
        "o3,d2,m3,animal,,,,,,human\no4,d2,m3,animal,Nyx,,,,,machine\no5,d2,m3,animal,Nyx,,,,,\n"
    )
    found = read_labels(str(text(tmp_path, head + lines, "observations.csv")))
    blank, luna = found.labels
    assert (blank.file, blank.individual_id, blank.state) == ("C01/a.jpg", None, "blank")
    assert (luna.individual_id, luna.bbox, luna.detection_id) == ("Luna", (0.1, 0.2, 0.3, 0.4), None)
    assert {reason: n for reason, (n, _) in found.left_out.items()} == {
        "rows of a person without individualID": 1,
        "rows of a machine": 1,
        "rows without a classificationMethod": 1,
    }
    assert found.n_rows == 5


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("o1,d1,m9,,,Luna,human,,\n", "1 row of a mediaID that is not in media.csv: line 2 (mediaID m9)"),
        ("o1,d1,m1,,,Luna,machine,,\n", "no observation has classificationMethod human"),
        ("o1,d1,m1,,,,human,,\n", "holds no label"),
        ("o1,d1,,,,Luna,human,,\n", "line 2: neither a mediaID nor eventStart and eventEnd"),
    ],
)
def test_camtrap_dp_bad_lines(tmp_path, lines, message):
    text(tmp_path, MEDIA, "media.csv")
    with pytest.raises(InputError) as caught:
        rows(text(tmp_path, OBSERVATIONS + lines, "observations.csv"))
    assert message in str(caught.value)


def test_camtrap_dp_rows_that_fit_nothing_leave_the_others(tmp_path):
    text(tmp_path, MEDIA, "media.csv")
    lines = "o1,d1,m9,,,Luna,human,,\no2,d1,,,,Luna,human,,\no3,d1,m1,,,Odin,human,,\n"
    found = read_labels(str(text(tmp_path, OBSERVATIONS + lines, "observations.csv")))
    assert [label.individual_id for label in found.labels] == ["Odin"]
    assert {reason: n for reason, (n, _) in found.left_out.items()} == {
        "rows of a mediaID that is not in media.csv": 1,
        "event labels that fit no picture": 1,
    }


def test_a_media_id_of_several_files_names_none_of_them(tmp_path):
    text(
        tmp_path,
        "mediaID,deploymentID,timestamp,filePath\nm1,d1,,a.jpg\nm1,d1,,b.jpg\nm2,d1,,c.jpg\nm2,d1,,./c.jpg\n",
        "media.csv",
    )
    lines = "o1,d1,m1,,,Luna,human,Ana,\no2,d1,m2,,,Nyx,human,Ana,\n"
    found = read_labels(str(text(tmp_path, OBSERVATIONS + lines, "observations.csv")))
    assert [label.file for label in found.labels] == ["c.jpg"]
    assert found.left_out == {"rows of a mediaID that is of several files in media.csv": (1, ("line 2 (mediaID m1)",))}


def test_camtrap_dp_without_media_csv(tmp_path):
    with pytest.raises(InputError, match=r"media\.csv beside it,.*no such file"):
        rows(text(tmp_path, OBSERVATIONS, "observations.csv"))


NAMES = {"0": "Luna", "1": "Nyx", "2": "blank"}


def results(tmp_path, *images, **info):
    content = {"info": info, "classification_categories": NAMES, "images": images}
    return text(tmp_path, json.dumps(content), "labels.json")


def image(file, *classifications, **more):
    return {"file": file, "detections": [{"conf": 0.9}, {"conf": 0.8, "classifications": classifications}]} | more


def test_results_without_a_classifier_and_without_doubt_are_a_persons(tmp_path):
    failed = {"file": "b.jpg", "failure": "unreadable", "detections": None}
    (row,) = rows(results(tmp_path, image("a.jpg", ["0", 0.0], ["1", 1.0]), failed))
    assert (row.file, row.detection_id, row.individual_id, row.labelled_by) == ("a.jpg", "1", "Nyx", None)


MACHINE = "these are a classifier's results; they are predictions, see docs/models.md"


def test_results_of_a_classifier_are_refused_with_the_way_out(tmp_path):
    certain, doubtful = image("a.jpg", ["0", 1.0]), image("b.jpg", ["0", 0.8], ["1", 0.1])
    for file in (
        results(tmp_path, certain, classifier="ana"),
        results(tmp_path, certain, doubtful),
        text(
            tmp_path, json.dumps({"predictions": [{"filepath": "a.jpg", "prediction": "x;Luna"}]}), "predictions.json"
        ),
    ):
        with pytest.raises(InputError, match=MACHINE) as caught:
            rows(file)
        assert "\n" not in str(caught.value)


def test_predictions_are_refused_by_their_key(tmp_path):
    for content in ({"predictions": [], "images": []}, {"images": [], "x": '"images"', "predictions": []}):
        with pytest.raises(InputError, match=MACHINE):
            rows(text(tmp_path, json.dumps(content), "predictions.json"))
    named = {"info": {"note": '"predictions"'}, "classification_categories": NAMES}
    file = text(tmp_path, json.dumps(named | {"images": [image("a.jpg", ["0", 1.0])]}), "labels.json")
    assert len(rows(file)) == 1


def test_categories_that_are_names_need_a_person(tmp_path):
    categories = {"0": "animals", "1": "Luna", "2": "leopard"}
    boxes = [{"category": code, "conf": 0.97, "bbox": [0.1, 0.1, 0.2, 0.2]} for code in "012"]
    content = {"info": {}, "detection_categories": categories, "images": [{"file": "a.jpg", "detections": boxes}]}
    file = text(tmp_path, json.dumps(content), "species.json")
    with pytest.raises(InputError, match=f"{MACHINE}.*--by-person"):
        rows(file)
    found = read_labels(str(file), by_person=True).labels
    assert [(row.detection_id, row.individual_id) for row in found] == [("1", "Luna"), ("2", "leopard")]


@pytest.mark.parametrize(
    ("conf", "info", "is_person"),
    [(0.8, {}, True), (0.8, {"detector": "md"}, False), (1, {"detector": "md"}, True), (1, {"classifier": "x"}, False)],
)
def test_certain_names_are_a_persons_only_where_no_detector_found_the_boxes(tmp_path, conf, info, is_person):
    detections = [{"category": "1", "conf": conf, "classifications": [["0", 1.0]]}, {"category": "1", "conf": 0.3}]
    file = results(tmp_path, {"file": "a.jpg", "detections": detections}, **info)
    if not is_person:
        with pytest.raises(InputError, match=f"{MACHINE}.*--by-person"):
            rows(file)
    assert len(read_labels(str(file), by_person=not is_person).labels) == 1


@pytest.mark.parametrize(
    "column",
    [
        "probability",
        "Confidence",
        "score",
        "conf",
        "classificationProbability",
        "Prediction Score",
        "cv_confidence",
        "softmax",
    ],
)
def test_a_table_with_probabilities_needs_a_person(tmp_path, column):
    file = text(tmp_path, f"file,individual_id,{column}\na.jpg,Luna,0.93\n")
    with pytest.raises(InputError, match=f"has a column of probabilities .{column}.: {MACHINE}.*--by-person"):
        rows(file)
    assert len(read_labels(str(file), by_person=True).labels) == 1


@pytest.mark.parametrize("cell", ["NA", "NaN", "nan"])
def test_missing_values_of_camtrap_dp_are_empty_cells(tmp_path, cell):
    head = OBSERVATIONS.rstrip() + ",bboxX,bboxY,bboxWidth,bboxHeight\n"
    lines = (
        "o1,d1,m1,_,_,Luna,human,_,_,_,_,_,_\n"
        "o2,d1,_,2026-03-01T06:00:10Z,2026-03-01T06:00:10Z,Nyx,human,_,_,_,_,_,_\no3,d2,m3,_,_,_,human,_,_,_,_,_,_\n"
    )
    media = MEDIA + "m4,d2,_,C02/d.jpg\n"
    for other in ("", cell):
        text(tmp_path, media.replace("_", other), "media.csv")
        found = read_labels(str(text(tmp_path, head + lines.replace("_", other), "observations.csv")))
        luna, nyx = found.labels
        assert (luna.labelled_by, luna.labelled_at, luna.bbox) == (None, None, None)
        assert (nyx.file, nyx.individual_id) == ("C01/b.jpg", "Nyx")
        assert "1 row of a person without individualID" in found.counts([], []).line()


def test_missing_values_in_tables_within_the_package(tmp_path):
    observation = {"observationID": "o1", "deploymentID": "d1", "mediaID": "m1", "classificationMethod": "human"}
    rows_of = [
        observation | {"individualID": "Luna", "classifiedBy": "NA"},
        observation | {"individualID": float("nan")},
    ]
    media = [{"mediaID": "m1", "deploymentID": "d1", "timestamp": "NaN", "filePath": "a.jpg"}]
    resources = [{"name": "observations", "data": rows_of}, {"name": "media", "data": media}]
    (row,) = rows(text(tmp_path, json.dumps({"resources": resources}), "datapackage.json"))
    assert (row.individual_id, row.labelled_by) == ("Luna", None)


def test_a_person_can_vouch_for_a_file_or_for_pictures_in_it(tmp_path):
    """AddaxAI marks the pictures that a person has checked; its categories of detections are names."""
    file = results(tmp_path, image("a.jpg", ["0", 0.8], ["1", 0.1]), classifier="net")
    (row,) = read_labels(str(file), by_person=True).labels
    assert (row.individual_id, row.labelled_by) == ("Luna", None)
    checked = {"file": "b.jpg", "manually_checked": True, "detections": [{"category": "1"}, {"category": "2"}]}
    content = json.loads(file.read_text()) | {"detection_categories": {"1": "animal", "2": "Nyx"}}
    content["images"].append(checked)
    found = read_labels(str(text(tmp_path, json.dumps(content), "mixed.json")))
    assert [(row.file, row.detection_id, row.individual_id) for row in found.labels] == [("b.jpg", "1", "Nyx")]
    assert found.left_out == {
        "names of a classifier": (1, ("a.jpg",)),
        "boxes that a person checked and gave no name": (1, ("b.jpg",)),
    }
    assert "1 box that a person checked and gave no name" in found.counts([], []).line()


def test_pictures_that_a_person_checked_in_addaxai(tmp_path):
    """It writes the boxes that were left, with confidence 1 and no classifications; a mark that was taken back is false."""
    box = {"category": "4", "conf": 1.0, "bbox": [0.1, 0.2, 0.3, 0.4]}
    images = [
        {"file": "named.jpg", "manually_checked": True, "detections": [box]},
        {"file": "nothing.jpg", "manually_checked": True, "detections": []},
        {"file": "broken.jpg", "manually_checked": True, "detections": None, "failure": "unreadable"},
        {"file": "taken-back.jpg", "manually_checked": False, "detections": [box | {"conf": 0.7}]},
        {"file": "not-checked.jpg", "detections": [box | {"conf": 0.93}]},
        {"file": "found-nothing.jpg", "detections": []},
    ]
    content = {"info": {"detector": "md"}, "detection_categories": {"1": "animal", "4": "Luna"}, "images": images}
    found = read_labels(str(text(tmp_path, json.dumps(content), "image_recognition_file.json")))
    assert [(row.file, row.individual_id, row.state, row.bbox) for row in found.labels] == [
        ("named.jpg", "Luna", "named", (0.1, 0.2, 0.3, 0.4)),
        ("nothing.jpg", None, "blank", None),
    ]
    assert found.left_out == {"names of a classifier": (2, ("taken-back.jpg", "not-checked.jpg"))}


def test_a_timelapse_table_is_a_persons_whatever_its_columns(tmp_path):
    file = text(tmp_path, "File,RelativePath,Individual,Confidence\na.jpg,C01,Luna,high\n")
    assert [label.individual_id for label in read_labels(str(file), column="Individual").labels] == ["Luna"]


def test_a_timelapse_table_needs_its_column_of_names(tmp_path):
    table = (
        "File,RelativePath,DateTime,DeleteFlag,Who\n"
        "a.jpg,C01\\d1,2026-03-01 06:00:00,false,Luna\n"
        "b.jpg,,2026-03-01 06:00:00,false,\n"
        "c.jpg,C01,2026-03-01 06:00:00,true,Nyx\n"
        "d.jpg,C01,2026-03-01 06:00:00,false,Empty\n"
    )
    file = text(tmp_path, table, "TimelapseData.csv")
    with pytest.raises(InputError, match="Timelapse table; name the column of names: --column NAME"):
        rows(file)
    with pytest.raises(InputError, match="no column Name"):
        read_labels(str(file), column="Name")
    found = read_labels(str(file), column="who")
    assert [(row.file, row.individual_id, row.state) for row in found.labels] == [
        ("C01/d1/a.jpg", "Luna", "named"),
        ("C01/d.jpg", None, "blank"),
    ]
    assert {reason: n for reason, (n, _) in found.left_out.items()} == {
        "rows without who": 1,
        "rows marked for deletion": 1,
    }


@pytest.mark.parametrize("word", ["blank", "Empty", "NOTHING", "none"])
def test_a_picture_without_an_animal_is_no_individual(tmp_path, word):
    (row,) = rows(text(tmp_path, f"file,individual_id\na.jpg,{word}\n"))
    assert (row.individual_id, row.state) == (None, "blank")


@pytest.mark.parametrize("name", ["NA", "NaN", "nan", "null", "None", "007", "1e5", "true"])
def test_a_name_that_looks_like_nothing_is_a_name(tmp_path, name):
    (row,) = rows(text(tmp_path, f"file,individual_id\na.jpg,{name}\n"))
    assert (row.individual_id, row.state) == (name, "named")


def test_unknown_is_one_word_in_any_case(tmp_path):
    (row,) = rows(text(tmp_path, "file,individual_id\na.jpg,Unknown\n"))
    assert (row.individual_id, row.state) == ("unknown", "unknown")


def test_a_real_classifiers_file_is_refused():
    file = DATA / "ena24" / "md_annotations.json"
    if not file.exists():
        pytest.skip("../shared/data is not here")
    with pytest.raises(InputError, match=MACHINE):
        rows(file)
    names = {row.file: row.individual_id for row in read_labels(str(file), by_person=True).labels}
    assert names["2480.jpg"] == "virginia_opossum"
