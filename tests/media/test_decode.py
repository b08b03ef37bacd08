"""Bytes become an upright RGB picture, or a status and a reason."""

from __future__ import annotations

import contextlib
import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageFile

from scd_core.media import MediaError, decode_image
from scd_core.media.sniff import sniff
from tests.services.pictures import encode, exif_block, photo

LIMIT = 10_000_000


def refused(data: bytes, **options: int) -> MediaError:
    with pytest.raises(MediaError) as caught:
        decode_image(data, **{"max_pixels": LIMIT, **options})
    return caught.value


def test_rgb_upright_and_full_size(jpeg):
    image = decode_image(jpeg, max_pixels=LIMIT)
    assert image.mode == "RGB" and image.size == (320, 240)
    assert np.asarray(image)[20, 20, 0] > 200 > 100 > np.asarray(image)[20, 20, 1]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("target", [None, 60])
def test_every_exif_orientation_gives_the_same_picture(orientation, target):
    upright = photo()
    undo = {
        2: [Image.Transpose.FLIP_LEFT_RIGHT],
        3: [Image.Transpose.ROTATE_180],
        4: [Image.Transpose.FLIP_TOP_BOTTOM],
        5: [Image.Transpose.TRANSPOSE],
        6: [Image.Transpose.ROTATE_90],
        7: [Image.Transpose.TRANSVERSE],
        8: [Image.Transpose.ROTATE_270],
    }
    stored = upright
    for step in undo.get(orientation, []):
        stored = stored.transpose(step)
    data = encode(stored, quality=95, exif=exif_block(orientation=str(orientation)))
    image = decode_image(data, target=target, max_pixels=LIMIT)
    assert image.width > image.height
    pixels = np.asarray(image.resize((320, 240)), dtype=float)
    assert pixels[20:100, 20:140, 0].mean() > 200, "the red quarter is no longer in the upper left"
    assert pixels[140:, :, 0].mean() < 100


@pytest.mark.parametrize(
    ("target", "expected"), [(None, (1600, 1200)), (600, (800, 600)), (601, (1600, 1200)), (150, (200, 150))]
)
def test_draft_keeps_the_shorter_side_at_least_as_given(target, expected):
    data = encode(photo(1600, 1200))
    assert decode_image(data, target=target, max_pixels=LIMIT).size == expected


@pytest.mark.parametrize(
    ("kind", "mode"),
    [("JPEG", "CMYK"), ("JPEG", "L"), ("PNG", "P"), ("PNG", "RGBA"), ("PNG", "LA"), ("PNG", "1"), ("TIFF", "CMYK")],
)
def test_other_colour_modes_become_rgb(kind, mode):
    expected = np.asarray(photo().convert(mode).convert("RGB"), dtype=float)
    image = decode_image(encode(photo().convert(mode), kind), max_pixels=LIMIT)
    assert image.mode == "RGB"
    assert np.abs(np.asarray(image, dtype=float) - expected).mean() < 12


def test_sixteen_bit_grey_is_scaled_by_its_full_range():
    ramp = np.linspace(0, 65535, 256).astype(np.uint16)[None].repeat(8, axis=0)
    for kind in ("PNG", "TIFF"):
        image = decode_image(encode(Image.fromarray(ramp), kind), max_pixels=LIMIT)
        np.testing.assert_allclose(np.asarray(image)[0, :, 1], np.arange(256), atol=1)


def test_truncated_files_are_corrupt_at_every_length(jpeg):
    for data in (jpeg, encode(photo(), progressive=True), encode(photo(), "PNG")):
        for share in (0.3, 0.6, 0.9):
            for target in (None, 30):
                error = refused(data[: int(len(data) * share)], target=target)
                assert (error.status, error.stage) == ("corrupt", "decode")
                assert "truncated" in error.reason or "broken" in error.reason, error.reason
    assert ImageFile.LOAD_TRUNCATED_IMAGES is False


def test_zero_bytes_are_empty():
    assert refused(b"").status == "empty"


@pytest.mark.parametrize(
    ("data", "kind", "word"),
    [
        (b"<!DOCTYPE html><html><body>403</body></html>", "HTML", "HTML page"),
        (b"\xef\xbb\xbf\n <html>", "HTML", "HTML page"),
        (b"<?xml version='1.0'?><Error><Code>NoSuchKey</Code></Error>", "XML", "XML"),
        (b"\0\0\0\x18ftypmp42\0\0\0\0", "video", "video"),
        (b"RIFF\0\0\0\0AVI LIST", "video", "video"),
        (b"II*\0\x10\0\0\0CR\2\0", "RAW", "RAW"),
        (b"\0\0\0\x18ftypheic\0\0\0\0", "HEIF", "HEIF"),
        (b"%PDF-1.7", "PDF", "PDF"),
        (b"PK\3\4", "archive", "archive"),
        (b"some words", "unknown", "not an image"),
    ],
)
def test_what_is_no_still_image_is_unsupported(data, kind, word):
    assert sniff(data[:64]) == kind
    error = refused(data)
    assert error.status == "unsupported" and word in error.reason


def test_an_animation_is_unsupported_like_a_video():
    frames = [photo(64, 48, seed=n) for n in range(3)]
    for kind in ("GIF", "WEBP", "PNG"):
        still = encode(frames[0], kind)
        assert decode_image(still, max_pixels=LIMIT).size == (64, 48)
        moving = encode(frames[0], kind, save_all=True, append_images=frames[1:])
        error = refused(moving)
        assert error.status == "unsupported" and "animation" in error.reason


