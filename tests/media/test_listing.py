"""A listing holds every medium once, under its exact name, or the reason why there is none."""

from __future__ import annotations

import os
import unicodedata
import zipfile
from pathlib import Path

import fsspec
import pytest

from scd_core.config import MediaConfig
from scd_core.errors import InputError
from scd_core.job import list_job, prepare_job
from scd_core.media import describe_objects, list_objects, list_source
from scd_core.media.left_out import left_out_kind, left_out_line
from scd_core.storage import clean_url, open_source
from scd_core.tables.schema import table_from_rows
from tests.services.audits import request_of
from tests.services.pictures import encode, photo

CONFIG = MediaConfig()
ODD = ["a b.jpg", "a+b.jpg", "100%25.jpg", "#1?.jpg", "🐆/ü.jpg", "[x]*{y}.jpg", "q'\"&;.jpg", "x" * 200 + ".jpg"]


def test_odd_names_on_a_disk(tmp_path):
    for name in ODD:
        (tmp_path / "card").joinpath(name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "card" / name).write_bytes(b"1")
    for source in (str(tmp_path), f"file://{tmp_path}", str(tmp_path) + "/"):
        found = list_objects(source, CONFIG)
        assert [ref.file for ref in found] == sorted(f"card/{name}" for name in ODD)
        assert all(ref.uri == f"file://{tmp_path}/{ref.file}" for ref in found)


def test_one_object_as_source(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"1")
    (tmp_path / "b.jpg").write_bytes(b"1")
    assert [ref.file for ref in list_objects(f"{tmp_path}/a.jpg", CONFIG)] == ["a.jpg"]


def test_a_relative_path_and_an_absolute_one_give_the_same_media(tmp_path, monkeypatch):
    (tmp_path / "card").mkdir()
    (tmp_path / "card" / "a.jpg").write_bytes(b"1")
    monkeypatch.chdir(tmp_path)
    assert list_objects("card", CONFIG) == list_objects(str(tmp_path / "card"), CONFIG)


def test_the_listing_is_never_cached():
    fs = fsspec.filesystem("memory")
    fs.pipe_file("/fresh/a.jpg", b"1")
    assert len(list_objects("memory://fresh", CONFIG)) == 1
    fs.pipe_file("/fresh/b.jpg", b"1")
    assert len(list_objects("memory://fresh", CONFIG)) == 2
    fs.rm("/fresh", recursive=True)


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (None, "does not exist"),
        ([], "holds no images"),
        (["a.csv", "deployments.csv"], "holds no images .only 2 other files"),
    ],
)
def test_nothing_to_audit_is_one_clear_line(tmp_path, files, words):
    source = tmp_path / "card"
    if files is not None:
        source.mkdir()
        for name in files:
            (source / name).write_bytes(b"x")
    with pytest.raises(InputError, match=words) as caught:
        list_objects(str(source), CONFIG)
    assert str(source) in str(caught.value) and "\n" not in str(caught.value)


def test_an_unknown_scheme_is_one_clear_line():
    with pytest.raises(InputError, match="no file system for this URL"):
        list_objects("nosuch://me:hunter2@host/x", CONFIG)


