"""One reader for each format: every kind of file is read equal, whatever its separator, mark, line ends and spelling."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from typer.testing import CliRunner

from scd_core.errors import InputError
from scd_core.identify.package import read_package
from scd_core.inputs.config import load_config
from scd_core.inputs.csv import has_column, read_csv
from scd_core.inputs.detections import read_detections
from scd_core.inputs.flags import read_flags
from scd_core.inputs.labels import read_labels
from scd_core.media.manifest import read_manifest

Rows = list[list[str]]

LABELS: Rows = [
    ["file", "individual_id", "detection_id", "flank", "labelled_by", "labelled_at"],
    ["C1/a.jpg", "Luna", "0", "left", "ana", "2026-03-01T06:00:00Z"],
    ["C1/b.jpg", "Nyx; the second, of\ttwo", "", "", "", ""],
]
FLAGS: Rows = [["file", "reason"], ["C1/a.jpg", "odd; or not, who\tknows"], ["C1/b.jpg", ""]]
DETECTIONS: Rows = [
    ["file", "category", "confidence", "x_min", "y_min", "width", "height"],
    ["C1/a.jpg", "animal", "0.9", "0.1", "0.2", "0.3", "0.4"],
    ["C1/b.jpg", "", "", "", "", "", ""],
]
DEPLOYMENTS: Rows = [
    ["deploymentID", "locationName", "cameraID", "latitude", "longitude", "deploymentStart"],
    ["d1", "Ford; the old, one", "C1", "-3.5", "12", "2026-01-01T00:00:00-03:00"],
]
MEDIA: Rows = [
    ["mediaID", "deploymentID", "timestamp", "filePath", "cameraID"],
    ["m1", "d1", "2026-03-01T06:00:00Z", "C1/a.jpg", "C1"],
    ["m2", "d1", "2026-03-01T06:00:10Z", "C1/b.jpg", "C1"],
]
OBSERVATIONS: Rows = [
    [
        "observationID", "mediaID", "deploymentID", "observationType", "individualID", "classificationMethod",
        "classifiedBy", "classificationTimestamp", "eventStart", "eventEnd", "bboxX", "bboxY", "bboxWidth", "bboxHeight",
    ],
    ["o1", "m1", "d1", "animal", "Luna", "human", "ana", "", "", "", "0.1", "0.2", "0.3", "0.4"],
    ["o2", "", "d1", "animal", "Nyx", "human", "", "", "2026-03-01T06:00:00Z", "2026-03-01T07:00:00Z", "", "", "", ""],
]  # fmt: skip


def encode(
    rows: Rows, separator: str = ",", end: str = "\n", encoding: str = "utf-8", spell: Callable[[str], str] = str
) -> bytes:
    text = io.StringIO()
    csv.writer(text, delimiter=separator, lineterminator=end).writerows([[spell(name) for name in rows[0]], *rows[1:]])
    return text.getvalue().encode(encoding)


SPELLINGS: dict[str, dict[str, Any]] = {
    "semicolon": {"separator": ";"},
    "tab": {"separator": "\t"},
    "mark": {"encoding": "utf-8-sig"},
    "utf-16": {"encoding": "utf-16", "separator": "\t"},
    "crlf": {"end": "\r\n"},
    "cr": {"end": "\r"},
    "upper case": {"spell": str.upper},
    "lower case": {"spell": str.lower},
    "blanks": {"spell": lambda name: f" {name} "},
    "all": {"separator": ";", "encoding": "utf-8-sig", "end": "\r\n", "spell": lambda name: f" {name.upper()}"},
}


def written(folder: Path, files: dict[str, Rows], **spelling: Any) -> Path:
    folder.mkdir(exist_ok=True)
    for name, rows in files.items():
        (folder / name).write_bytes(encode(rows, **spelling))
    return folder / next(iter(files))


def labels_of(file: Path) -> Any:
    return read_labels(str(file)).labels


def boxes_of(file: Path) -> Any:
    return read_detections(str(file)).boxes


def manifest_of(file: Path) -> Any:
    found = read_manifest(str(file))
    return found.deployments, {Path(address).name: facts for address, facts in found.media.items()}


def calibration_labels_of(file: Path) -> Any:
    """What `trapaudit model calibrate --labels` hands on."""
    from deployments.cli import model

    caught = {}

    def catch(_model: str, _source: str, labels: dict[str, str], **_more: Any) -> None:
        caught.update(labels)
        raise InputError("enough")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("scd_core.identify.calibrate.calibrate_package", catch)
        CliRunner().invoke(model.model_app, ["calibrate", "model", "source", "--labels", str(file)])
    return caught


PACKAGE = {"observations.csv": OBSERVATIONS, "media.csv": MEDIA}
KINDS: dict[str, tuple[Callable[[Path], Any], dict[str, Rows]]] = {
    "labels": (labels_of, {"labels.csv": LABELS}),
    "calibration labels": (calibration_labels_of, {"labels.csv": LABELS}),
    "flags": (lambda file: read_flags(str(file)), {"flags.csv": FLAGS}),
    "detections": (boxes_of, {"detections.csv": DETECTIONS}),
    "deployments": (manifest_of, {"deployments.csv": DEPLOYMENTS}),
    "media": (manifest_of, {"media.csv": MEDIA}),
    "labels of a package": (labels_of, PACKAGE),
    "detections of a package": (boxes_of, PACKAGE),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_file_is_read_equal_however_it_is_written(tmp_path: Path, kind: str, spelling: str) -> None:
    read, files = KINDS[kind]
    plain = read(written(tmp_path / "plain", files))
    assert plain
    assert read(written(tmp_path / "other", files, **SPELLINGS[spelling])) == plain


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_package_is_read_by_the_paths_in_its_json(tmp_path: Path, spelling: str) -> None:
    """Tables in a folder, in parts, and rows in the JSON itself; labels, detections and the manifest see the same."""
    plain = written(tmp_path / "plain", PACKAGE | {"deployments.csv": DEPLOYMENTS})
    other = tmp_path / "other"
    other.mkdir()
    more = SPELLINGS[spelling]
    parts = {"o.csv": OBSERVATIONS, "m1.csv": MEDIA[:2], "m2.csv": [MEDIA[0], MEDIA[2]]}
    written(other / "tables", parts, **more)
    spell = more.get("spell", str)
    resources = [
        {"name": "observations", "path": "tables/o.csv"},
        {"name": "media", "path": ["tables/m1.csv", "tables/m2.csv"]},
        {"name": "deployments", "data": [dict(zip(map(spell, DEPLOYMENTS[0]), row)) for row in DEPLOYMENTS[1:]]},
    ]
    package = other / "datapackage.json"
    package.write_text(json.dumps({"resources": resources}))
    assert labels_of(package) == labels_of(plain)
    assert boxes_of(package) == boxes_of(plain)
    found = read_manifest(str(package))
    assert [facts.site_id for facts in found.deployments.values()] == ["Ford; the old, one"]
    assert {Path(address).name: facts.latitude for address, facts in found.media.items()} == {
        "a.jpg": -3.5,
        "b.jpg": -3.5,
    }


def test_observations_without_media_beside_them_find_these_by_the_package(tmp_path: Path) -> None:
    file = written(tmp_path / "p", {"observations.csv": OBSERVATIONS})
    written(tmp_path / "p" / "tables", {"media.csv": MEDIA})
    package = tmp_path / "p" / "datapackage.json"
    package.write_text(json.dumps({"resources": [{"name": "media", "path": "tables/media.csv"}]}))
    assert set(boxes_of(file)) == {"C1/a.jpg"}
    assert {label.file for label in labels_of(file)} == {"C1/a.jpg", "C1/b.jpg"}
    package.write_text(json.dumps({"resources": []}))
    with pytest.raises(InputError, match="no resource 'media'"):
        boxes_of(file)
    with pytest.raises(InputError, match="no resource 'observations'"):
        boxes_of(package)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'{"resources": [{"name": "media", "path": "../m.csv"}, {"name": "observations", "path": "o.csv"}]}', "outside"),
        (b'{"resources": [{"name": "observations", "data": [1]}, {"name": "media", "data": []}]}', "data row 1"),
        (b"[]", "no data package"),
    ],
)  # fmt: skip
def test_a_broken_package_is_refused_in_one_line(tmp_path: Path, content: bytes, words: str) -> None:
    written(tmp_path / "p", {"o.csv": OBSERVATIONS})
    (tmp_path / "p" / "datapackage.json").write_bytes(content)
    for read in (labels_of, boxes_of):
        with pytest.raises(InputError, match=words):
            read(tmp_path / "p" / "datapackage.json")


@pytest.mark.parametrize("kind", ["labels", "flags", "detections", "deployments", "media"])
def test_a_missing_file_and_bytes_that_are_no_text_are_one_line(tmp_path: Path, kind: str) -> None:
    read, files = KINDS[kind]
    with pytest.raises(InputError, match=rf"^\w+ .*{tmp_path}/absent\.csv: no such file$"):
        read(tmp_path / "absent.csv")
    file = written(tmp_path / "p", files)
    file.write_bytes(file.read_bytes() + b"caf\xe9,\n")
    line = len(next(iter(files.values()))) + 1
    with pytest.raises(InputError, match=f"line {line}: not UTF-8; save the file as UTF-8"):
        read(file)


@pytest.mark.parametrize("kind", ["labels", "flags", "detections", "deployments", "media"])
def test_a_reading_that_fails_once_is_tried_again(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Labels were opened without retries: one dropped connection ended the run with exit code 2."""
    read, files = KINDS[kind]
    ((name, rows),) = files.items()
    memory = fsspec.filesystem("memory")
    memory.pipe_file(f"/inputs/{name}", encode(rows))
    failures, read_memory = [], MemoryFileSystem.cat_file

    def fail_once(self: Any, path: str, *more: Any, **options: Any) -> bytes:
        if not failures:
            failures.append(path)
            raise ConnectionResetError("dropped")
        return bytes(read_memory(self, path, *more, **options))

    monkeypatch.setattr(MemoryFileSystem, "cat_file", fail_once)
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    url: Any = f"memory://inputs/{name}"  # `Path` would join the slashes
    assert read(url)
    assert failures
    memory.rm("/inputs", recursive=True)