def png_header(width: int, height: int) -> bytes:
    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)) + chunk(
        b"IDAT", zlib.compress(b"\0" * 1000)
    )  # fmt: skip


@pytest.mark.parametrize("side", [4_000, 12_000, 60_000])
def test_a_decompression_bomb_is_refused_before_it_is_decoded(side):
    error = refused(png_header(side, side))
    assert error.status == "unsupported" and "bomb" in error.reason


def test_pillows_own_limit_is_kept():
    assert refused(png_header(60_000, 60_000), max_pixels=10**12).status == "unsupported"


def test_broken_exif_does_not_lose_the_picture(jpeg):
    broken = jpeg[:2] + b"\xff\xe1\x00\x20Exif\0\0II*\0\xff\xff\xff\xff" + b"\xff" * 16 + jpeg[2:]
    assert decode_image(broken, max_pixels=LIMIT).size == (320, 240)


def scan_of(data: bytes) -> tuple[int, int]:
    """Where the coded data of a JPEG file of one scan begin and end."""
    start = data.index(b"\xff\xda")
    start += 2 + int.from_bytes(data[start + 2 : start + 4], "big")
    return start, data.rindex(b"\xff\xd9")


def damaged_scan(kind: str, data: bytes) -> bytes:
    start, end = scan_of(data)
    middle = (start + end) // 2
    return {
        "cut, then ended": data[:middle] + b"\xff\xd9",
        "last hundredth lost": data[: end - (end - start) // 100] + b"\xff\xd9",
        "zeros to the end": data[:middle] + bytes(end - middle) + b"\xff\xd9",
        "zeros to the end, and no end": data[:middle] + bytes(len(data) - middle),
        "a sector of zeros": data[:middle] + bytes(512) + data[middle + 512 :],
        "an erased sector": data[:middle] + b"\xff" * 512 + data[middle + 512 :],
        "two sectors left out": data[:middle] + data[middle + 1024 :],
    }[kind]


@pytest.mark.parametrize("target", [None, 60])
@pytest.mark.parametrize(
    "kind",
    [
        "cut, then ended", "last hundredth lost", "zeros to the end", "zeros to the end, and no end",
        "a sector of zeros", "an erased sector", "two sectors left out",
    ],
)  # fmt: skip
@pytest.mark.parametrize("options", [{}, {"subsampling": 0}, {"restart_marker_blocks": 7}], ids=str)
def test_damage_that_libjpeg_only_warns_about_is_corrupt(kind, options, target):
    """Cards that fail leave such files; Pillow decodes them without a word, the rest of the picture grey."""
    data = encode(photo(640, 480), quality=90, **options)
    broken = damaged_scan(kind, data)
    if kind not in ("an erased sector", "zeros to the end, and no end"):
        Image.open(io.BytesIO(broken)).load()  # the fixture: Pillow alone finds nothing wrong
    assert refused(broken, target=target).status == "corrupt"


@pytest.mark.timeout(300)  # looked through once for each byte, it would take hours
@pytest.mark.parametrize("fill", [b"\xff", b"\x00", b"\xff\x00", b"\xff\xd0", b"\xff\xe0\x00\x02", b"\xff\xda"])
@pytest.mark.parametrize("where", ["header", "middle", "tail"])
def test_a_megabyte_of_one_pattern_is_judged_soon(jpeg, fill, where):
    start, end = scan_of(jpeg)
    at = {"header": start - 20, "middle": (start + end) // 2, "tail": end}[where]
    many = fill * (1_000_000 // len(fill))
    with contextlib.suppress(MediaError):
        decode_image(jpeg[:at] + many + (b"" if where == "tail" else jpeg[at:]), max_pixels=LIMIT)


@pytest.mark.parametrize(
    "make",
    [
        lambda: encode(photo(333, 222)).replace(b"\xff\xd9", b"\xff\xff\xff\xd9"),  # filled up to a word
        lambda: encode(Image.new("RGB", (640, 480))),
        lambda: encode(Image.new("RGB", (640, 480)), optimize=True),  # its flat blocks are coded as zeros
        lambda: encode(Image.new("L", (641, 479), 7), optimize=True, restart_marker_rows=1),
        lambda: encode(photo(333, 222).convert("L"), restart_marker_blocks=5),
        lambda: encode(photo(333, 222), restart_marker_rows=1, subsampling=2),
        # 14 rows of units, 13 markers between them, and one more that some encoders put before the end
        lambda: encode(photo(333, 222), restart_marker_rows=1, subsampling=2)[:-2] + b"\xff\xd5\xff\xd9",
        lambda: encode(photo(333, 222).convert("CMYK"), restart_marker_rows=2),
        lambda: encode(photo(333, 222)) + bytes(5000),  # padded to a cluster
        lambda: encode(photo(333, 222), "MPO", save_all=True, append_images=[photo(333, 222, seed=1)]),
        lambda: encode(photo(333, 222), progressive=True),
        lambda: encode(photo(8, 8)),
        lambda: encode(photo(1, 1)),
    ],
)
def test_sound_files_of_every_build_are_read_as_pillow_reads_them(make):
    data = make()
    expected = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    np.testing.assert_array_equal(np.asarray(decode_image(data, max_pixels=LIMIT)), expected)
