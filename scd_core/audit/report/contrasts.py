"""Pictures of confused pairs: what in a picture is evidence for the name given and not the other, and the reverse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import duckdb
from PIL import Image

from scd_core.audit.query.batches import batches_shown
from scd_core.audit.report.draw import draw_box, draw_evidence, jpeg_uri, mask_over_frame, shrink
from scd_core.audit.report.examples import HEIGHT, WIDTH, Picture, iter_frames
from scd_core.audit.report.queries import Row, query
from scd_core.audit.slices.data import PAIR
from scd_core.audit.wording import percent, where_taken
from scd_core.boxes import box_from_row, classified_box
from scd_core.config import MediaConfig
from scd_core.media import MediaError
from scd_core.tables.mask_png import BrokenMaskError

__all__ = ["Contrast", "contrast_sentence", "load_contrasts"]

_QUALITY = 66
_DECIDES = 0.5
"""A region decides where the name keeps at most this share of its probability without it, or has this much by it alone."""


@dataclass(frozen=True)
class Contrast:
    """One picture of a confused pair."""

    row: Row
    """Row of the query `contrasts`."""
    where: str
    """Camera and time."""
    sentence: str
    pictures: tuple[Picture, ...]
    """The picture, what is evidence for the name given, and what is for the other; or one placeholder."""

    @property
    def ratio(self) -> str:
        """Width over height of the frame, as CSS writes it."""
        first = self.pictures[0]
        return f"{first.width} / {first.height}" if first.uri else "3 / 2"


def load_contrasts(
    connection: duckdb.DuckDBPyConnection,
    slices: Mapping[str, Sequence[Row]],
    config: MediaConfig,
    limit: int,
    budget: int,
    failures: dict[str, str],
) -> dict[str, list[Contrast]]:
    """slice_id -> pictures of its pairs, where masks of the one name against the other were made; others are left out.

    Args:
        connection: database with the audit's tables and those of :func:`scd_core.audit.report.facts.need_facts`.
        slices: slice_id -> rows of the query `slices`, the slice and those that it explains; those with a pair count.
        config: how pictures are fetched and decoded.
        limit: pictures of each slice.
        budget: most bytes of all pictures together, as text in the page.
        failures: as for :func:`scd_core.audit.report.examples.iter_frames`.
    """
    pairs = {name: list(dict.fromkeys(pair for row in rows for pair in _pairs(row))) for name, rows in slices.items()}
    wanted = sorted({pair for some in pairs.values() for pair in some})
    if not wanted or not limit:
        return {}
    found = query(
        connection, "contrast_targets", given=[one for one, _ in wanted], rival=[one for _, one in wanted], limit=limit
    )
    if not found:
        return {}
    media = sorted({row["media_id"] for row in found})
    values = {"batches": "batch_key", "targets": "target_id", "given": "given", "rival": "rival"}
    with batches_shown(connection, [row["batch_key"] for row in query(connection, "example_batches", media=media)]):
        lists = {name: [row[column] for row in found] for name, column in values.items()}
        rows = query(connection, "contrasts", media=media, **lists)
    runs = {row["batch_key"]: row for row in query(connection, "runs")}
    of_pair: dict[tuple[str, str], list[Contrast]] = {}
    spent = 0
    for row, image in iter_frames(rows, runs, config, failures):
        one = _contrast(row, image)
        spent += sum(len(picture.uri or "") for picture in one.pictures)
        if spent > budget:
            break
        of_pair.setdefault((row["given"], row["rival"]), []).append(one)
    shown = {name: [one for pair in some for one in of_pair.get(pair, ())][:limit] for name, some in pairs.items()}
    return {name: some for name, some in shown.items() if some}


def contrast_sentence(row: Mapping[str, object]) -> str:
    """What the two maps of a pair show, each half by what the network gives once its region is gone, or alone.

    Where the model names a box by its whole frame as well, that counts in each of its names.

    >>> names = {"given": "Nyx", "rival": "Luna", "probability": 0.8}
    >>> contrast_sentence(names | {"without_given": 0.1, "rival_alone": 0.7}).replace("\\u202f", " ")
    'Without what is lit for Nyx the model gives Nyx 10 % instead of 80 %; by what is lit for Luna alone it gives Luna 70 %.'
    """
    given, rival = row["given"], row["rival"]
    before, without, alone = (_number(row[name]) for name in ("probability", "without_given", "rival_alone"))
    if without <= _DECIDES * before:
        first = (
            f"Without what is lit for {given} the model gives {given} {percent(without)} instead of {percent(before)}"
        )
    else:
        first = (
            f"Even without what is lit for {given} the model gives {given} {percent(without)}, so no small part decides"
        )
    has_frame = bool(row.get("has_frame"))
    if alone >= _DECIDES:
        only = "and the whole frame" if has_frame else "alone"
        return f"{first}; by what is lit for {rival} {only} it gives {rival} {percent(alone)}."
    only = "with the whole frame" if has_frame else "alone"
    return f"{first}; what is lit for {rival} is not enough: {only} it gives {rival} {percent(alone)}."


def _pairs(row: Row) -> list[tuple[str, str]]:
    """The name given and the true one, of a slice of a pair; none of another."""
    true, is_pair, given = dict(row["slice"]).get("pair", "").partition(PAIR)
    return [(given, true)] if is_pair else []


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


def _contrast(row: Row, image: Image.Image | MediaError) -> Contrast:
    where = where_taken(row)
    about = f"{row['file'] or row['uri']}, {where}"
    if isinstance(image, MediaError):
        pictures: tuple[Picture, ...] = (Picture("the picture", "", missing=f"no picture: {image}"),)
    else:
        frame = shrink(image, WIDTH, HEIGHT)
        same = "The same picture with what is evidence for"
        pictures = (
            _picture(f"Camera-trap picture {about}", frame),
            _lit(f"{same} {row['given']} and not {row['rival']}, {about}", frame, row, row["given_png"]),
            _lit(f"{same} {row['rival']} and not {row['given']}, {about}", frame, row, row["rival_png"]),
        )
    return Contrast(row, where, contrast_sentence(row), pictures)


def _lit(alt: str, frame: Image.Image, row: Row, png: bytes) -> Picture:
    """The frame with a map over it, or why there is none."""
    box = box_from_row(row)
    try:
        lit = draw_evidence(frame, mask_over_frame(png, frame.size, classified_box(row)))
    except BrokenMaskError as error:
        return Picture("", "", missing=f"no picture: {error}")
    return _picture(alt, lit if box is None else draw_box(lit, box))


def _picture(alt: str, image: Image.Image) -> Picture:
    return Picture("", alt, jpeg_uri(image, _QUALITY), *image.size)
