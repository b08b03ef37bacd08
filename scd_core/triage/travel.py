"""Travel that no animal can do: one individual named at two deployments too far apart for the time between."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

__all__ = ["distance_km", "impossible_travel"]

_EARTH_KM = 6371.0088
"""Mean radius of the Earth (IUGG)."""


def distance_km(latitude_a: float, longitude_a: float, latitude_b: float, longitude_b: float) -> float:
    """Great-circle distance of two places in degrees, by the haversine formula (km)."""
    first, second = math.radians(latitude_a), math.radians(latitude_b)
    across = math.radians(longitude_b - longitude_a)
    half = math.sin((second - first) / 2) ** 2 + math.cos(first) * math.cos(second) * math.sin(across / 2) ** 2
    return 2 * _EARTH_KM * math.asin(min(1.0, math.sqrt(half)))


def impossible_travel(
    predictions: Sequence[Mapping[str, Any]], media: Mapping[str, Mapping[str, Any]], max_speed_kmh: float
) -> set[str]:
    """Predictions that together have one individual travel faster than it can.

    Of each individual, sightings are put in order of time, and each is held against the next one at another deployment;
    which of the two names is wrong cannot be told, so both are given. Rows without time, coordinates or a known name
    say nothing. Where the cameras tell their offset from UTC, times are compared in UTC; a clock that is wrong makes
    travel look impossible, which is worth a look as well.

    Args:
        predictions: prediction rows.
        media: media_id -> media row.
        max_speed_kmh: faster is impossible (km/h).

    Returns:
        Their target_ids.
    """
    seen: dict[str, list[tuple[datetime, float, float, str, str]]] = defaultdict(list)
    for row in predictions:
        frame = media[row["media_id"]]
        latitude, longitude = frame.get("latitude"), frame.get("longitude")
        if row["prediction_status"] != "ok" or row["predicted_id"] == "unknown" or frame.get("captured_at") is None:
            continue
        if latitude is None or longitude is None or not math.isfinite(latitude + longitude):
            continue
        when = frame["captured_at"] - timedelta(minutes=frame.get("utc_offset_minutes") or 0)
        seen[row["predicted_id"]].append((when, latitude, longitude, str(frame.get("deployment_id")), row["target_id"]))
    found: set[str] = set()
    for sightings in seen.values():
        sightings.sort(key=lambda one: (one[0], one[4]))
        for (t0, lat0, lon0, where0, id0), (t1, lat1, lon1, where1, id1) in pairwise(sightings):
            hours = (t1 - t0).total_seconds() / 3600
            if where0 != where1 and distance_km(lat0, lon0, lat1, lon1) > max_speed_kmh * hours:
                found |= {id0, id1}
    return found
