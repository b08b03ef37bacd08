"""Human truth: what the files of labels hold, and what is refused."""

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


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("o1,d1,m9,,,Luna,human,,\n", "line 2: mediaID m9 is not in media.csv"),
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


def test_camtrap_dp_without_media_csv(tmp_path):
    with pytest.raises(InputError, match=r"media\.csv beside it,.*no such file"):
        rows(text(tmp_path, OBSERVATIONS, "observations.csv"))


def test_timelapse_takes_the_first_classification_of_a_box(tmp_path):
    content = {
        "info": {"classifier": "ana"},
        "classification_categories": {"0": "Luna", "1": "Nyx"},
        "images": [
            {
                "file": "a.jpg",
                "detections": [{"conf": 0.9}, {"conf": 0.8, "classifications": [["1", 1.0], ["0", 0.0]]}],
            },
            {"file": "b.jpg", "failure": "unreadable", "detections": None},
        ],
    }
    (row,) = rows(text(tmp_path, json.dumps(content), "labels.json"))
    assert (row.file, row.detection_id, row.individual_id, row.labelled_by) == ("a.jpg", "1", "Nyx", "ana")


def test_real_megadetector_file():
    file = DATA / "ena24" / "md_annotations.json"
    if not file.exists():
        pytest.skip("../shared/data is not here")
    names = {row.file: row.individual_id for row in rows(file)}
    assert names["2480.jpg"] == "virginia_opossum"
