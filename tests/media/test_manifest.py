"""A manifest's bad row costs that row something, never the run; and no path in it leads anywhere else."""

from __future__ import annotations

import gzip
import http.server
import json
import threading
import unicodedata
from datetime import datetime
from pathlib import Path
from typing import ClassVar

import pytest

from scd_core.config import MediaConfig
from scd_core.errors import InputError
from scd_core.inputs import text
from scd_core.inputs.addresses import address_in_store
from scd_core.inputs.detections import read_detections
from scd_core.media import describe_objects, find_manifest, list_objects, list_source
from scd_core.media.manifest_counts import manifest_counts
from scd_core.storage import open_source
from scd_core.storage.disk import DiskStorage

CONFIG = MediaConfig()
HEAD = "deploymentID,locationName,cameraID,latitude,longitude,deploymentStart,deploymentEnd\n"
GOOD = "d1,Pond,C1,50,5,2024-04-01T00:00:00+02:00,2024-06-01T00:00:00+02:00\n"


def write(folder: Path, files: dict[str, bytes | str]) -> str:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data.encode() if isinstance(data, str) else data)
    return str(folder)


def counts(source: str):
    return manifest_counts(find_manifest(source), list_objects(source, CONFIG), CONFIG)


def rows_of(source: str) -> dict[str, dict]:
    return {row["file"]: row for row in describe_objects(list_objects(source, CONFIG), source, CONFIG)}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("d2,Hill,C2,91,5,,\n", "latitude '91' is outside -90 to 90"),
        ("d2,Hill,C2,50,east,,\n", "longitude 'east' is no number"),
        ("d2,Hill,C2,50,5,2024-05-01,2024-04-01\n", "ends before it starts"),
        ("d2,Hill,C2,50,5,,\nd2,Lake,C2,51,5,,\n", "'d2' is there twice"),
    ],
)
def test_one_bad_line_of_deployments_leaves_its_deployment_without_place(tmp_path, jpeg, line, words):
    source = write(tmp_path, {"C1/d1/a.jpg": jpeg, "C2/d2/b.jpg": jpeg, "deployments.csv": HEAD + GOOD + line})
    rows = rows_of(source)
    place = [(row["site_id"], row["latitude"], row["deployment_id"]) for row in rows.values()]
    assert place == [("Pond", 50.0, "d1"), (None, None, "d2")]
    (table,) = counts(source)
    assert table.not_understood == 1 and words in table.examples[0] and "line " in table.examples[0]
    assert table.rows == table.joined + table.not_understood


def test_rows_without_a_deployment_and_unreadable_times_are_counted(tmp_path, jpeg):
    lines = ",Hill,C2,50,5,,\nd3,Hill,C2,NA,5,soon,\nd4,,,,,,\n"
    source = write(
        tmp_path, {"C1/d1/a.jpg": jpeg, "C1/d3/a.jpg": jpeg, "x/b.jpg": jpeg, "deployments.csv": HEAD + GOOD + lines}
    )
    table, rest = counts(source)
    assert (table.rows, table.joined, table.waiting, table.not_understood, table.unusable) == (4, 1, 1, 1, 1)
    assert "no deploymentID" in table.examples[0] and "deploymentStart 'soon' is no time" in table.examples[1]
    assert "no picture is of deployment 'd4'" in table.examples[2]
    assert rest.notes == ("1 of 3 pictures has no deployment in it",)


def test_a_package_that_is_none_leaves_the_deployments_beside_it(tmp_path, jpeg):
    source = write(tmp_path, {"C1/d1/a.jpg": jpeg, "datapackage.json": "{", "deployments.csv": HEAD + GOOD})
    assert rows_of(source)["C1/d1/a.jpg"]["latitude"] == 50.0
    assert "no data package" in counts(source)[-1].line()


