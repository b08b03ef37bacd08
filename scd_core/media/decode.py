"""Turning bytes into an upright RGB picture, or into the reason why that cannot be done."""

from __future__ import annotations

import contextlib
import io
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from PIL import (
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageOps,
    JpegImagePlugin,
    MpoImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
)

from scd_core.media.error import MediaError
from scd_core.media.jpeg_scan import check_scan
from scd_core.media.metadata import read_exif
from scd_core.media.sniff import sniff
from scd_core.names import FailureStage, MediaStatus
from scd_core.storage.threads import Budget

__all__ = ["decode_image", "load_image", "open_image", "upright_size"]

# What is wrong with a file is in its row and is counted; Pillow's warnings of it would stand among what a run prints.
warnings.filterwarnings("ignore", module=r"PIL\.")

_FORMATS = ("JPEG", "PNG", "TIFF", "WEBP", "BMP", "GIF")
# Importing a plugin registers it; left to Pillow, threads that open their first file together race for it.
_PLUGINS = (
    BmpImagePlugin,
    GifImagePlugin,
    JpegImagePlugin,
    MpoImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)
_GIANT_PIXELS = 30_000_000
_PIXELS = Budget(4 * _GIANT_PIXELS)
"""Pixels that the process's threads decode at once, giants left out."""

_GIANTS = ThreadPoolExecutor(1, thread_name_prefix="giant")
"""Larger pictures are decoded one after another in a thread of their own: what each of many threads frees, its heap keeps."""

_ROWS = 1024

_ORIENTATION = 0x0112
_DNG_VERSION = 0xC612
_JPEG_MODES = {"JPEG", "MPO"}


def open_image(data: bytes, *, max_pixels: int) -> Image.Image:
    """Read the header of an image; no pixel is decoded yet.

    Args:
        data: the whole file.
        max_pixels: largest picture allowed, in pixels; Pillow's own limit holds as well.

    Raises:
        MediaError: ``empty``, ``unsupported`` (not a still image, or too large) or ``corrupt`` (a broken header).
    """
    if not data:
        raise MediaError(MediaStatus.EMPTY, FailureStage.DECODE, "the file has no bytes")
    kind = sniff(data[:64])
    if kind not in _FORMATS:
        if not any(data[:4096]):
            raise _corrupt("the file begins with nothing but zero bytes")
        raise _unsupported(_UNSUPPORTED.get(kind, "not an image: its first bytes fit no known type"))
    data, damage = check_scan(data) if kind == "JPEG" else (data, None)
    try:
        image = Image.open(io.BytesIO(data), formats=(kind,))
    except Image.DecompressionBombError as error:
        raise _unsupported(f"decompression bomb: {error}") from error
    except UnidentifiedImageError as error:
        raise _corrupt(f"the header of this {kind} file cannot be read") from error
    except Exception as error:  # a broken file may raise anything from Pillow's parsers
        raise _corrupt(f"the header of this {kind} file is broken ({_say(error)})") from error
    pixels = image.width * image.height
    if pixels > max_pixels:
        raise _unsupported(f"decompression bomb: {image.width} x {image.height} is over {max_pixels} pixels")
    if pixels == 0:
        raise _corrupt(f"the picture has no pixels ({image.width} x {image.height})")
    if damage is not None:
        raise _corrupt(f"damaged JPEG data ({damage})")
    if image.format == "TIFF" and _DNG_VERSION in getattr(image, "tag_v2", {}):
        raise _unsupported(_UNSUPPORTED["RAW"])
    if image.format in ("GIF", "WEBP", "PNG"):
        _refuse_animation(image)
    return image


_UNSUPPORTED = {
    "video": "a video; only still images are read",
    "RAW": "a camera RAW file; save it as JPEG or TIFF",
    "HEIF": "a HEIF or AVIF file; save it as JPEG",
    "HTML": "an HTML page, not an image: perhaps the error page of a download",
    "XML": "an XML document, not an image: perhaps the error message of a download",
    "PDF": "a PDF document, not an image",
    "archive": "an archive, not an image: unpack it",
}


def _refuse_animation(image: Image.Image) -> None:
    try:
        animated = bool(getattr(image, "is_animated", False))
    except Exception as error:
        raise _corrupt(f"the frames of this {image.format} file cannot be read ({_say(error)})") from error
    if animated:
        raise _unsupported("an animation; like a video it is not read, save its frames as stills")


def orientation(image: Image.Image) -> int:
    """EXIF orientation, 1 to 8; 1 where the EXIF block is missing or broken."""
    try:
        value = read_exif(image).get(_ORIENTATION, 1)
    except Exception:  # noqa: BLE001 - broken EXIF is no reason to lose the picture
        return 1
    return value if value in range(1, 9) else 1