LEFT_OUT = {
    "sidecar": [
        "a.CSV", "x/_SUCCESS", "batch.json", "TimelapseData.ddb", "TimelapseData.tdb", "Backups/d.ddb", "Backups/d.csv",
        "media.csv.gz", "a.xmp", "a.AAE",
    ],
    "system": [
        ".DS_Store", "._a.jpg", "Thumbs.db", "ehthumbs.db", "desktop.ini", "__MACOSX/C1/._a.jpg", "c/@eaDir.jpg@SynoEAStream",
        "System Volume Information/IndexerVolumeGuid", "FOUND.000/FILE0000.CHK", "lost+found/a.jpg", "@tmp/a.jpg",
        "C1/a.jpg:Zone.Identifier",
    ],
    "recycle_bin": [
        ".trash/a.jpg", ".Trash-1000/files/a.jpg", ".Trashes/501/a.jpg", "#recycle/C1/a.jpg", "C1/@Recycle/a.jpg",
        "$RECYCLE.BIN/S-1-5-21/$R1.JPG", "$Recycle.Bin/S-1/$I1.JPG", "RECYCLER/a.jpg",
        "C1/.dtrash/files/a.jpg", ".Recycle.Bin/a.jpg", "Recycle_Bin/a.jpg", "RecycleBin/a.jpg", "recycle-bin/a.jpg",
        "Network Recycle Bin/a.jpg", "Network Recycle Bin 1/a.jpg", "Recycle Bin 2/C1/a.jpg", "recycled/a.jpg",
        "#recycle (1)/C1/a.jpg", "@Recycle (2)/a.jpg", "Papierkorb/a.jpg", "Corbeille/a.jpg", "Lixo/a.jpg", "PAPELERA/a.jpg",
        "Papelera de reciclaje/a.jpg", "lixeira/a.jpg", "Cestino/a.jpg", "Prullenbak/a.jpg",
        "ごみ箱/a.jpg", "ゴミ箱/a.jpg", "Корзина/a.jpg", "Papirkurv/a.jpg", "回收站/a.jpg", "휴지통/a.jpg", "Çöp Kutusu/a.jpg",
    ],
    "deleted": [
        "C1/DeletedFiles/a.jpg", "C1/Deleted Files/a.jpg", "DELETED/a.jpg", "Deleted Items/a.jpg", "Deleted Files (1)/a.jpg",
        "C1/Gelöschte Dateien/a.jpg", "Geloschte_Bilder/a.jpg", unicodedata.normalize("NFD", "C1/Gelöschte Fotos/a.jpg"),
        "Éléments supprimés/a.jpg", "Fichiers supprimés (2)/a.jpg", "Récemment supprimés/a.jpg", "Archivos eliminados/a.jpg",
        "fotos borradas/a.jpg", "Arquivos excluídos/a.jpg", "Elementi eliminati/a.jpg", "Verwijderde bestanden/a.jpg",
        "Slettede filer/a.jpg", "Usunięte/a.jpg", "Удалённые файлы/a.jpg", "削除済みアイテム/a.jpg", "最近删除/a.jpg",
        "삭제된 항목/a.jpg",
        "Recently Deleted/a.jpg", "My deleted photos/a.jpg",
    ],
    "thumbnail": [
        "C1/@eaDir/a.JPG/SYNOPHOTO_THUMB_XL.jpg", "C1/.@__thumb/s100a.jpg", "C1/a.THM", "C1/a.lrv",
        "x/Card Previews.lrdata/0/a.jpg",
        ".thumbnails/a.png", "thumbs/a.jpg", "Thumbnail/a.jpg", "Thumbnails (2)/a.jpg", "C1/@Transcode/a/a.jpg",
        "Ours.photoslibrary/resources/derivatives/a.jpg",
    ],
    "copy": [
        "C1/a.JPG_original", "a.jpg_exiftool_tmp", "a.jpg~", "a.JPG.bak", "Backups.backupdb/m/a.jpg", "#snapshot/d/a.jpg",
        "@GMT-2024.01.02-03.04.05/a.jpg", ".stversions/a.jpg", "[Originals]/a.jpg",
    ],
    "hidden": [".hidden.jpg", "C1/.cache/a.jpg"],
}  # fmt: skip


@pytest.mark.parametrize(("kind", "file"), [(kind, file) for kind, files in LEFT_OUT.items() for file in files])
def test_what_systems_and_programs_put_beside_pictures_is_no_medium(kind, file):
    assert left_out_kind(file) == kind


@pytest.mark.parametrize(
    "file",
    [
        "a.jpg", "a.mp4", "no_suffix", "a.CR2", "a.jpeg.part", "a.xyz", "Recycle Creek/a.jpg", "deleted_scene.jpg", "thumb.jpg",
        "Originals/a.jpg", "original.jpg", "IMG_original.jpg", "@home/a.jpg", "#1/a.jpg", "Thumbsup/a.jpg", "x/../a.jpg",
        "Ours.photoslibrary/originals/0/a.jpg", "Backup_2/a.jpg", "$5/a.jpg",
        "C1/Backups/a.jpg", "Trash Creek/a.jpg", "Trash 2/a.jpg", "Cestino Alto/a.jpg", "Deleted 2/a.jpg", "#12 (1)/a.jpg",
        "Recycle Bin Road/a.jpg", "Bilder/a.jpg", "Fotos/a.jpg", "Kos/a.jpg", "Cancellatio/a.jpg", "filesfilesfiles/a.jpg",
        "papelera.jpg", "Thumbnail Ridge/a.jpg",
    ],
)  # fmt: skip
def test_all_else_is_listed(file):
    assert left_out_kind(file) is None


