"""A damaged EXIF block: the picture is read, the block is counted, and Pillow's warning of it is not among what is printed."""

from __future__ import annotations

import io
import struct
import subprocess
import sys

import pytest
from PIL import Image

from scd_core.media.metadata import exif_time
from tests.services.pictures import encode, exif_block, photo

TIME = "2024:05:04 06:07:08"
SOUND = exif_block(original=TIME)


def with_exif(block: bytes) -> bytes:
    """A JPEG file with an EXIF block, put in as it is."""
    data = encode(photo())
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + data[2:]


def pointer_changed(block: bytes) -> bytes:
    """The first directory's one entry, which leads to the second, leads far outside."""
    head = len(b"Exif\0\0")
    order = "<" if block[head : head + 2] == b"II" else ">"
    (first,) = struct.unpack_from(f"{order}L", block, head + 4)
    place = head + first + 2 + 8
    return block[:place] + struct.pack(f"{order}L", 1_000_000) + block[place + 4 :]


DAMAGED = {
    "a first directory far outside": b"Exif\0\0II*\0\xff\xff\xff\xff" + b"\xff" * 16,
    "a second directory far outside": pointer_changed(SOUND),
    "cut off in the time": SOUND[: SOUND.index(TIME.encode()) + 7],
    "cut off in the first directory": SOUND[:20],
    "no header": b"Exif\0\0" + bytes(40),
}


@pytest.mark.parametrize("kind", DAMAGED)
def test_a_damaged_block_is_counted_as_a_time_that_cannot_be_read(kind: str) -> None:
    found = exif_time(Image.open(io.BytesIO(with_exif(DAMAGED[kind]))))
    assert (found.moment, found.not_understood) == (None, "a damaged block")


@pytest.mark.parametrize(
    "block", [b"Exif\0\0", Image.Exif().tobytes(), exif_block(orientation="6"), exif_block(offset="+02:00")]
)
def test_a_sound_block_without_a_time_is_not_damaged(block: bytes) -> None:
    assert exif_time(Image.open(io.BytesIO(with_exif(block)))).not_understood is None
    assert exif_time(Image.open(io.BytesIO(encode(photo())))).not_understood is None


def test_a_block_that_is_damaged_elsewhere_keeps_its_time() -> None:
    """Behind the time, as where a maker's note was cut off."""
    exif = Image.Exif()
    exif.get_ifd(0x8769).update({0x9003: TIME, 0x927C: b"note" * 50})
    cut = exif.tobytes()[:-100]
    found = exif_time(Image.open(io.BytesIO(with_exif(cut))))
    assert found.moment is not None and found.not_understood is None


def test_nothing_is_printed_of_a_damaged_file(tmp_path) -> None:  # type: ignore[no-untyped-def]
    """In a process of its own, with every warning on: pytest keeps warnings by itself."""
    for number, block in enumerate(DAMAGED.values()):
        (tmp_path / f"{number}.jpg").write_bytes(with_exif(block))
    Image.new("L", (9500, 9500)).save(tmp_path / "large.png", compress_level=1)  # more than Pillow warns of
    read = "Image.open(path).getexif().get_ifd(0x8769)"
    ours = "exif_time(open_image(path.read_bytes(), max_pixels=10**9))"
    printed = {}
    for name, call, imports in (
        ("Pillow", read, "from PIL import Image"),
        ("ours", ours, "from scd_core.media.decode import open_image; from scd_core.media.metadata import exif_time"),
    ):
        code = f"import contextlib, pathlib, sys\n{imports}\nfor path in pathlib.Path(sys.argv[1]).iterdir():\n"
        code += f"    with contextlib.suppress(SyntaxError):\n        {call}\n"
        command = [sys.executable, "-W", "always", "-c", code, str(tmp_path)]
        printed[name] = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    assert "EXIF data" in printed["Pillow"] and "DecompressionBombWarning" in printed["Pillow"], "the fixture"
    assert "PIL" not in printed["ours"]
