"""Pictures of the review page: frames made small once and kept, evidence as layers to lay over them, what the network saw."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from enum import StrEnum

from PIL import Image

from scd_core.audit.report.draw import heat_layer, mask_over_frame, outline_layer, shrink
from scd_core.audit.report.examples import seen_again
from scd_core.audit.report.queries import Row
from scd_core.boxes import classified_box
from scd_core.config import MediaConfig
from scd_core.errors import RunError
from scd_core.identify.redaction import blank, boxes_from_columns
from scd_core.media import iter_images
from scd_core.tables.folder import OutFolder

__all__ = ["Drawer", "NoPictureError", "Origin", "Size", "layer"]

_KEPT = "review/pictures"
_VERSION = 1
"""Part of a kept picture's name; another way of drawing has another number."""
_QUALITY = 85
_LAYER_SIDE = 800
"""Longer side of a layer of evidence (pixels)."""
_LINE = 1
"""Width of the line around evidence, at that side (pixels)."""
_FORGET_SECONDS = 20.0
"""A picture that could not be had is tried again after this time, not at each request."""
_TURNS = 16
"""Pictures that may be made at once."""
_REMEMBERED = 48
"""Pictures kept in memory, about 0.3 MB each."""


class Size(StrEnum):
    """How large a frame is shown."""

    THUMB = "thumb"
    SCREEN = "screen"
    FULL = "full"
    """For looking closely; made at each request, not kept."""


_SIDES = {Size.THUMB: 320, Size.SCREEN: 1600, Size.FULL: 4096}
"""Longer side (pixels)."""


@dataclass(frozen=True)
class Origin:
    """Where pictures of a batch are from."""

    source: str
    config: MediaConfig
    run: Row
    """SOURCE, settings and the model's input, as the query `runs` has them; may be empty."""


class NoPictureError(Exception):
    """There is no such picture; the message is one line for the page."""