def test_what_a_person_deleted_does_not_come_back_and_is_counted(tmp_path):
    files = [
        "C1/d1/a.jpg",
        "C1/d1/a.jpg_original",
        "C1/d1/DeletedFiles/b.jpg",
        "#recycle/C1/c.jpg",
        "#recycle/C1/d.jpg",
        "x.csv",
    ]
    for file in files:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_bytes(b"1")
    listing = list_source(str(tmp_path), CONFIG)
    assert [ref.file for ref in listing.objects] == ["C1/d1/a.jpg"]
    assert {one.kind: (one.n, one.examples) for one in listing.left_out} == {
        "recycle_bin": (2, ("#recycle/C1/c.jpg", "#recycle/C1/d.jpg")),
        "deleted": (1, ("C1/d1/DeletedFiles/b.jpg",)),
        "copy": (1, ("C1/d1/a.jpg_original",)),
        "sidecar": (1, ("x.csv",)),
    }
    assert left_out_line(listing.left_out) == (
        "left out: 2 in recycle bins (first '#recycle/C1/c.jpg'), 1 in a folder of deleted files ('C1/d1/DeletedFiles/b.jpg'), "
        "1 copy kept by a program ('C1/d1/a.jpg_original'), 1 side file ('x.csv')"
    )
    (tmp_path / "C1/d1/a.jpg").unlink()
    with pytest.raises(InputError, match=r"holds no images .only 5 other files; left out: 2 in recycle bins"):
        list_source(str(tmp_path), CONFIG)


@pytest.mark.parametrize(
    ("url", "clean"),
    [
        ("s3://bucket/k?x#y.jpg", "s3://bucket/k?x#y.jpg"),
        ("s3://AKIA:secret@bucket/me@home.jpg", "s3://bucket/me@home.jpg"),
        ("https://u:p@h.example/a.jpg", "https://h.example/a.jpg"),
        ("https://h.example/a.jpg?X-Amz-Signature=abc&X-Amz-Credential=k", "https://h.example/a.jpg"),
        ("https://h.example/a.jpg?sv=1&sig=abc", "https://h.example/a.jpg"),
        ("ftp://u:p@h.example/a@b.jpg", "ftp://h.example/a@b.jpg"),
        ("/plain/path@x", "/plain/path@x"),
    ],
)
def test_no_credentials_in_an_address(url, clean):
    assert clean_url(url) == clean


def test_keys_of_dots_and_of_double_slashes_are_media_with_a_name_each(bucket, s3_server):
    keys = ["card/a.jpg", "card//a.jpg", "card/../a.jpg", "card/x/../a.jpg", "card/.hidden/a.jpg", "card/._a.jpg"]
    for key in keys:
        s3_server.client().put_object(Bucket=bucket, Key=key, Body=b"x")
    found = list_objects(f"s3://{bucket}/card", MediaConfig())
    assert sorted(item.file for item in found) == ["../a.jpg", "/a.jpg", "a.jpg", "x/../a.jpg"]


def test_an_out_below_source_is_not_audited(tmp_path):
    card, out = tmp_path / "card", tmp_path / "card" / "out"
    out.mkdir(parents=True)
    for path in (card / "a.jpg", out / "report.jpg", card / "out2.jpg"):
        path.write_bytes(b"x")
    package = Path(__file__).resolve().parents[2] / "scd_core" / "scenes" / "models" / "clean"
    objects, *_ = list_job(prepare_job(request_of(card, package, out)))
    assert [item.file for item in objects] == ["a.jpg", "out2.jpg"]
    with pytest.raises(InputError, match="is SOURCE itself"):
        list_job(prepare_job(request_of(card, package, card)))


def test_links_are_followed_but_not_in_circles_and_one_that_leads_nowhere_is_a_row(tmp_path):
    card, disk = tmp_path / "card", tmp_path / "disk"
    for folder in (card / "x", disk / "deep"):
        folder.mkdir(parents=True)
    for path in (card / "x" / "a.jpg", disk / "deep" / "b.jpg"):
        path.write_bytes(b"1")
    (card / "linked").symlink_to(disk)
    (card / "x" / "up").symlink_to(card)
    (card / "c.jpg").symlink_to(disk / "deep" / "b.jpg")
    (card / "lost.jpg").symlink_to(tmp_path / "nowhere")
    (card / "self.jpg").symlink_to(card / "self.jpg")
    found = list_objects(str(card), CONFIG)
    assert [ref.file for ref in found] == ["c.jpg", "linked/deep/b.jpg", "lost.jpg", "self.jpg", "x/a.jpg"]
    rows = {row["file"]: row["status"] for row in describe_objects(found, str(card), CONFIG)}
    assert rows["lost.jpg"] == rows["self.jpg"] == "missing"


