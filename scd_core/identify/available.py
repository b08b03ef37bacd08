"""Which individuals a picture is searched among, and which of them are expected at its place and time."""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime

from scd_core.inputs.expected import Expected, ExpectedRow
from scd_core.names import UNKNOWN, PredictionStatus
from scd_core.tables.rows import MediaRow, PredictionRow

__all__ = ["Searched", "with_available"]


class Searched:
    """Names that can be given, and those that are expected at a place and time.

    What is not known of a picture rules nobody out: without a time, every row of its camera counts. Where no row of the list
    counts, nobody is expected or unexpected.

    Args:
        names: that can be given.
        expected: of which some are expected; None where no list is given.
        gallery_digest: sha256 of the gallery that they are compared with; None without one.
    """

    def __init__(
        self, names: Iterable[str], expected: Expected | None = None, gallery_digest: str | None = None
    ) -> None:
        self.names = frozenset(names)
        self.gallery_digest = gallery_digest
        self._rows = tuple(one for one in expected.rows if one.individual_id in self.names) if expected else ()
        self._at: dict[tuple[str | None, str | None], _Place] = {}
        self._digests: dict[frozenset[str], str] = {}

    def expected_at(self, frame: MediaRow) -> frozenset[str] | None:
        """Individuals that are expected where and when a picture was taken; None where the list has no row for that."""
        key = frame.get("camera_id"), frame.get("site_id")
        if key not in self._at:
            self._at[key] = _Place([one for one in self._rows if _is_at(one, *key)])
        return self._at[key].at(frame.get("captured_at")) or None

    def available_at(self, frame: MediaRow) -> frozenset[str]:
        """Those that are expected, or all names where nobody is."""
        return self.expected_at(frame) or self.names

    def digest_at(self, frame: MediaRow) -> str:
        """Hash of :meth:`available_at`, 16 hexadecimal digits."""
        names = self.available_at(frame)
        if names not in self._digests:
            content = "\n".join(sorted(names))
            self._digests[names] = hashlib.sha256(content.encode()).hexdigest()[:16]
        return self._digests[names]

    def by_digest(self, media: Iterable[MediaRow]) -> list[tuple[str, list[str]]]:
        """Each hash that pictures have, with its names."""
        found = {self.digest_at(frame): self.available_at(frame) for frame in media}
        return [(digest, sorted(names)) for digest, names in sorted(found.items())]


class _Place:
    """Rows of one place, cut into the spans of time between which they change."""

    def __init__(self, rows: Sequence[ExpectedRow]) -> None:
        self._rows = rows
        self._cuts = sorted({moment for one in rows for moment in (one.start, one.end) if moment is not None})
        self._found: dict[tuple[int, bool] | None, frozenset[str]] = {}

    def at(self, moment: datetime | None) -> frozenset[str]:
        """Individuals whose period holds a moment, or all of them for None."""
        place = None if moment is None else bisect_left(self._cuts, moment)
        key = None if place is None else (place, self._cuts[place : place + 1] == [moment])
        if key not in self._found:
            self._found[key] = frozenset(one.individual_id for one in self._rows if _is_in(one, moment))
        return self._found[key]


def _is_at(row: ExpectedRow, camera_id: str | None, site_id: str | None) -> bool:
    return (row.camera_id is None or camera_id in (None, row.camera_id)) and (
        row.site_id is None or site_id in (None, row.site_id)
    )


def _is_in(row: ExpectedRow, moment: datetime | None) -> bool:
    return moment is None or ((row.start is None or row.start <= moment) and (row.end is None or moment <= row.end))


def with_available(
    rows: Sequence[PredictionRow], media: Mapping[str, MediaRow], searched: Searched
) -> list[PredictionRow]:
    """Give each named row what it was searched among: `gallery_digest`, `individuals_available` and `is_expected`.

    Args:
        rows: prediction rows.
        media: media_id -> media row.
        searched: the names, and who is expected.

    Returns:
        The rows in order. `is_expected` is about the individual that the picture looks most like, whatever the list weighs; it is
        None for unknowns and where nobody is expected.
    """
    found: list[PredictionRow] = []
    for row in rows:
        if row["prediction_status"] != PredictionStatus.OK:
            found.append(row)
            continue
        frame = media[row["media_id"]]
        found.append(
            {
                **row,
                "gallery_digest": searched.gallery_digest,
                "individuals_available": searched.digest_at(frame),
                "is_expected": _is_expected(row, searched.expected_at(frame)),
            }
        )
    return found


def _is_expected(row: PredictionRow, expected: Collection[str] | None) -> bool | None:
    if expected is None or row["predicted_id"] == UNKNOWN:
        return None
    return (row.get("unweighted_id") or row["predicted_id"]) in expected
