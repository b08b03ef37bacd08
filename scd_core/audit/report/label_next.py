"""The page's list of what to label next, with a picture of the first few."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from PIL import Image

from scd_core.audit.report.draw import draw_box, jpeg_uri, shrink
from scd_core.audit.report.examples import Picture, iter_frames
from scd_core.audit.report.queries import Row
from scd_core.boxes import box_from_row
from scd_core.config import MediaConfig
from scd_core.media import MediaError

__all__ = ["LabelItem", "label_next"]

_WIDTH, _HEIGHT, _QUALITY = 320, 240, 66


@dataclass(frozen=True)
class LabelItem:
    """A place of the list."""

    row: Row
    """Row of :func:`scd_core.audit.queue.draw.draw_queue`."""
    picture: Picture | None = None
    """The frame with the box of the animal to name, persons and vehicles hidden; None further down the list."""


def label_next(
    rows: Sequence[Row],
    runs: Mapping[str, Row],
    config: MediaConfig,
    n_pictures: int,
    budget: int,
    failures: dict[str, str],
) -> list[LabelItem]:
    """The places of the list that are shown, the first few with their pictures.

    Args:
        rows: rows of :func:`scd_core.audit.queue.draw.draw_queue`.
        runs: batch_key -> row of the query `runs`.
        config: how pictures are fetched and decoded.
        n_pictures: places with a picture; one that cannot be had is a placeholder with the reason.
        budget: most bytes of all pictures together, as text in the page; where they need more, the last ones are left out.
        failures: as for :func:`scd_core.audit.report.examples.iter_frames`.
    """
    items = [LabelItem(row) for row in rows]
    wanted = [{**item.row, "mask_png": None} for item in items[:n_pictures]]
    spent = 0
    for place, (row, image) in enumerate(iter_frames(wanted, runs, config, failures)):
        picture = _picture(row, image)
        spent += len(picture.uri or "")
        if spent > budget:
            break
        items[place] = replace(items[place], picture=picture)
    return items


def _picture(row: Row, image: Image.Image | MediaError) -> Picture:
    if isinstance(image, MediaError):
        return Picture("to label", "", missing=f"no picture: {image}")
    frame, box = shrink(image, _WIDTH, _HEIGHT), box_from_row(row)
    drawn = frame if box is None else draw_box(frame, box)
    return Picture("to label", f"Picture to label {row['file'] or row['uri']}", jpeg_uri(drawn, _QUALITY), *drawn.size)