def test_links_out_of_source_are_left_out_and_counted_unless_they_are_to_be_followed(tmp_path):
    """Whoever may write to a card could else have any file of the machine drawn into the report."""
    card, disk, home = tmp_path / "card", tmp_path / "disk", tmp_path / "card-other"
    for folder in (card / "x", disk, home):
        folder.mkdir(parents=True)
    for path in (card / "x" / "a.jpg", disk / "secret.jpg", home / "b.jpg"):
        path.write_bytes(b"1")
    (card / "inside.jpg").symlink_to(card / "x" / "a.jpg")
    (card / "up").symlink_to(card)
    (card / "out.jpg").symlink_to(disk / "secret.jpg")
    (card / "hop.jpg").symlink_to(card / "out.jpg")
    (card / "folder").symlink_to(disk)
    (card / "beside").symlink_to(home)
    (card / "lost.jpg").symlink_to(card / "nowhere.jpg")
    (tmp_path / "by-link").symlink_to(card)
    inside = ["inside.jpg", "lost.jpg", "x/a.jpg"]
    for source in (card, tmp_path / "by-link"):
        listed = list_source(str(source), CONFIG, follow_links=False)
        assert [ref.file for ref in listed.objects] == inside
        (left,) = listed.left_out
        assert (left.kind, left.n, left.examples) == ("link", 4, ("beside", "folder", "hop.jpg", "out.jpg"))
    package = Path(__file__).resolve().parents[2] / "scd_core" / "scenes" / "models" / "clean"
    request = request_of(card, package, tmp_path / "out")
    assert [ref.file for ref in list_job(prepare_job(request)).objects] == inside
    followed = request.model_copy(update={"follow_links": True})
    assert len(list_job(prepare_job(followed)).objects) == len(inside) + 4
    only = tmp_path / "only"
    only.mkdir()
    (only / "a.jpg").symlink_to(disk / "secret.jpg")
    with pytest.raises(InputError, match=r"holds no images .*1 link that leads out of SOURCE \('a.jpg'\)"):
        list_source(str(only), CONFIG, follow_links=False)


def test_a_name_that_is_no_text_has_its_row_too(tmp_path):
    name = os.fsencode(tmp_path) + b"/caf\xe9.jpg"
    Path(os.fsdecode(name)).write_bytes(b"1")
    found = list_objects(str(tmp_path), CONFIG)
    (row,) = table_from_rows("media", describe_objects(found, str(tmp_path), CONFIG)).to_pylist()
    assert (row["file"], row["status"]) == ("caf\\xe9.jpg", "missing") and "UTF-8" in row["failure_reason"]


def test_one_place_has_one_address_however_it_is_named(tmp_path, monkeypatch):
    assert {open_source(f"{scheme}://b/card{end}").url for scheme in ("s3", "s3a") for end in ("", "/", "//")} == {
        "s3://b/card"
    }
    (tmp_path / "card").mkdir()
    monkeypatch.chdir(tmp_path)
    names = ("card", "./card/", "x/../card", f"{tmp_path}//card", f"file://{tmp_path}/card", f"local://{tmp_path}/card")
    assert {open_source(name).url for name in names} == {f"file://{tmp_path}/card"}


def test_an_fsspec_config_is_kept(monkeypatch):
    client = {"config_kwargs": {"s3": {"addressing_style": "path"}, "read_timeout": 7}, "anon": True}
    monkeypatch.setitem(fsspec.config.conf, "s3", client)
    fs = open_source("s3://bucket/x").fs
    assert fs.anon and fs.config_kwargs["s3"] == {"addressing_style": "path"} and fs.config_kwargs["read_timeout"] == 7
    assert fs.config_kwargs["retries"] == {"max_attempts": 0} and not fs.dircache.use_listings_cache
    monkeypatch.undo()
    fsspec.get_filesystem_class("s3").clear_instance_cache()


def test_a_folder_in_a_zip_file_is_a_source_too(tmp_path):
    with zipfile.ZipFile(tmp_path / "card.zip", "w") as archive:
        archive.writestr("d/a.jpg", encode(photo()))
    source = f"zip://d::file://{tmp_path}/card.zip"
    (row,) = describe_objects(list_objects(source, CONFIG), source, CONFIG)
    assert (row["file"], row["status"]) == ("a.jpg", "ok")