def test_lines_have_their_number_and_their_columns() -> None:
    text = 'file;Remark\n\n"a\nb.jpg";x\nc.jpg\n'
    lines = list(read_csv(text, "flags f.csv", ["file"]))
    assert [(line["file"], line["REMARK"], line["absent"], line.number) for line in lines] == [
        ("a\nb.jpg", "x", "", 4),
        ("c.jpg", "", "", 5),
    ]
    assert lines[1].where == "flags f.csv: line 5"
    assert lines[0].first("absent", "remark") == "x" and lines[1].first("absent", "remark") is None
    assert has_column('"bboxx"\t file\n1\t2', "bboxX") and not has_column("", "bboxX")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a,b\n", "f.csv: line 1: no column file; expected file, got a, b"),
        ("", "f.csv: line 1: no column file; expected file, got an empty file"),
        ("file\na.jpg,more\n", "f.csv: line 2: more values than the 1 columns"),
        ('file,x\na.jpg,"b"c\n', "f.csv: line 2: "),
        ('file,x\na.jpg,"b\n', "f.csv: line 2: "),
    ],
)
def test_a_strict_reader_refuses_what_another_passes_over(text: str, words: str) -> None:
    with pytest.raises(InputError) as caught:
        list(read_csv(text, "f.csv", ["file"], is_strict=True))
    assert words in str(caught.value)
    if "no column" not in words:
        assert [line["file"] for line in read_csv(text, "f.csv", ["file"])] == ["a.jpg"]
        # A separator at the end of a line is no value.
        assert [line["file"] for line in read_csv("file\na.jpg,\n", "f.csv", is_strict=True)] == ["a.jpg"]


@pytest.mark.parametrize("content", ["[" * 100_000, '{"a":' * 100_000, '{"images": [1' + "0" * 5000 + "]}"])
@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("labels.json", read_labels),
        ("datapackage.json", read_labels),
        ("md.json", read_detections),
        ("config.json", load_config),
        ("model.json", lambda path: read_package(str(Path(path).parent))),
    ],
)
def test_json_that_no_parser_takes_is_one_clear_line(
    tmp_path: Path, name: str, read: Callable[[str], Any], content: str
) -> None:
    """Lists in lists in lists exhaust the parser's stack, and Python refuses a number of thousands of digits."""
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError) as error:
        read(str(tmp_path / name))
    assert str(error.value).count("\n") == 0 or name == "config.json"  # YAML's own words have lines
