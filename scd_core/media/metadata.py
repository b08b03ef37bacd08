"""Time, camera and deployment of a picture, from EXIF, its path and its name; never guessed."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import PurePosixPath

from PIL import Image

from scd_core.config import MediaConfig
from scd_core.errors import InputError
from scd_core.media.times import Moment, is_blank_time, parse_offset, parse_time
from scd_core.names import TimeSource

__all__ = ["ExifTime", "PathFacts", "batch_levels", "exif_time", "folder_levels", "path_facts", "read_exif"]

_EXIF_IFD = 0x8769
_TIMES = (
    (TimeSource.EXIF, 0x9003, 0x9291, 0x9011),
    (TimeSource.EXIF_CREATED, 0x9004, 0x9292, 0x9012),
)
"""Tags of the time, of its fraction of a second and of its offset: DateTimeOriginal, then DateTimeDigitized (CreateDate)."""
_TIME_TAGS = frozenset(tag for _, *tags in _TIMES for tag in tags[:1])
_DAMAGED = "a damaged block"
"""Stands in place of a time that may have been where the block is cut off, or leads outside of itself."""
_MAX_SHOWN = 60
_NAMES = frozenset({"site_id", "camera_id", "deployment_id", "card"})


@dataclass(frozen=True)
class PathFacts:
    """Facts from the path and the name of a file; None where they hold none."""

    site_id: str | None = None
    camera_id: str | None = None
    deployment_id: str | None = None
    captured_at: datetime | None = None
    """On the camera's clock, without a zone."""


@dataclass(frozen=True)
class ExifTime:
    """When a picture was taken, by its EXIF block."""

    moment: Moment | None = None
    source: TimeSource = TimeSource.EXIF
    """Which of the block's times it is."""
    not_understood: str | None = None
    """What stands where the time should be, where it cannot be read and no other time can."""


def read_exif(image: Image.Image) -> Image.Exif:
    """The EXIF block in the header of an image; empty where there is none there.

    Pillow's own method decodes the whole of a PNG file in search of a block behind the pixels; this one never decodes.
    """
    return Image.Image.getexif(image)


def exif_time(image: Image.Image) -> ExifTime:
    """When a picture was taken, by its EXIF block.

    DateTimeOriginal counts, else DateTimeDigitized (CreateDate), which a camera writes at the same moment. DateTime (0x0132)
    never counts: it is when the file was changed, and editors, card copiers and anonymisers write it. An offset in its own tag
    (OffsetTimeOriginal, OffsetTimeDigitized) wins over one that is written behind the time.
    """
    found: list[tuple[TimeSource, str, str, str]] = []
    try:
        exif = read_exif(image)
        block = exif.get_ifd(_EXIF_IFD)
        for source, *tags in _TIMES:
            # TIFF/EP has the same tags in the first directory.
            text, fraction, offset = (_text(block.get(tag, exif.get(tag))) for tag in tags)
            found.append((source, text, fraction, offset))
    except Exception:  # noqa: BLE001 - Pillow's EXIF parser raises many things on a broken block
        return ExifTime(not_understood=_DAMAGED)
    not_understood = None
    for source, text, fraction, offset in found:
        moment = parse_time(text)
        if moment is not None:
            return ExifTime(_exact(moment, fraction, parse_offset(offset)), source)
        if not_understood is None and not is_blank_time(text):
            not_understood = text[:_MAX_SHOWN]
    if not_understood is None and _is_damaged(image.info.get("exif", b"")):
        not_understood = _DAMAGED
    return ExifTime(not_understood=not_understood)


def _is_damaged(block: bytes) -> bool:
    """Whether a directory that may hold a time, or a time itself, is not wholly within an EXIF block."""
    block = block.removeprefix(b"Exif\0\0")
    if not block:
        return False
    order = {b"II": "<", b"MM": ">"}.get(block[:2])
    if order is None:
        return True
    try:
        places = list(struct.unpack_from(f"{order}L", block, 4))
        for place in places:
            (n_entries,) = struct.unpack_from(f"{order}H", block, place)
            for number in range(n_entries):
                tag, _, size, value = struct.unpack_from(f"{order}HHLL", block, place + 2 + 12 * number)
                if tag == _EXIF_IFD and len(places) == 1:
                    places.append(value)
                if tag in _TIME_TAGS and size > 4 and value + size > len(block):
                    return True
    except struct.error:
        return True
    return False


def _exact(moment: Moment, fraction: str, offset: int | None) -> Moment:
    """A time with what stands beside it in tags of their own."""
    local = moment.local
    if fraction.isascii() and fraction.isdigit():
        local = local.replace(microsecond=int(fraction[:6].ljust(6, "0")))
    return Moment(local, moment.offset if offset is None else offset)


def _text(value: object) -> str:
    if isinstance(value, tuple) and len(value) == 1:
        value = value[0]
    if isinstance(value, bytes):
        value = value.decode("ascii", "replace")
    # what follows a zero byte is left over from another value
    return value.partition("\0")[0].strip() if isinstance(value, str) else ""


def batch_levels(config: MediaConfig) -> int:
    """How many leading folders of a path make one upload.

    Raises:
        InputError: the template in the config is malformed.
    """
    return len(_template_names(config.batch_template, "batch_template")) if config.batch_template else 0


def folder_levels(config: MediaConfig) -> int:
    """How many leading folders of a path make one folder that can be closed: an upload, else what `path_template` names.

    Raises:
        InputError: a template in the config is malformed.
    """
    return batch_levels(config) or len(_template_names(config.path_template, "path_template"))


@lru_cache(maxsize=16)
def _template_names(template: str, field: str) -> tuple[str, ...]:
    names = []
    for part in template.strip("/").split("/"):
        match = re.fullmatch(r"\{(\w+)\}", part)
        if match is None or match[1] not in _NAMES:
            raise InputError(
                f"config media.{field}: {part!r} in {template!r}; each folder must be one of "
                + ", ".join(f"{{{name}}}" for name in sorted(_NAMES))
            )
        names.append(match[1])
    return tuple(names)


@lru_cache(maxsize=16)
def _filename_regex(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as error:
        raise InputError(f"config media.filename_pattern: {pattern!r} is no regular expression ({error})") from error


def path_facts(file: str, config: MediaConfig) -> PathFacts:
    """Site, camera, deployment and time from a path relative to SOURCE.

    The leading folders are named by ``path_template``; groups of ``filename_pattern`` found in the file's name win
    over them. A time that does not fit ``filename_time_format`` is left out.

    Raises:
        InputError: the template or the pattern in the config is malformed.
    """
    folders = PurePosixPath(file).parts[:-1]
    found: dict[str, str | None] = dict(zip(_template_names(config.path_template, "path_template"), folders))
    captured_at = None
    if config.filename_pattern:
        match = _filename_regex(config.filename_pattern).search(PurePosixPath(file).name)
        if match:
            groups = {name: text for name, text in match.groupdict().items() if text}
            moment = groups.pop("captured_at", None)
            found |= groups
            if moment is not None:
                try:
                    captured_at = datetime.strptime(moment, config.filename_time_format).replace(tzinfo=None)
                except ValueError:
                    captured_at = None
    return PathFacts(found.get("site_id"), found.get("camera_id"), found.get("deployment_id"), captured_at)
