"""Time, camera and deployment of a picture, from EXIF, its path and its name; never guessed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import PurePosixPath

from PIL import Image

from scd_core.config import MediaConfig
from scd_core.errors import InputError

__all__ = ["PathFacts", "batch_levels", "exif_time", "path_facts", "read_exif"]

_EXIF_IFD = 0x8769
_DATE_TIME_ORIGINAL = 0x9003
_OFFSET_TIME_ORIGINAL = 0x9011
_SUBSEC_TIME_ORIGINAL = 0x9291
_OFFSET = re.compile(r"([+-])(\d{2}):?(\d{2})$")
_NAMES = frozenset({"site_id", "camera_id", "deployment_id", "card"})


@dataclass(frozen=True)
class PathFacts:
    """Facts from the path and the name of a file; None where they hold none."""

    site_id: str | None = None
    camera_id: str | None = None
    deployment_id: str | None = None
    captured_at: datetime | None = None
    """On the camera's clock, without a zone."""


def read_exif(image: Image.Image) -> Image.Exif:
    """The EXIF block in the header of an image; empty where there is none there.

    Pillow's own method decodes the whole of a PNG file in search of a block behind the pixels; this one never decodes.
    """
    return Image.Image.getexif(image)


def exif_time(image: Image.Image) -> tuple[datetime | None, int | None]:
    """When a picture was taken, by its EXIF block.

    Only DateTimeOriginal counts: the other times are those of editing or storing.

    Returns:
        The time on the camera's clock (no zone) and the clock's offset from UTC in minutes; None for what is absent,
        blank or no valid date.
    """
    try:
        block = read_exif(image).get_ifd(_EXIF_IFD)
        text, subsec, offset = (
            block.get(tag) for tag in (_DATE_TIME_ORIGINAL, _SUBSEC_TIME_ORIGINAL, _OFFSET_TIME_ORIGINAL)
        )
    except Exception:  # noqa: BLE001 - Pillow's EXIF parser raises many things on a broken block
        return None, None
    moment = _parse_exif_time(_text(text))
    if moment is None:
        return None, None
    digits = _text(subsec)
    if digits.isascii() and digits.isdigit():
        moment = moment.replace(microsecond=int(digits[:6].ljust(6, "0")))
    return moment, _parse_offset(_text(offset))


def _text(value: object) -> str:
    if isinstance(value, bytes):
        value = value.decode("ascii", "replace")
    return value.strip("\0 \t\r\n") if isinstance(value, str) else ""


def _parse_exif_time(text: str) -> datetime | None:
    for pattern in ("%Y:%m:%d %H:%M:%S", "%Y-%m-%d %H:%M:%S"):
        try:
            return datetime.strptime(text, pattern)
        except ValueError:
            continue
    return None


def _parse_offset(text: str) -> int | None:
    """Minutes east of UTC of ``+HH:MM`` or ``Z``; None for anything else.

    >>> _parse_offset("-07:00"), _parse_offset("Z"), _parse_offset("")
    (-420, 0, None)
    """
    if text in ("Z", "z"):
        return 0
    match = _OFFSET.match(text)
    if match is None or int(match[2]) > 14 or int(match[3]) > 59:
        return None
    minutes = int(match[2]) * 60 + int(match[3])
    return -minutes if match[1] == "-" else minutes


def batch_levels(config: MediaConfig) -> int:
    """How many leading folders of a path make one upload.

    Raises:
        InputError: the template in the config is malformed.
    """
    return len(_template_names(config.batch_template, "batch_template")) if config.batch_template else 0


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
