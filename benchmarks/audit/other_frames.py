"""The audit tables of the second maker's worlds: frames named one by one, and what follows from how each kind of error looks."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa

from scd_core.names import UNKNOWN
from scd_core.tables.schema import table_schema

__all__ = ["LOOKS", "called_name", "other_frames", "true_name"]

CONTROL = 0.04
START = datetime(2025, 5, 1)


def true_name(one: int, known: int) -> str:
    """The name of an animal in labels; those beyond the known ones are strangers."""
    return f"animal{one:03d}" if one < known else f"stranger{one - known:02d}"


def called_name(one: int, known: int) -> str:
    """The name of an animal in predictions."""
    return f"animal{one:03d}" if one < known else UNKNOWN


# kind -> share of its frames that are wrong, Beta of the probability, means of the four mask measures, share recovered
LOOKS: dict[str, tuple[float, tuple[float, float], tuple[float, float, float, float], float]] = {
    "noise": (0.8, (3, 3), (0.25, 0.3, 0.04, 0.1), 0.2),
    "ghosts": (0.85, (5, 3), (0.70, 2.6, 0.04, 0.1), 0.6),
    "new_firmware": (0.9, (7, 3), (0.40, 0.8, 0.38, 2.3), 0.6),
    "post_of_one": (0.9, (7, 2), (0.72, 2.8, 0.04, 0.1), 0.75),
    "fog": (0.8, (3, 4), (0.35, 0.4, 0.04, 0.1), 0.1),
    "night_pair": (0.9, (5, 4), (0.22, 0.3, 0.05, 0.1), 0.15),
    "double_of_one": (0.85, (5, 4), (0.22, 0.3, 0.04, 0.1), 0.15),
    "newcomer": (0.9, (5, 3), (0.22, 0.3, 0.04, 0.1), 0.1),
}
_TWINS = ("night_pair", "double_of_one")
_RIGHT = ("right", (8, 1.6), (0.24, 0.3, 0.04, 0.1))


def other_frames(
    rng: np.random.Generator,
    events: dict[str, np.ndarray],
    named: np.ndarray,
    kind: np.ndarray,
    known: int,
    shape: str,
) -> dict[str, pa.Table]:
    """The audit's tables."""
    share = np.array([LOOKS.get(one, LOOKS["noise"])[0] for one in kind])
    event = np.repeat(np.arange(named.size), events["frames"])
    n = event.size
    number = np.arange(n) - np.repeat(np.cumsum(events["frames"]) - events["frames"], events["frames"])
    right = np.where(events["who"] < known, events["who"], known)[event]
    is_off = named[event] != right
    name = np.where(is_off & (rng.random(n) >= share[event]), right, named[event])
    is_wrong = name != right
    look = np.where(is_wrong, kind[event], "right")
    probability = rng.beta(*_RIGHT[1], n)
    measures = np.tile(np.array(_RIGHT[2]), (n, 1))
    recovered = np.zeros(n)
    for one in np.unique(look[is_wrong]).tolist():
        _, beta, means, rate = LOOKS.get(one, LOOKS["noise"])
        here = look == one
        probability[here] = rng.beta(*beta, int(here.sum()))
        measures[here] = means
        recovered[here] = rate
    measures = np.abs(measures + rng.normal(size=(n, 4)) * np.array([0.14, 0.6, 0.04, 0.4]))
    measures[:, (0, 2)] = measures[:, (0, 2)].clip(0, 1)
    is_twin = np.isin(look, _TWINS)
    second = np.where(is_twin, right, rng.integers(0, known, n))
    second = np.where(second == name, (name + 1) % known, second)
    second_probability = (1 - probability) * np.where(is_twin, rng.uniform(0.7, 1, n), rng.uniform(0.1, 0.8, n))
    has_reason = (probability < 0.6) | (probability - second_probability < 0.2) | (name != named[event])
    has_reason |= name == known
    is_control = rng.random(n) < CONTROL
    is_selected = has_reason | is_control
    fog, camera = events["fog"][event], events["where"][event]
    media_id = [f"{place:08x}" for place in rng.permutation(n)]
    cameras = [f"site{one:02d}" for one in camera.tolist()]
    file = [f"{one}/IMG_{place:07d}.JPG" for place, one in enumerate(cameras)]
    names = [called_name(one, known) for one in name.tolist()]
    stamp = {"run_id": ["r"] * n, "batch_key": ["b"] * n, "model_digest": ["m"] * n, "media_id": media_id}
    event_id = [f"burst-{one}" for one in event.tolist()]
    minute = rng.integers(0, 60, named.size)[event]
    media = stamp | {
        "event_id": event_id,
        "file": file,
        "uri": [f"s3://cards/{one}" for one in file],
        "status": ["ok"] * n,
        "camera_id": cameras,
        "deployment_id": [
            f"{one}/{'b' if half else 'a'}" for one, half in zip(cameras, events["half"][event].tolist(), strict=True)
        ],
        "captured_at": [
            START + timedelta(days=d, hours=h, minutes=m, seconds=s)
            for d, h, m, s in zip(
                events["day"][event].tolist(), events["hour"][event].tolist(), minute.tolist(),
                np.minimum(number, 59).tolist(), strict=True,
            )
        ],
        "is_infrared": events["infrared"][event],
        "sharpness": (rng.uniform(40, 500, 64)[camera] * np.where(fog, 0.2, 1) * rng.lognormal(0, 0.25, n)),
        "brightness": np.clip(0.4 * rng.lognormal(0, 0.15, n), 0, 1),
    }  # fmt: skip
    predictions = stamp | {
        "event_id": event_id,
        "target_id": media_id,
        "prediction_status": ["ok"] * n,
        "predicted_id": names,
        "probability": probability,
        "margin": probability - second_probability,
        "topk": [
            [{"individual_id": a, "probability": p}, {"individual_id": called_name(b, known), "probability": q}]
            for a, p, b, q in zip(
                names, probability.tolist(), second.tolist(), second_probability.tolist(), strict=True
            )
        ],
        "event_predicted_id": [called_name(one, known) for one in named[event].tolist()],
        "is_flagged": is_selected,
        "is_control": is_control,
        "is_selected": is_selected,
        "inclusion_probability": np.where(has_reason, 1.0, CONTROL),
    }
    seen = np.flatnonzero(is_selected)
    final = np.where(is_wrong & (rng.random(n) < recovered), right, name)
    key = {name: [value[place] for place in seen.tolist()] for name, value in stamp.items()}
    key["target_id"] = key["media_id"]
    masks = key | {
        "mask_status": ["ok"] * seen.size,
        "background_reliance": measures[seen, 0],
        "background_log_odds_drop": measures[seen, 1],
        "overlay_reliance": measures[seen, 2],
        "overlay_log_odds_drop": measures[seen, 3],
    }
    again = key | {
        "strategy": ["fused"] * seen.size,
        "strategy_status": ["ok"] * seen.size,
        "predicted_id": [called_name(one, known) for one in final[seen].tolist()],
        "probability": np.full(seen.size, 0.7),
        "is_flip": final[seen] != name[seen],
    }
    labels = _labels(rng, events, event, has_reason if shape == "flagged" else is_selected, media, known)
    runs: dict[str, list[Any]] = {name: [value[0]] for name, value in stamp.items() if name != "media_id"}
    runs |= {
        "finished_at": [START + timedelta(days=299)],
        "individuals": [[called_name(one, known) for one in range(known)]],
    }
    found = {"media": media, "predictions": predictions, "masks": masks, "reclassifications": again, "labels": labels}
    return {table: _arrow(table, columns) for table, columns in (found | {"runs": runs}).items()}