class Drawer:
    """Draws and keeps the pictures of one sitting; safe to use from several threads."""

    def __init__(self, out: str) -> None:
        self._folder = OutFolder(out)
        self._memory: OrderedDict[str, bytes] = OrderedDict()
        self._failed: dict[str, tuple[float, str]] = {}
        self._lock = threading.Lock()
        self._turns = [threading.Lock() for _ in range(_TURNS)]

    def frame(self, row: Row, origin: Origin, size: Size) -> bytes:
        """A frame as JPEG without metadata, persons and vehicles hidden.

        It is kept below ``review/pictures`` of OUT, in a folder of the medium; where OUT takes no file, it is made again.

        Args:
            row: `media_id`, what :func:`scd_core.media.iter_images` needs of a medium, and `hidden_boxes`.
            origin: where the medium is from.
            size: longer side, at most that of the original.

        Raises:
            NoPictureError: SOURCE has it no longer, does not give it, or it cannot be decoded.
        """
        with self._turns[hash(row["media_id"]) % len(self._turns)]:  # two sizes of one picture are made of one decoding
            if (kept := self._kept(row, size)) is not None:
                return kept
            picture = self.decode(row, origin, _short_side(row, _SIDES[size]))
            picture.thumbnail((_SIDES[size], _SIDES[size]), Image.Resampling.LANCZOS)
            data = _jpeg(picture)
            self._keep(row, data, size)
            if size is Size.SCREEN and self._kept(row, Size.THUMB) is None:
                self._keep(row, _jpeg(shrink(picture, _SIDES[Size.THUMB], _SIDES[Size.THUMB])), Size.THUMB)
            return data

    def decode(self, row: Row, origin: Origin, side: int | None) -> Image.Image:
        """The upright frame, its shorter side at least `side` pixels (None: full size), persons and vehicles hidden.

        Raises:
            NoPictureError: as for :meth:`frame`.
        """
        known = self._failed.get(row["media_id"])
        if known is not None and time.monotonic() < known[0]:
            raise NoPictureError(known[1])
        try:
            _, image = next(iter_images([row], origin.source, origin.config, target_for=side))
        except Exception as error:  # noqa: BLE001 - whatever a storage raises, the screen is worth having without its picture
            image = None
            reason = " ".join(str(error).split()) or type(error).__name__
        if isinstance(image, Image.Image):
            return blank(image, boxes_from_columns(row["hidden_boxes"]))
        if image is not None:
            reason = str(image)
        self._failed[row["media_id"]] = (time.monotonic() + _FORGET_SECONDS, f"no picture: {reason}")
        raise NoPictureError(f"no picture: {reason}")

    def seen(self, row: Row, origin: Origin, view: Row) -> bytes:
        """What the network saw when it classified a masked target again, as JPEG.

        Args:
            row: as :func:`scd_core.audit.report.examples.seen_again` takes it.
            origin: where the medium is from.
            view: the strategy's row.

        Raises:
            NoPictureError: as for :meth:`frame`, or the strategy is one of another version.
            BrokenMaskError: the stored mask cannot be read.
        """
        from scd_core.audit.report.shown import decoded_side  # imports torch, which takes seconds

        picture = self.decode(row, origin, decoded_side(row, origin.run))
        shown = seen_again(row, picture, view, origin.run)
        if shown is None:
            raise NoPictureError("no picture: this version cannot make what that run showed the network")
        return _jpeg(shown)

    def _kept(self, row: Row, size: Size) -> bytes | None:
        if size is Size.FULL:
            return None
        key = _key(row, size)
        with self._lock:
            if (data := self._memory.get(key)) is not None:
                self._memory.move_to_end(key)
                return data
        try:
            data = self._folder.get_file(f"{_KEPT}/{key}")
        except RunError:  # a picture that cannot be read here is made again
            return None
        if data is not None:
            self._remember(key, data)
        return data

    def _keep(self, row: Row, data: bytes, size: Size) -> None:
        key = _key(row, size)
        if size is not Size.FULL:
            self._remember(key, data)
            with contextlib.suppress(RunError):  # a full disk or a missing right is no reason to show nothing
                self._folder.create_file(f"{_KEPT}/{key}", data)

    def _remember(self, key: str, data: bytes) -> None:
        with self._lock:
            self._memory[key] = data
            while len(self._memory) > _REMEMBERED:
                self._memory.popitem(last=False)


def layer(row: Row, mask_png: bytes, *, is_filled: bool) -> bytes:
    """Evidence to lay over a frame, as PNG: a line around it, or heat.

    Args:
        row: `width` and `height` of the frame, `detection_id` and the box.
        mask_png: a stored mask.
        is_filled: heat and line in place of the line alone.

    Raises:
        BrokenMaskError: the stored mask cannot be read.
    """
    width, height = row["width"] or _LAYER_SIDE, row["height"] or _LAYER_SIDE
    scale = _LAYER_SIDE / max(width, height)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    mask = mask_over_frame(mask_png, size, classified_box(row))
    drawn = outline_layer(mask, _LINE)
    if is_filled:
        drawn = Image.alpha_composite(heat_layer(mask), drawn)
    sink = io.BytesIO()
    drawn.save(sink, "PNG", compress_level=1)
    return sink.getvalue()


def _short_side(row: Row, side: int) -> int:
    """Shorter side at which the frame's longer one is `side` pixels, or that of the frame where it is smaller."""
    if not row["width"] or not row["height"]:  # not known: no smaller than is shown
        return side
    short, long = sorted((row["width"], row["height"]))
    return max(1, round(short * min(1.0, side / long)))


def _key(row: Row, size: Size) -> str:
    """Name of a kept picture; another one where more of it is to be hidden since."""
    shown = json.dumps([_VERSION, row["hidden_boxes"]], default=str)
    return f"{row['media_id']}/{size}-{hashlib.sha256(shown.encode()).hexdigest()[:12]}.jpg"


def _jpeg(picture: Image.Image) -> bytes:
    sink = io.BytesIO()
    picture.convert("RGB").save(sink, "JPEG", quality=_QUALITY)
    return sink.getvalue()