@pytest.mark.parametrize("name", ["datapackage.json", "deployments.csv"])
def test_a_warning_of_what_could_not_be_read_has_no_counts_before_it(name, tmp_path, jpeg):
    source = write(tmp_path, {"a.jpg": jpeg, name: b"\x00\xff{"})
    (found,) = counts(source)
    line = found.line()
    assert "0 rows" not in line and "joined" not in line
    assert line == f"manifest file://{source}/{name}: {found.notes[0]}" and line.count(f"/{name}") == 1


def test_older_versions_gzipped_tables_and_lists_of_paths_are_read(tmp_path, jpeg):
    """Names of columns as in Camtrap DP before 1.0."""
    deployments = "deployment_id,location_name,camera_id,start,end,timestamp_issues\nd1,Pond,C9,{},{},TRUE\n"
    media = "media_id,deployment_id,timestamp,file_path\nm1,d1,2024-05-01T06:00:00+02:00,cards\\\\{}.jpg\n"
    resources = [
        {"name": "deployments", "path": "tables/deployments.csv.gz"},
        {"name": "media", "path": ["tables/media1.csv", "./tables/media2.csv.gz"]},
    ]
    packed = gzip.compress(deployments.format("2024-04-01T00:00:00Z", "2024-06-01T00:00:00Z").encode())
    files = {
        "datapackage.json": json.dumps({"resources": resources}),
        "tables/deployments.csv.gz": packed,
        "tables/media1.csv": media.format("a").replace("\\\\", "\\"),
        "tables/media2.csv.gz": gzip.compress(media.format("b").replace("\\\\", "\\").encode()),
        "cards/a.jpg": jpeg,
        "cards/b.jpg": jpeg,
    }
    rows = rows_of(write(tmp_path, files))
    for row in rows.values():
        assert (row["camera_id"], row["site_id"], row["captured_at"]) == ("C9", "Pond", datetime(2024, 5, 1, 6))
    assert len(rows) == 2
    assert find_manifest(str(tmp_path)).deployments["d1"].has_timestamp_issues


def test_a_damaged_or_endless_gzip_file_is_one_clear_line(monkeypatch):
    with pytest.raises(InputError, match="labels x: damaged gzip file"):
        text.decode_text(gzip.compress(b"file\n" * 100)[:-9], "labels x")
    monkeypatch.setattr(text, "MAX_BYTES", 1000)
    with pytest.raises(InputError, match="unpacks to more than the limit of 1000 bytes"):
        text.decode_text(gzip.compress(b"0" * 2000), "labels x")


def test_a_side_file_over_the_limit_is_not_read(tmp_path, jpeg, monkeypatch):
    monkeypatch.setattr(text, "MAX_BYTES", 100)
    source = write(tmp_path, {"a.jpg": jpeg, "deployments.csv": HEAD + GOOD * 9})
    assert "over the limit of 100" in find_manifest(source).warnings[0]


@pytest.mark.parametrize(
    ("path", "address"),
    [
        ("cards/a.jpg", "s3://b/pkg/cards/a.jpg"),
        ("./cards\\a.jpg", "s3://b/pkg/cards/a.jpg"),
        ("s3://b/elsewhere/a.jpg", "s3://b/elsewhere/a.jpg"),
        ("s3a://key:secret@b/pkg/a.jpg", "s3://b/pkg/a.jpg"),
        ("a::b c:d.jpg", "s3://b/pkg/a::b c:d.jpg"),
        ("./cam1:a.jpg", "s3://b/pkg/cam1:a.jpg"),
        ("cards/IMG 06:15.jpg", "s3://b/pkg/cards/IMG 06:15.jpg"),
    ],
)
def test_a_path_below_the_manifest_or_in_its_bucket_is_read(path, address):
    assert address_in_store(open_source("s3://b/pkg"), "b/pkg", path, "media line 2") == address


