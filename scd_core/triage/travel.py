"""Travel that no animal can do: one individual named at two places that are too far apart for the time between."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from scd_core.identify.content import draw_name
from scd_core.names import UNKNOWN, PredictionStatus
from scd_core.tables.rows import MediaRow, PredictionRow

__all__ = ["distance_km", "impossible_moves", "impossible_travel"]

Floats = NDArray[np.float64]

_EARTH_KM = 6371.0088
"""Mean radius of the Earth (IUGG)."""
_NEAR_KM = 0.2
"""Cameras that are no further apart may see one animal at one moment, and their coordinates are no more exact than that."""
_EPOCH = datetime(1970, 1, 1)


def distance_km(latitude_a: Floats, longitude_a: Floats, latitude_b: Floats, longitude_b: Floats) -> Floats:
    """Great-circle distances of places in degrees, by the haversine formula (km); arrays of one shape, or numbers."""
    first, second = np.radians(latitude_a), np.radians(latitude_b)
    across = np.radians(np.subtract(longitude_b, longitude_a))
    half = np.sin((second - first) / 2) ** 2 + np.cos(first) * np.cos(second) * np.sin(across / 2) ** 2
    return 2 * _EARTH_KM * np.arcsin(np.minimum(1.0, np.sqrt(half)))


def impossible_moves(
    name: NDArray[np.int64], start: Floats, end: Floats, latitude: Floats, longitude: Floats, max_speed_kmh: float
) -> NDArray[np.bool_]:
    """Which stays are an end of a move that no animal can do.

    A stay is one sighting (`start` equals `end`), or all sightings of an individual in one event. The stays of an individual
    are put in the order of their starts, equal ones as they are given, and each is compared with the next one. A move is
    impossible where it is longer than 0.2 km and than `max_speed_kmh` allows from the end of the one stay to the start of
    the next. Which of the two names is wrong is not known, so both stays count. A camera clock that is wrong makes travel
    look impossible, which is worth a look as well.

    Args:
        name: (n,) number of the individual.
        start: (n,) first moment, in UTC (s).
        end: (n,) last moment, in UTC (s).
        latitude: (n,) degrees.
        longitude: (n,) degrees.
        max_speed_kmh: faster is impossible (km/h).

    Returns:
        (n,) whether the stay is an end of an impossible move.
    """
    order = np.lexsort((start, name))
    one, two = order[:-1], order[1:]
    km = distance_km(latitude[one], longitude[one], latitude[two], longitude[two])
    hours = (start[two] - end[one]) / 3600
    is_impossible = (name[one] == name[two]) & (km > np.maximum(_NEAR_KM, max_speed_kmh * hours))
    found = np.zeros(name.size, bool)
    found[one[is_impossible]] = True
    found[two[is_impossible]] = True
    return found


def impossible_travel(
    predictions: Sequence[PredictionRow], media: Mapping[str, MediaRow], max_speed_kmh: float
) -> set[str]:
    """Predictions that together have one individual travel faster than it can (:func:`impossible_moves`).

    Rows without time, coordinates or a known name are left out. Times are compared in UTC; a camera whose offset from UTC
    is not known counts as one on UTC.

    Args:
        predictions: prediction rows.
        media: media_id -> media row.
        max_speed_kmh: faster is impossible (km/h).

    Returns:
        Their target_ids.
    """
    named = [
        row for row in predictions if row["prediction_status"] == PredictionStatus.OK and row["predicted_id"] != UNKNOWN
    ]
    sightings = [(row, *place) for row in named if (place := _place(media[row["media_id"]])) is not None]
    sightings.sort(key=lambda sighting: draw_name(sighting[0]))
    _, name = np.unique([str(row["predicted_id"]) for row, *_ in sightings], return_inverse=True)
    moment, latitude, longitude = np.array([place for _, *place in sightings], float).reshape(-1, 3).T
    found = impossible_moves(name, moment, moment, latitude, longitude, max_speed_kmh)
    return {row["target_id"] for (row, *_), is_found in zip(sightings, found, strict=True) if is_found}


def _place(frame: MediaRow) -> tuple[float, float, float] | None:
    """Moment (seconds in UTC), latitude and longitude of a picture; None where one of them is not known."""
    captured_at, latitude, longitude = frame.get("captured_at"), frame.get("latitude"), frame.get("longitude")
    if captured_at is None or latitude is None or longitude is None or not np.isfinite(latitude + longitude):
        return None
    offset = frame.get("utc_offset_minutes") or 0
    return (captured_at - _EPOCH).total_seconds() - 60 * offset, latitude, longitude
