"""The audit tables of a world: frames, predictions, masks, re-classifications and labels of its events."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa

from benchmarks.audit.planting import N_CAMERAS, N_KNOWN, called, true_name
from scd_core.tables.schema import table_schema

__all__ = ["SLIP", "frame_tables"]

CONTROL_RATE, MIN_PROBABILITY, MIN_MARGIN = 0.05, 0.6, 0.2
SLIP = 0.1
"""Share of the frames of a misnamed event that are right all the same."""
START = datetime(2026, 1, 1)

# kind -> (background reliance, its log-odds drop, overlay reliance, its drop), each (mean, spread)
_MASKS = {
    "shortcut": ((0.72, 0.12), (3.0, 1.0), (0.03, 0.03), (0.1, 0.2)),
    "station": ((0.68, 0.13), (2.6, 1.0), (0.03, 0.03), (0.1, 0.2)),
    "overlay": ((0.45, 0.15), (0.8, 0.6), (0.40, 0.12), (2.4, 0.9)),
}
_ORDINARY = ((0.25, 0.15), (0.3, 0.4), (0.03, 0.04), (0.1, 0.2))
_RECOVERED = {"shortcut": 0.8, "station": 0.7, "overlay": 0.6, "twins": 0.15, "noise": 0.25}
# kind -> Beta parameters of the probability given to a wrong name; noise is unsure, shortcuts and people's slips are not
_SURE = {"shortcut": (8, 3), "station": (7, 3), "overlay": (7, 3), "twins": (6, 4), "flank": (6, 3), "noise": (4, 4)}
_SURE |= {"blur": (3, 4), "dark_deployment": (3, 4)}


def frame_tables(
    rng: np.random.Generator,
    events: dict[str, np.ndarray],
    named: np.ndarray,
    labelled_as: np.ndarray,
    kind: np.ndarray,
) -> dict[str, pa.Table]:
    """Frames, predictions, masks, re-classifications and labels of the events."""
    n_events = named.size
    event = np.repeat(np.arange(n_events), events["frames"])
    n = event.size
    frame = np.arange(n) - np.repeat(np.cumsum(events["frames"]) - events["frames"], events["frames"])
    right = np.where(events["true"] < N_KNOWN, events["true"], N_KNOWN)
    name = np.where(rng.random(n) < SLIP, right[event], named[event])
    is_wrong = name != right[event]
    kinds = kind[event]
    probability = rng.beta(9, 1.3, n)
    for of, (a, b) in _SURE.items():
        here = is_wrong & (kinds == of)
        probability[here] = rng.beta(a, b, int(here.sum()))
    second = np.where(is_wrong & np.isin(kinds, ["twins"]), right[event], rng.integers(0, N_KNOWN, n))
    second = np.where(second == name, (name + 1) % N_KNOWN, second)
    second_share = np.where(is_wrong & (kinds == "twins"), rng.uniform(0.6, 0.98, n), rng.uniform(0.2, 0.8, n))
    second_probability = (1 - probability) * second_share
    margin = probability - second_probability
    has_reason = (probability < MIN_PROBABILITY) | (margin < MIN_MARGIN) | (name == N_KNOWN)
    has_reason |= name != named[event]  # disagrees with its event
    is_control = rng.random(n) < CONTROL_RATE
    is_selected = has_reason | is_control
    strings = _strings(events, event, frame, name, second)
    stamp = {"run_id": ["run"] * n, "batch_key": ["batch"] * n, "model_digest": ["model"] * n}
    key = stamp | {"media_id": strings["media"], "event_id": strings["event"]}
    blurred, dark = events["is_blurred"][event], events["is_dark"][event]
    camera_sharpness = rng.uniform(60, 400, N_CAMERAS)[events["camera"][event]]
    media = key | {
        "file": strings["file"],
        "uri": [f"s3://cards/{file}" for file in strings["file"]],
        "status": ["ok"] * n,
        "camera_id": strings["camera"],
        "deployment_id": strings["deployment"],
        "captured_at": strings["captured_at"],
        "is_infrared": events["is_infrared"][event],
        "sharpness": (camera_sharpness * np.where(blurred, 0.15, 1) * rng.lognormal(0, 0.2, n)).astype(np.float32),
        "brightness": (0.45 * np.where(dark, 0.2, 1) * rng.lognormal(0, 0.12, n)).astype(np.float32),
    }
    candidates = [
        [{"individual_id": a, "probability": p}, {"individual_id": b, "probability": q}]
        for a, p, b, q in zip(
            strings["name"], probability.tolist(), strings["second"], second_probability.tolist(), strict=True
        )
    ]
    predictions = key | {
        "target_id": strings["media"],
        "prediction_status": ["ok"] * n,
        "predicted_id": strings["name"],
        "probability": probability.astype(np.float32),
        "margin": margin.astype(np.float32),
        "topk": candidates,
        "event_predicted_id": [called(one) for one in named[event].tolist()],
        "is_flagged": is_selected,
        "is_control": is_control,
        "is_selected": is_selected,
        "inclusion_probability": np.where(has_reason, 1.0, CONTROL_RATE),
    }
    masks, again = _masked(rng, np.flatnonzero(is_selected), strings, kinds, is_wrong, name, right[event])
    reviewed = np.flatnonzero(is_selected & (rng.random(n) < 0.9))
    labels = {
        "import_id": ["import"] * reviewed.size,
        "label_id": [f"label{place}" for place in reviewed.tolist()],
        "media_id": [strings["media"][place] for place in reviewed.tolist()],
        "individual_id": [true_name(one) for one in labelled_as[event[reviewed]].tolist()],
        "flank": [
            ("left" if events["is_left"][one] else "right") if is_known else None
            for one, is_known in zip(event[reviewed].tolist(), (rng.random(reviewed.size) < 0.8).tolist(), strict=True)
        ],
        "labelled_by": [f"person{one}" for one in events["labeller"][event[reviewed]].tolist()],
        "labelled_at": [START + timedelta(days=200)] * reviewed.size,
        "imported_at": [START + timedelta(days=201)] * reviewed.size,
    }
    runs = {name: [value[0]] for name, value in stamp.items()} | {
        "finished_at": [START + timedelta(days=190)],
        "individuals": [[called(one) for one in range(N_KNOWN)]],
    }
    found = {
        "media": media,
        "predictions": predictions,
        "masks": masks,
        "reclassifications": again,
        "labels": labels,
        "runs": runs,
    }
    return {table: _arrow(table, columns) for table, columns in found.items()}


def _strings(
    events: dict[str, np.ndarray], event: np.ndarray, frame: np.ndarray, name: np.ndarray, second: np.ndarray
) -> dict[str, list]:
    camera = [f"C{one:02d}" for one in events["camera"][event].tolist()]
    moments = [
        START + timedelta(days=day, hours=hour, minutes=minute, seconds=2 * number)
        for day, hour, minute, number in zip(
            events["day"][event].tolist(),
            events["hour"][event].tolist(),
            events["minute"][event].tolist(),
            frame.tolist(),
            strict=True,
        )
    ]
    return {
        "media": [f"m{place:07d}" for place in range(event.size)],
        "event": [f"e{one:06d}" for one in event.tolist()],
        "file": [f"{one}/{place:07d}.jpg" for place, one in enumerate(camera)],
        "camera": camera,
        "deployment": [
            f"{one}-d{half}" for one, half in zip(camera, events["deployment"][event].tolist(), strict=True)
        ],
        "captured_at": moments,
        "name": [called(one) for one in name.tolist()],
        "second": [called(one) for one in second.tolist()],
    }


def _masked(
    rng: np.random.Generator,
    rows: np.ndarray,
    strings: dict[str, list],
    kinds: np.ndarray,
    is_wrong: np.ndarray,
    name: np.ndarray,
    right: np.ndarray,
) -> tuple[dict, dict]:
    n = rows.size
    values = np.empty((4, n))
    final = name[rows].copy()
    for place, row in enumerate(rows.tolist()):
        of = kinds[row] if is_wrong[row] else "right"
        for which, (mean, spread) in enumerate(_MASKS.get(of, _ORDINARY)):
            values[which, place] = max(0.0, mean + spread * rng.normal())
        if is_wrong[row] and rng.random() < _RECOVERED.get(of, 0.1):
            final[place] = right[row]
        elif not is_wrong[row] and rng.random() < 0.02:
            final[place] = rng.integers(0, N_KNOWN)
    key = {
        "run_id": ["run"] * n,
        "batch_key": ["batch"] * n,
        "model_digest": ["model"] * n,
        "target_id": [strings["media"][row] for row in rows.tolist()],
        "media_id": [strings["media"][row] for row in rows.tolist()],
    }
    masks = key | {
        "method": ["scd"] * n,
        "mask_status": ["ok"] * n,
        "background_reliance": np.minimum(values[0], 1).astype(np.float32),
        "background_log_odds_drop": values[1].astype(np.float32),
        "overlay_reliance": np.minimum(values[2], 1).astype(np.float32),
        "overlay_log_odds_drop": values[3].astype(np.float32),
    }
    again = key | {
        "strategy": ["fused"] * n,
        "strategy_status": ["ok"] * n,
        "predicted_id": [called(one) for one in final.tolist()],
        "probability": np.full(n, 0.8, np.float32),
        "is_flip": final != name[rows],
    }
    return masks, again


def _arrow(table: str, columns: dict) -> pa.Table:
    schema = table_schema(table)
    n = len(next(iter(columns.values())))
    arrays = [
        pa.array(columns[name], schema.field(name).type) if name in columns else pa.nulls(n, schema.field(name).type)
        for name in schema.names
    ]
    return pa.Table.from_arrays(arrays, schema=schema)