OUTSIDE = [
    "http://169.254.169.254/latest/meta-data", "https://host.example/a.jpg", "HTTP://host.example/a.jpg", "file:///etc/passwd",
    "file:/etc/passwd", "/etc/passwd", "C:\\Windows\\a.jpg", "\\\\server\\share\\a.jpg", "../a.jpg", "cards/../../a.jpg",
    "..\\a.jpg", "%2e%2e/a.jpg", "s3://other/a.jpg", "s3://b/../other/a.jpg", "gs://b/pkg/a.jpg", "memory://b/pkg/a.jpg",
    "zip://a.jpg::http://host.example/x.zip", "simplecache::https://host.example/a.jpg", "s3://b/x.zip::http://host.example",
    "http:127.0.0.1/d.jpg", "HTTPS:a.jpg", "data:image/jpeg;base64,AAAA", "file:a.jpg", "s3:b/pkg/a.jpg", "urn:x:a.jpg",
    "http:\\\\host.example\\a.jpg",
]  # fmt: skip


@pytest.mark.parametrize("path", OUTSIDE)
def test_a_path_that_leads_elsewhere_is_refused(path, tmp_path):
    with pytest.raises(InputError, match=r"media line 2: .* leads outside the manifest's folder and store"):
        address_in_store(open_source("s3://b/pkg"), "b/pkg", path, "media line 2")
    if not path.startswith("s3://b/"):
        with pytest.raises(InputError, match="leads outside"):
            address_in_store(open_source(str(tmp_path)), str(tmp_path), path, "media line 2")


def test_a_windows_drive_is_no_scheme():
    home = open_source("s3://b/pkg")
    assert "write ./ before it" in str(_refusal(home, "data:a.jpg")) and "write ./" not in str(
        _refusal(home, "D:\\a.jpg")
    )
    disk = DiskStorage(None, "C:/cards")
    assert address_in_store(disk, "C:/cards", "C:\\cards\\a.jpg", "media line 2") == "file://C:/cards/a.jpg"


def _refusal(storage, path):
    with pytest.raises(InputError) as caught:
        address_in_store(storage, "b/pkg", path, "media line 2")
    return caught.value


class _Counter(http.server.BaseHTTPRequestHandler):
    requests: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.requests.append(self.path)
        self.send_error(404)

    do_HEAD = do_GET


@pytest.fixture
def server():
    _Counter.requests = []
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Counter) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


def test_nothing_at_a_url_is_ever_requested(tmp_path, jpeg, server):
    """Neither a medium, nor a package's table, for a manifest, detections or labels."""
    media = f"filePath,deploymentID\n{server}/a.jpg,d1\nfile:///etc/hostname,d1\n../up.jpg,d1\nC1/d1/a.jpg,d1\n"
    source = write(tmp_path, {"C1/d1/a.jpg": jpeg, "list.csv": media})
    assert [ref.file for ref in list_objects(f"{source}/list.csv", CONFIG)] == ["C1/d1/a.jpg"]
    (table,) = manifest_counts(find_manifest(f"{source}/list.csv"), list_objects(f"{source}/list.csv", CONFIG), CONFIG)
    assert (table.rows, table.joined, table.unusable) == (4, 1, 3) and len(table.examples) == 3
    resources = [{"name": name, "path": f"{server}/{name}.csv"} for name in ("deployments", "media", "observations")]
    write(tmp_path, {"datapackage.json": json.dumps({"resources": resources}), "deployments.csv": HEAD + GOOD})
    assert rows_of(source)["C1/d1/a.jpg"]["latitude"] == 50.0
    assert all("leads outside the package" in note for note in find_manifest(source).warnings)
    with pytest.raises(InputError, match="leads outside the package"):
        read_detections(f"{source}/datapackage.json")
    assert _Counter.requests == []