def upright_size(image: Image.Image) -> tuple[int, int]:
    """Width and height as seen, after EXIF orientation (pixels)."""
    width, height = image.size
    return (height, width) if orientation(image) >= 5 else (width, height)


def decode_image(data: bytes, *, target: int | None = None, max_pixels: int) -> Image.Image:
    """Decode a still image: RGB, 8 bit, upright.

    JPEG data are decoded at 1/2, 1/4 or 1/8 scale where that leaves the shorter side at least ``target`` pixels (scaled
    DCT); every coded byte is still read, so damage is still found. What is still more than four times as large as needed
    is averaged down to at least twice, so that what waits for the model stays small. CMYK, grey, palette and 16-bit pictures are
    converted (16 bit by its full range), transparency is dropped.

    Args:
        data: the whole file.
        target: shorter side needed, in pixels; None decodes at full size.
        max_pixels: largest picture allowed, in pixels.

    Raises:
        MediaError: the bytes are no still image, are damaged, or hold too many pixels.
    """
    return load_image(open_image(data, max_pixels=max_pixels), target=target)


def load_image(image: Image.Image, *, target: int | None = None) -> Image.Image:
    """Decode an image whose header was read by :func:`open_image`; as :func:`decode_image` does."""
    turn = orientation(image)
    try:
        if target is not None and image.format in _JPEG_MODES:
            # draft() keeps both sides at least as large as given, so the sizes have the picture's own proportions.
            scale = min(1.0, target / min(image.size))
            image.draft(None, (max(1, round(image.width * scale)), max(1, round(image.height * scale))))
        pixels = image.width * image.height
        if pixels > _GIANT_PIXELS:
            rgb = _GIANTS.submit(_load_rgb, image, target).result()
        else:
            with _PIXELS.hold(pixels):
                rgb = _load_rgb(image, target)
    except Image.DecompressionBombError as error:
        raise _unsupported(f"decompression bomb: {error}") from error
    except MemoryError as error:
        raise _unsupported("too large to decode in memory") from error
    except Exception as error:  # a broken file may raise anything from Pillow's decoders
        raise _corrupt(f"damaged {image.format} data ({_say(error)})") from error
    if turn != 1:
        rgb.getexif()[_ORIENTATION] = turn
        rgb = ImageOps.exif_transpose(rgb)
    return rgb


def _excess(side: int, target: int) -> int:
    factor = 1
    while side // (2 * factor) >= 2 * target:
        factor *= 2
    return factor


def _load_rgb(image: Image.Image, target: int | None) -> Image.Image:
    image.load()
    plain = _eight_bits(image)
    if target is not None and (factor := _excess(min(plain.size), target)) > 1:
        plain = plain.reduce(factor)
    rgb = plain if plain.mode == "RGB" else plain.convert("RGB")
    if rgb is not image:
        image.close()  # its pixels would stay in memory for as long as the caller keeps the header
    return rgb


def _eight_bits(image: Image.Image) -> Image.Image:
    """The picture in a mode of 8 bits a channel whose pixels may be averaged."""
    if image.mode in ("RGB", "L", "CMYK", "YCbCr"):
        return image
    if image.mode.startswith("I") or image.mode == "F":
        return _scaled(image)
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")
    return image.convert("RGB")


def _scaled(image: Image.Image) -> Image.Image:
    """16-bit grey by its full range, so that pictures of one camera stay comparable; floats by 1 or by 255."""
    values = np.asarray(image)
    grey = np.empty(values.shape, np.uint8)
    by_one = image.mode == "F" and np.nanmax(values, initial=0.0) <= 1.0
    for start in range(0, len(values), _ROWS):
        rows = values[start : start + _ROWS]
        if image.mode == "F":
            rows = np.nan_to_num(rows, nan=0.0, posinf=255.0, neginf=0.0) * (255.0 if by_one else 1.0)
            grey[start : start + _ROWS] = np.clip(rows, 0, 255)
        else:
            grey[start : start + _ROWS] = np.clip(rows, 0, 65_535) // 257
    return Image.fromarray(grey)


def _say(error: BaseException) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    with contextlib.suppress(IndexError):
        text = text.split(" <_io")[0]
    return text[:200]


def _corrupt(reason: str) -> MediaError:
    return MediaError(MediaStatus.CORRUPT, FailureStage.DECODE, reason)


def _unsupported(reason: str) -> MediaError:
    return MediaError(MediaStatus.UNSUPPORTED, FailureStage.DECODE, reason)
