"""The picture behind a prediction row: the whole frame or the animal's box, decoded just large enough."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from PIL import Image

from scd_core.boxes import WHOLE, Box, classified_box, crop_box
from scd_core.config import AuditConfig
from scd_core.identify.preprocess import decode_size
from scd_core.identify.redaction import blank, boxes_from_columns
from scd_core.identify.spec import InputSpec
from scd_core.media import MediaError
from scd_core.media.fetch import iter_prepared
from scd_core.names import UNKNOWN
from scd_core.tables.rows import MediaRow, PredictionRow

__all__ = ["best_candidate", "crop_to_box", "iter_pictures"]


def best_candidate(row: PredictionRow) -> str | None:
    """The name of the class that wins on the picture, also where the prediction is `unknown`.

    A tool that gives no probabilities gives no candidates: then it is the name itself.
    """
    if row["topk"]:
        return row["topk"][0]["individual_id"]
    return None if row["predicted_id"] == UNKNOWN else row["predicted_id"]


def crop_to_box(picture: Image.Image, box: Box | None) -> Image.Image:
    """The part of a picture inside a box; the whole picture for None."""
    return picture if box is None else picture.crop(crop_box(box, *picture.size))


def iter_pictures(
    rows: Sequence[PredictionRow],
    media: Mapping[str, MediaRow],
    source: str,
    config: AuditConfig,
    spec: InputSpec,
    crop_of: Callable[[PredictionRow], tuple[float, float]] = lambda row: (1.0, 1.0),
) -> Iterator[tuple[PredictionRow, Image.Image | MediaError]]:
    """Decode the picture of each prediction row; persons and vehicles in it are filled with grey.

    Args:
        rows: prediction rows.
        media: media_id -> media row.
        source: SOURCE of the media.
        config: settings of fetching and decoding.
        spec: the network's input, which decides how large a picture must be.
        crop_of: row -> smallest relative (width, height) of the picture that will be cut from it.

    Yields:
        The row with its picture, or with the reason why there is none.
    """
    wanted: list[dict[str, Any]] = []
    for row in rows:
        box = classified_box(row) or WHOLE
        width, height = crop_of(row)
        needed = decode_size(spec, (box[2] * width, box[3] * height))
        wanted.append({**media[row["media_id"]], "prediction": row, "needed": needed})

    def shown(item: Mapping[str, Any], image: Image.Image) -> Image.Image:
        row = item["prediction"]
        return crop_to_box(blank(image, boxes_from_columns(row.get("hidden_boxes"))), classified_box(row))

    for item, picture in iter_prepared(wanted, source, config.media, shown, target_for=lambda item: item["needed"]):
        yield item["prediction"], picture