def test_names_that_differ_in_case_or_unicode_form_are_one(tmp_path, jpeg):
    folder = unicodedata.normalize("NFD", "Étang")
    media = "filePath,deploymentID,timestamp\n{}/img_1.jpg,d1,2024-05-01T06:00:00Z\n".format(
        unicodedata.normalize("NFC", "étang")
    )
    resources = [{"name": "deployments", "path": "deployments.csv"}, {"name": "media", "path": "media.csv"}]
    files = {
        f"{folder}/IMG_1.JPG": jpeg,
        f"{folder}/D1/IMG_2.JPG": jpeg,
        "media.csv": media,
        "deployments.csv": HEAD + GOOD,
        "datapackage.json": json.dumps({"resources": resources}),
    }
    source = write(tmp_path, files)
    rows = {file.rsplit("/", 1)[-1]: row for file, row in rows_of(source).items()}
    assert rows["IMG_1.JPG"]["captured_at"] == datetime(2024, 5, 1, 6)
    assert [row["site_id"] for row in rows.values()] == ["Pond", "Pond"]
    (tmp_path / "list.csv").write_text(media)
    (found,) = list_objects(f"{source}/list.csv", CONFIG)
    assert found.file == f"{folder}/IMG_1.JPG" and found.etag
    row = describe_objects([found], f"{source}/list.csv", CONFIG)[0]
    assert (row["status"], row["captured_at"]) == ("ok", datetime(2024, 5, 1, 6))


def test_gzipped_observations_beside_gzipped_media_are_read(tmp_path):
    observations = (
        "observationID,mediaID,observationType,bboxX,bboxY,bboxWidth,bboxHeight\no1,m1,animal,0.1,0.1,0.5,0.5\n"
    )
    files = {"observations.csv.gz": gzip.compress(observations.encode())}
    files["media.csv.gz"] = gzip.compress(b"mediaID,filePath\nm1,C1/a.jpg\n")
    source = write(tmp_path, files)
    assert list(read_detections(f"{source}/observations.csv.gz").boxes) == ["C1/a.jpg"]


@pytest.mark.parametrize("ending", [".csv", ".csv.gz"])
def test_tables_without_a_package_are_read_with_the_media_beside_them(tmp_path, jpeg, ending):
    """A team that corrects its clocks in media.csv may have no datapackage.json."""
    packed = gzip.compress if ending.endswith("gz") else bytes
    files: dict[str, bytes | str] = {"d1/a.jpg": jpeg, f"deployments{ending}": packed((HEAD + GOOD).encode())}
    files[f"media{ending}"] = packed(b"filePath,deploymentID,timestamp\nd1/a.jpg,d1,2024-05-01T06:00:00Z\n")
    source = write(tmp_path, files)
    assert rows_of(source)["d1/a.jpg"]["captured_at"] == datetime(2024, 5, 1, 6)
    assert [(one.rows, one.joined) for one in counts(source)] == [(1, 1), (1, 1)]
    (other := tmp_path / "other").mkdir()
    source = write(other, files | {f"media{ending}": b"\x1f\x8bx"})
    assert "damaged gzip file" in " ".join(one.line() for one in counts(source))


@pytest.mark.parametrize(
    ("word", "is_true", "n_odd"), [("TRUE", True, 0), ("no", False, 0), ("NA", False, 0), ("1 h off", True, 1)]
)
def test_a_note_on_the_clock_that_is_no_word_for_true_counts_and_is_said(tmp_path, jpeg, word, is_true, n_odd):
    table = HEAD.replace("\n", ",timestampIssues\n") + GOOD.replace("\n", f",{word}\n")
    source = write(tmp_path, {"d1/a.jpg": jpeg, "deployments.csv": table})
    assert find_manifest(source).deployments["d1"].has_timestamp_issues is is_true
    (found,) = counts(source)
    assert found.not_understood == n_odd and (not n_odd or "'1 h off' is neither true nor false" in found.examples[0])


def listed(*names: str, deployment: str = "d1") -> str:
    """A table of media, each row with a minute of its own."""
    rows = (f'"{name}",{deployment},2024-05-01T06:{place:02}:00Z\n' for place, name in enumerate(names, start=1))
    return "filePath,deploymentID,timestamp\n" + "".join(rows)


def package(media: str, deployments: str = HEAD + GOOD) -> dict[str, bytes | str]:
    resources = [{"name": name, "path": f"{name}.csv"} for name in ("deployments", "media")]
    return {
        "datapackage.json": json.dumps({"resources": resources}),
        "media.csv": media,
        "deployments.csv": deployments,
    }


def minutes(source: str) -> dict[str, int | None]:
    return {file: row["captured_at"] and row["captured_at"].minute for file, row in rows_of(source).items()}


