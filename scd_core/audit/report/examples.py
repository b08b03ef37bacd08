"""Example pictures of the report: the frame, the evidence on it, and the view that was classified again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby

from PIL import Image

from scd_core.audit.report.draw import (
    draw_box,
    draw_evidence,
    jpeg_uri,
    mask_over_frame,
    shrink,
)
from scd_core.audit.report.queries import Row
from scd_core.audit.wording import STRATEGY_WORDS, where_taken
from scd_core.boxes import box_from_row, classified_box
from scd_core.config import MediaConfig
from scd_core.identify.redaction import blank, boxes_from_columns
from scd_core.media import MediaError, iter_images
from scd_core.names import FailureStage, MediaStatus, Strategy
from scd_core.tables.mask_png import BrokenMaskError

__all__ = [
    "HEIGHT",
    "WIDTH",
    "Example",
    "Picture",
    "chosen_view",
    "iter_frames",
    "load_examples",
    "seen_again",
    "shared_out",
    "storage_root",
]

WIDTH, HEIGHT = 560, 460
"""Largest size of a picture in the report (pixels): more than it has on the page, since it is enlarged there."""

_QUALITY = 66
_DECODED_SIDE = 1024
"""Shorter side to which a frame without a mask is decoded (pixels)."""


@dataclass(frozen=True)
class Picture:
    """One picture, or the reason why there is none."""

    caption: str
    alt: str
    uri: str | None = None
    width: int = 0
    height: int = 0
    missing: str | None = None
    is_stretched: bool = False
    """Drawn as wide as the frame: the network's input, to which the frame was stretched."""


@dataclass(frozen=True)
class Example:
    """One prediction, shown in up to three pictures."""

    target_id: str
    file: str
    where: str
    """Camera and time."""
    row: Row
    strategy: str | None = None
    """Strategy whose view is shown last."""
    strategy_id: str | None = None
    strategy_probability: float | None = None
    pictures: tuple[Picture, ...] = field(default=())

    @property
    def ratio(self) -> str:
        """Width over height of the frame, in which all its pictures are shown, as CSS writes it."""
        first = self.pictures[0]
        return f"{first.width} / {first.height}" if first.uri else "3 / 2"

    @property
    def n_bytes(self) -> int:
        """Size of the pictures in the page (bytes)."""
        return sum(len(picture.uri or "") for picture in self.pictures)


def load_examples(
    rows: Sequence[Row],
    strategies: Sequence[Row],
    runs: Mapping[str, Row],
    config: MediaConfig,
    budget: int,
    failures: dict[str, str] | None = None,
) -> list[Example]:
    """Draw the pictures of examples, in their order, until a budget is spent.

    Args:
        rows: rows of the query `examples`, the most important first.
        strategies: rows of the query `strategies` for them.
        runs: batch_key -> row of the query `runs`.
        config: how pictures are fetched and decoded.
        budget: most bytes of all pictures together, as text in the page.
        failures: as for :func:`iter_frames`.

    Returns:
        One example per row that still fitted; a picture that cannot be had is a placeholder with the reason.
    """
    views: dict[tuple[str, str], list[Row]] = {}
    for row in strategies:
        views.setdefault((row["batch_key"], row["target_id"]), []).append(row)
    examples: list[Example] = []
    spent = 0
    for row, image in iter_frames(rows, runs, config, {} if failures is None else failures):
        of_target = views.get((row["batch_key"], row["target_id"]), [])
        example = _example(row, chosen_view(row, of_target))
        example = replace(example, pictures=_pictures(example, image, of_target, runs.get(row["batch_key"], {})))
        if spent + example.n_bytes > budget:
            break
        spent += example.n_bytes
        examples.append(example)
    return examples


def shared_out(wanted: Iterable[Sequence[str]]) -> list[str]:
    """Media of several groups in turns: the first of each group, then the second of each, every medium once.

    >>> shared_out([["a", "b"], ["c"], ["a", "d"]])
    ['a', 'c', 'b', 'd']
    """
    groups = [list(group) for group in wanted]
    longest = max((len(group) for group in groups), default=0)
    turns = (group[place] for place in range(longest) for group in groups if place < len(group))
    return list(dict.fromkeys(turns))


