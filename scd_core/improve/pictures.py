"""The pictures of labelled targets, read where they were audited."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import groupby
from typing import Any, TypeVar

from PIL import Image

from scd_core.audit.report.examples import storage_root
from scd_core.config import MediaConfig
from scd_core.identify.redaction import blank, boxes_from_columns
from scd_core.improve.labelled import Labelled
from scd_core.media import MediaError
from scd_core.media.fetch import iter_prepared

__all__ = ["iter_labelled"]

T = TypeVar("T")
_AHEAD = 16


def iter_labelled(
    labelled: Labelled, prepare: Callable[[Mapping[str, Any], Image.Image], T]
) -> Iterator[tuple[int, T | MediaError]]:
    """Decode the frame of each target, those of one SOURCE together; persons and vehicles in it are filled with grey.

    Args:
        labelled: the targets.
        prepare: row and upright RGB frame -> what is needed of it; called from several threads.

    Yields:
        The place of each target, and what was made of its frame, or why there is none.

    Raises:
        RunError: the storage did not answer.
    """

    def source_of(place: int) -> str:
        row = labelled.rows[place]
        return labelled.sources.get(row["batch_key"]) or storage_root(row["uri"])

    def shown(row: Mapping[str, Any], image: Image.Image) -> T:
        return prepare(row, blank(image, boxes_from_columns(row["hidden_boxes"])))

    for source, neighbours in groupby(sorted(range(len(labelled.rows)), key=source_of), source_of):
        places = list(neighbours)
        rows = [labelled.rows[place] for place in places]
        found = iter_prepared(rows, source, MediaConfig(), shown, target_for=None, ahead=_AHEAD)
        yield from ((place, made) for place, (_, made) in zip(places, found, strict=True))