@pytest.mark.parametrize(
    "name",
    [
        "D:\\cards\\C01\\IMG_1.JPG", "d:/cards/c01/img_1.jpg", "/media/me/cards/C01/IMG_1.JPG",
        "\\\\server\\share\\C01\\IMG_1.JPG", "cards/C01/IMG_1.JPG", "IMG_1.JPG",
    ],
)  # fmt: skip
def test_a_path_of_another_machine_is_of_the_picture_whose_path_ends_it(tmp_path, jpeg, name):
    source = write(tmp_path, {"C01/IMG_1.JPG": jpeg, "C01/IMG_2.JPG": jpeg, **package(listed(name))})
    assert minutes(source) == {"C01/IMG_1.JPG": 1, "C01/IMG_2.JPG": None}
    (_, media, _) = counts(source)
    assert (media.rows, media.joined, media.unusable) == (1, 1, 0)


def test_the_root_of_a_card_joins_a_windows_path(tmp_path, jpeg):
    source = write(tmp_path, {"IMG_1.JPG": jpeg, **package(listed("D:\\cards\\IMG_1.JPG"))})
    assert minutes(source) == {"IMG_1.JPG": 1}


@pytest.mark.parametrize("root", ["", "D:\\cards\\"])
def test_names_in_one_folder_that_differ_in_case_alone_take_a_row_each(tmp_path, jpeg, root):
    names = [f"{root}C01/IMG.JPG", f"{root}C01/img.jpg"]
    source = write(tmp_path, {"C01/IMG.JPG": jpeg, "C01/img.jpg": jpeg, **package(listed(*names))})
    assert minutes(source) == {"C01/IMG.JPG": 1, "C01/img.jpg": 2}


def test_rows_that_fit_a_picture_equally_well_are_listed_and_not_used(tmp_path, jpeg):
    names = ["D:\\cards\\C01\\a.jpg", "E:\\backup\\C01\\a.jpg", "D:\\x\\C02\\b.jpg", "/etc/passwd"]
    source = write(tmp_path, {"C01/a.jpg": jpeg, "C02/b.jpg": jpeg, **package(listed(*names))})
    assert minutes(source) == {"C01/a.jpg": None, "C02/b.jpg": 3}
    (_, media, _) = counts(source)
    assert (media.rows, media.joined, media.unusable) == (4, 1, 3)
    assert "'D:/cards/C01/a.jpg' fits 'C01/a.jpg' of SOURCE no better than another" in media.examples
    assert any("'/etc/passwd' leads outside" in example for example in media.examples)


def test_a_bare_name_does_not_choose_between_folders(tmp_path, jpeg):
    source = write(tmp_path, {"C01/a.jpg": jpeg, "C02/a.jpg": jpeg, **package(listed("a.jpg"))})
    assert minutes(source) == {"C01/a.jpg": None, "C02/a.jpg": None}
    assert "a.jpg' fits 'C0" in counts(source)[1].examples[0]


def test_shards_of_a_source_join_as_the_whole_does(tmp_path, jpeg):
    """A shard alone would take the path for its own picture."""
    source = write(tmp_path, {"a.jpg": jpeg, "C01/a.jpg": jpeg, **package(listed("D:\\cards\\C01\\a.jpg"))})
    refs, manifest = list_objects(source, CONFIG), find_manifest(source)
    names = manifest.join(refs).names
    times = [describe_objects([ref], source, CONFIG, manifest, names)[0]["captured_at"] for ref in refs]
    assert [ref.file for ref in refs] == ["C01/a.jpg", "a.jpg"]
    assert times == [datetime(2024, 5, 1, 6, 1), None]