def iter_frames(
    rows: Sequence[Row], runs: Mapping[str, Row], config: MediaConfig, failures: dict[str, str]
) -> Iterator[tuple[Row, Image.Image | MediaError]]:
    """Rows with their frames, in order; neighbours of one SOURCE are fetched together, ahead of the drawing.

    Persons and vehicles are filled with grey here, before anything is drawn, cut or made small.

    Args:
        rows: rows with `batch_key`, what :func:`scd_core.media.iter_images` needs of a medium, `hidden_boxes`, and `mask_png`
            (without one the frame is decoded small).
        runs: batch_key -> row of the query `runs`.
        config: how pictures are fetched and decoded.
        failures: SOURCE -> why it does not answer, filled here; a SOURCE in it is not tried again.
    """

    def source_of(row: Row) -> str:
        return runs.get(row["batch_key"], {}).get("source") or storage_root(row["uri"])

    def side(row: Row) -> int | None:
        if row["mask_png"] is None:
            return _DECODED_SIDE
        from scd_core.audit.report.shown import decoded_side  # imports torch, which takes seconds

        try:
            return decoded_side(row, runs.get(row["batch_key"], {}))
        except BrokenMaskError:  # this frame is shown without its mask
            return _DECODED_SIDE

    for source, neighbours in groupby(rows, source_of):
        part = list(neighbours)
        n_done = 0
        try:
            if source not in failures:
                for item, image in iter_images(part, source, config, target_for=side):
                    hidden = boxes_from_columns(item["hidden_boxes"])
                    yield dict(item), image if isinstance(image, MediaError) else blank(image, hidden)
                    n_done += 1
        except Exception as error:  # noqa: BLE001 - whatever a storage raises, the page is worth having without its pictures
            # Storage that does not answer is tried once, not once for each picture.
            failures[source] = " ".join(str(error).split()) or type(error).__name__
        for item in part[n_done:]:
            yield item, MediaError(MediaStatus.MISSING, FailureStage.FETCH, failures[source])


def storage_root(uri: str) -> str:
    """Bucket or host of an address, where the run does not record its SOURCE.

    >>> storage_root("s3://cards/C01/a.jpg"), storage_root("file:///data/a.jpg")
    ('s3://cards', 'file:///')
    """
    scheme, _, rest = uri.partition("://")
    return f"{scheme}://{rest.partition('/')[0] or '/'}"


def chosen_view(row: Row, views: Sequence[Row]) -> Row | None:
    """The view that is shown: the surest that gave the suggested or final name; else the surest of all, controls left out."""
    counted = [view for view in views if view["strategy"] not in (Strategy.CENTER_CROP, Strategy.FUSED)]
    offered = row["suggested_id"] or row["final_id"]
    agreeing = [view for view in counted if view["predicted_id"] == offered]
    return max(agreeing or counted, key=lambda view: view["probability"] or 0.0, default=None)


def _example(row: Row, view: Row | None) -> Example:
    return Example(
        target_id=row["target_id"],
        file=row["file"] or row["uri"],
        where=where_taken(row),
        row=row,
        strategy=view["strategy"] if view else None,
        strategy_id=view["predicted_id"] if view else None,
        strategy_probability=view["probability"] if view else None,
    )


def _pictures(example: Example, image: Image.Image | MediaError, views: Sequence[Row], run: Row) -> tuple[Picture, ...]:
    row = example.row
    about = f"{example.file}, {example.where}"
    before, evidence, after = "the picture", "what the model looked at", "seen again"
    if row.get("has_frame"):
        evidence, after = "what the model looked at in the box", "seen again, beside the whole frame"
    if isinstance(image, MediaError):
        return (Picture(before, "", missing=f"no picture: {image}"),)
    frame = shrink(image, WIDTH, HEIGHT)
    box = box_from_row(row)
    pictures = [_picture(before, f"Camera-trap picture {about}", frame)]
    if row["mask_png"] is None:
        return (*pictures, Picture(evidence, "", missing="no mask was made of this picture"))
    classified = classified_box(row)
    try:
        drawn = draw_evidence(frame, mask_over_frame(row["mask_png"], frame.size, classified))
    except BrokenMaskError as error:
        return (*pictures, Picture(evidence, "", missing=f"no picture: {error}"))
    if box is not None:
        drawn = draw_box(drawn, box)
    pictures.append(
        _picture(evidence, f"The same picture with the evidence for the name drawn over it, {about}", drawn)
    )
    view = next((found for found in views if found["strategy"] == example.strategy), None)
    if view is None:
        return (*pictures, Picture(after, "", missing="this picture was not classified again"))
    how = STRATEGY_WORDS.get(view["strategy"], view["strategy"])
    shown = seen_again(row, image, view, run)
    if shown is None:
        pictures.append(Picture(after, "", missing=f"no picture: {how}"))
    else:
        is_stretched = view["crop_width"] is None and classified is None
        pictures.append(replace(_picture(after, f"The picture, {how}, {about}", shown), is_stretched=is_stretched))
    return tuple(pictures)


def seen_again(row: Row, image: Image.Image, view: Row, run: Row) -> Image.Image | None:
    """The network's input when it classified a masked picture again (:func:`scd_core.audit.report.shown.picture_shown`).

    Args:
        row: row of the query `examples`, with a mask.
        image: its frame, persons and vehicles hidden.
        view: row of the query `strategies`.
        run: row of the query `runs` for the batch, or empty.
    """
    from scd_core.audit.report.shown import picture_shown  # imports torch, which takes seconds

    crop = None
    if view["crop_width"] is not None:
        crop = view["crop_x_min"], view["crop_y_min"], view["crop_width"], view["crop_height"]
    return picture_shown(row, image, view["strategy"], crop, run)


def _picture(caption: str, alt: str, image: Image.Image) -> Picture:
    return Picture(caption, alt, jpeg_uri(image, _QUALITY), image.width, image.height)
