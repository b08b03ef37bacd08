"""Pictures of the review: made once, persons hidden, nothing served but what the tables name."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from deployments.review.app import create_app
from deployments.review.drawing import Drawer, NoPictureError, Origin, Size, layer
from scd_core.audit.query.connection import run_sql
from scd_core.config import MediaConfig
from scd_core.errors import RunError
from scd_core.media import list_objects
from tests.report.world import World, build_world, planted_frames

TOKEN = "secret-of-the-test"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return build_world(tmp_path_factory.mktemp("pictures"), planted_frames(n_events=30, label_share=0.3), broken=False)


@pytest.fixture(scope="module")
def client(world: World) -> Iterator[TestClient]:
    app = create_app(world.out, None, "ana", TOKEN)
    with TestClient(app, base_url="http://127.0.0.1:8000", headers={"Authorization": f"Bearer {TOKEN}"}) as made:
        yield made


def picture(tmp_path: Path, size: tuple[int, int], hidden: list[dict[str, float]] | None = None) -> tuple[dict, Origin]:
    """A picture on disk, as a row of the tables, with where it is from."""
    (tmp_path / "cards").mkdir(exist_ok=True)
    pixels = np.full((size[1], size[0], 3), 200, np.uint8)
    Image.fromarray(pixels).save(tmp_path / "cards" / "a.jpg", quality=90)
    (ref,) = list_objects(str(tmp_path / "cards"), MediaConfig())
    row = {
        "media_id": ref.media_id, "uri": ref.uri, "etag": ref.etag, "size_bytes": ref.size_bytes, "version_id": None,
        "width": size[0], "height": size[1], "hidden_boxes": hidden,
    }  # fmt: skip
    return row, Origin(str(tmp_path / "cards"), MediaConfig(), {})


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


def test_sizes_are_made_once_and_kept(tmp_path: Path) -> None:
    row, origin = picture(tmp_path, (2000, 1500))
    drawer = Drawer(str(tmp_path / "out"))
    assert opened(drawer.frame(row, origin, Size.SCREEN)).size == (1600, 1200)
    kept = sorted(
        path.name.partition("-")[0] for path in (tmp_path / "out" / "review" / "pictures" / row["media_id"]).iterdir()
    )
    assert kept == ["screen", "thumb"], "the small one is made with the large one"
    (tmp_path / "cards" / "a.jpg").unlink()
    again = Drawer(str(tmp_path / "out"))
    assert opened(again.frame(row, origin, Size.SCREEN)).size == (1600, 1200)
    assert opened(again.frame(row, origin, Size.THUMB)).size == (320, 240)
    with pytest.raises(NoPictureError, match="no picture"):
        again.frame(row, origin, Size.FULL)


def test_a_picture_is_never_enlarged(tmp_path: Path) -> None:
    row, origin = picture(tmp_path, (300, 200))
    assert opened(Drawer(str(tmp_path / "out")).frame(row, origin, Size.FULL)).size == (300, 200)


def test_a_panorama_is_made_small(tmp_path: Path) -> None:
    row, origin = picture(tmp_path, (16000, 6000))
    assert opened(Drawer(str(tmp_path / "out")).frame(row, origin, Size.SCREEN)).size == (1600, 600)


def test_persons_are_hidden_in_every_size_and_a_person_found_later_too(tmp_path: Path) -> None:
    row, origin = picture(tmp_path, (800, 600))
    drawer = Drawer(str(tmp_path / "out"))
    centre = {size: opened(drawer.frame(row, origin, size)).getpixel for size in Size}
    assert all(abs(at((3, 3))[0] - 200) < 8 for at in centre.values())
    row = row | {"hidden_boxes": [{"x_min": 0.0, "y_min": 0.0, "width": 0.5, "height": 0.5}]}
    for size in Size:
        red, green, blue = opened(drawer.frame(row, origin, size)).getpixel((3, 3))[:3]
        assert max(abs(one - 128) for one in (red, green, blue)) < 8, size


def test_an_out_that_takes_no_file_still_shows_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    row, origin = picture(tmp_path, (800, 600))
    drawer = Drawer(str(tmp_path / "out"))

    def refuse(*_: object) -> bool:
        raise RunError("the disk is full")

    monkeypatch.setattr(drawer._folder, "create_file", refuse)
    assert opened(drawer.frame(row, origin, Size.THUMB)).size == (320, 240)


def test_an_outline_leaves_what_it_surrounds_to_be_seen() -> None:
    mask = np.zeros((60, 80), np.uint8)
    mask[20:40, 30:60] = 255
    sink = io.BytesIO()
    Image.fromarray(mask).save(sink, "PNG")
    row = {"width": 800, "height": 600, "detection_id": None, "bbox_x_min": None}
    outline, heat = (
        np.asarray(opened(layer(row, sink.getvalue(), is_filled=filled)))[..., 3] for filled in (False, True)
    )
    assert outline[300, 450] == 0 and heat[300, 450] > 100
    assert outline.max() == 255 and (outline > 0).mean() < 0.05
    assert outline[10, 10] == heat[10, 10] == 0


def test_pictures_of_a_source_that_was_moved_are_found_where_it_lies_by_now(world: World, tmp_path: Path) -> None:
    """Copied by a tool that keeps neither times nor addresses, so that ETag and version are others."""
    out = str(shutil.copytree(world.out, tmp_path / "out"))
    shutil.rmtree(tmp_path / "out" / "review", ignore_errors=True)
    ((source,),) = run_sql(out, "SELECT DISTINCT source FROM runs").fetchall()
    moved = shutil.copytree(source, tmp_path / "moved", copy_function=shutil.copyfile)
    (tmp_path / "else").mkdir()
    for place, status in ((moved, 200), (tmp_path / "else", 404)):
        app = create_app(out, str(place), "ana", TOKEN)
        bearer = {"Authorization": f"Bearer {TOKEN}"}
        with TestClient(app, base_url="http://127.0.0.1:8000", headers=bearer) as made:
            (item,) = made.get("/api/next?queue=next&n=1").json()
            got = made.get(item["picture"] + "?size=full")
            assert got.status_code == status, got.text[:200]


def test_pictures_by_their_ids_only(client: TestClient, world: World) -> None:
    (item,) = client.get("/api/next?queue=next&n=1").json()
    got = client.get(item["picture"])
    assert got.status_code == 200 and opened(got.content).size == (480, 320)
    for path in (
        "/picture/" + "0" * 32,
        "/picture/../../etc/passwd",
        "/picture/%2e%2e%2fetc%2fpasswd",
        "/picture//etc/passwd",
    ):
        assert client.get(path).status_code == 404, path
    assert client.get(item["picture"] + "?batch=../../..").status_code == 404
    assert client.get(item["picture"] + "?size=huge").status_code == 400
    for path in ("/static/../pages.py", "/static/pages.py", "/static/%2e%2e/app.py"):
        assert client.get(path).status_code == 404, path
    assert client.get("/static/review.js").status_code == client.get("/static/review.css").status_code == 200


def test_evidence_of_a_masked_target(client: TestClient) -> None:
    items = client.get("/api/next?queue=next&n=50").json()
    masked = next(item for item in items if item["evidence"])
    assert opened(client.get(masked["evidence"]).content).mode == "RGBA"
    assert opened(client.get(masked["evidence"] + "?kind=seen").content).mode == "RGB"
    assert client.get(masked["evidence"] + "?against=Nobody").status_code == 404
    assert client.get(masked["evidence"] + "?kind=other").status_code == 400
    bare = next(item for item in items if not item["evidence"])
    assert client.get(f"/evidence/{bare['target_id']}").status_code == 404


def test_broken_evidence_is_404_with_the_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.report.world.evidence", lambda frame: b"no picture")
    broken = build_world(tmp_path, planted_frames(n_events=30, label_share=0.3), broken=False)
    app = create_app(broken.out, None, "ana", TOKEN)
    with TestClient(app, base_url="http://127.0.0.1:8000", headers={"Authorization": f"Bearer {TOKEN}"}) as made:
        masked = next(item for item in made.get("/api/next?queue=next&n=50").json() if item["evidence"])
        for kind in ("outline", "heat", "seen"):
            got = made.get(f"{masked['evidence']}?kind={kind}")
            assert got.status_code == 404 and "the stored mask cannot be read" in got.text
        assert made.get(masked["picture"]).status_code == 200


def test_the_report_has_its_place_and_links_into_the_review(client: TestClient, world: World) -> None:
    assert client.get("/report").status_code == 404, "no page was written yet"
    from scd_core.audit.report.write import write_report

    write_report(world.out, world.config)
    got = client.get(f"/report?token={TOKEN}")
    assert got.status_code == 200 and f"/?token={TOKEN}&at=" in got.text.replace("&amp;", "&")
    assert "script-src" not in got.headers["content-security-policy"]
    assert "default-src 'none'" in got.headers["content-security-policy"]