def test_a_manifest_as_source_finds_windows_paths_below_its_folder_and_reads_nothing_else(tmp_path, jpeg, server):
    outside = tmp_path / "outside" / "C01"
    outside.mkdir(parents=True)
    (outside / "b.jpg").write_bytes(jpeg)
    names = [
        "D:\\cards\\C01\\a.jpg",
        str(outside / "b.jpg"),
        f"{server}/C01/a.jpg",
        f"file://{outside}/b.jpg",
        "C01/gone.jpg",
    ]
    folder = write(tmp_path / "in", {"C01/a.jpg": jpeg, "DeletedFiles/b.jpg": jpeg, "list.csv": listed(*names)})
    source = f"{folder}/list.csv"
    refs = list_objects(source, CONFIG)
    assert [(ref.file, bool(ref.etag)) for ref in refs] == [("C01/a.jpg", True), ("C01/gone.jpg", False)]
    assert describe_objects(refs, source, CONFIG)[0]["captured_at"] == datetime(2024, 5, 1, 6, 1)
    (table, *_) = manifest_counts(find_manifest(source), refs, CONFIG)
    assert (table.rows, table.joined, table.waiting, table.unusable) == (5, 1, 1, 3)
    assert _Counter.requests == []
    (tmp_path / "in" / "list.csv").write_text(listed(str(outside / "b.jpg")))
    with pytest.raises(InputError, match=r"names no media; .*leads outside"):
        list_objects(source, CONFIG)


def test_a_manifest_as_source_brings_back_nothing_that_was_deleted(tmp_path, jpeg):
    """A list of all files of a folder names its recycle bins and thumbnails too."""
    names = [
        "C01/a.jpg",
        "C01/DeletedFiles/b.jpg",
        "@eaDir/a.jpg/SYNOPHOTO_THUMB_M.jpg",
        "#recycle/c.jpg",
        "C01/notes.txt",
    ]
    folder = write(tmp_path, dict.fromkeys(names[:4], jpeg) | {"list.csv": listed(*names)})
    found = list_source(f"{folder}/list.csv", CONFIG)
    assert [ref.file for ref in found.objects] == ["C01/a.jpg"]
    assert {str(one.kind): one.n for one in found.left_out} == {
        "recycle_bin": 1,
        "deleted": 1,
        "thumbnail": 1,
        "sidecar": 1,
    }
    (table, *_) = manifest_counts(find_manifest(f"{folder}/list.csv"), found.objects, CONFIG)
    assert (table.rows, table.joined, table.waiting, table.unusable) == (5, 1, 0, 4)
    assert "'C01/DeletedFiles/b.jpg' is left out: in a folder of deleted files" in table.examples


def test_a_medium_of_a_deployment_that_is_not_there_is_counted(tmp_path, jpeg):
    source = write(tmp_path, {"C01/a.jpg": jpeg, **package(listed("C01/a.jpg", deployment="d9"))})
    media = counts(source)[1]
    assert (media.rows, media.joined, media.not_understood) == (1, 0, 1)
    assert media.examples == ("media.csv: line 2: deploymentID 'd9' is not in deployments.csv",)
    assert minutes(source) == {"C01/a.jpg": 1}


@pytest.mark.parametrize("name", ["deployments.csv", "media.csv"])
def test_a_manifest_that_is_found_is_no_link_out_of_its_folder(tmp_path, name):
    """Whoever may write to a card could else have lines of any file of the machine shown as what was not understood."""
    card, elsewhere = tmp_path / "card", tmp_path / "elsewhere.csv"
    card.mkdir()
    elsewhere.write_text(
        "deploymentID,cameraID,secret\nd1,C1,hunter2\n" if name == "deployments.csv" else "filePath,secret\n"
    )
    (card / "deployments.csv").write_text("deploymentID,cameraID\nd1,C1\n")
    (card / name).unlink(missing_ok=True)
    (card / name).symlink_to(elsewhere)
    found = find_manifest(str(card))
    assert found is not None and any("is a link that leads out of its folder" in line for line in found.warnings)
    assert "hunter2" not in str(found)
    inside = card / "tables"
    inside.mkdir()
    (inside / "real.csv").write_text("deploymentID,cameraID\nd1,C1\n")
    if name == "deployments.csv":
        (card / name).unlink()
        (card / name).symlink_to(inside / "real.csv")
        again = find_manifest(str(card))
        assert again is not None and not again.warnings