def _labels(
    rng: np.random.Generator,
    events: dict[str, np.ndarray],
    event: np.ndarray,
    is_reviewed: np.ndarray,
    media: dict[str, Any],
    known: int,
) -> dict[str, Any]:
    """Labels of most of the frames that a person reviews; a fifth of them by the file's name."""
    labelled = np.flatnonzero(is_reviewed & (rng.random(event.size) < 0.85))
    by_file = rng.random(labelled.size) < 0.2
    has_flank = rng.random(labelled.size) < 0.85
    return {
        "import_id": ["i"] * labelled.size,
        "label_id": [f"l{place}" for place in labelled.tolist()],
        "file": [media["file"][place] for place in labelled.tolist()],
        "media_id": [None if late else media["media_id"][place] for place, late in zip(labelled, by_file, strict=True)],
        "individual_id": [true_name(one, known) for one in events["who"][event[labelled]].tolist()],
        "flank": [
            ("right" if events["right"][event[place]] else "left") if is_known else None
            for place, is_known in zip(labelled.tolist(), has_flank.tolist(), strict=True)
        ],
        "labelled_by": [f"observer{one}" for one in rng.integers(0, 3, labelled.size).tolist()],
        "labelled_at": [START + timedelta(days=300)] * labelled.size,
        "imported_at": [START + timedelta(days=301)] * labelled.size,
    }


def _arrow(table: str, columns: dict[str, Any]) -> pa.Table:
    schema = table_schema(table)
    n = len(next(iter(columns.values())))
    return pa.Table.from_arrays(
        [pa.array(columns[f.name]).cast(f.type) if f.name in columns else pa.nulls(n, f.type) for f in schema],
        schema=schema,
    )
