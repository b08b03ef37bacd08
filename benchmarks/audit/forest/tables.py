"""A world of the third maker as the audit's tables."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.audit.forest.animals import SEASON_DAYS, Forest, Ints, Visits, given_name, true_name
from benchmarks.audit.forest.errors import Misnaming
from benchmarks.audit.forest.frames import Frames
from benchmarks.audit.forest.labels import REPORT_DAY, Labelling, Regime
from scd_core.label_names import LabelState
from scd_core.names import FlagReason, MaskMethod
from scd_core.tables.schema import table_schema

__all__ = ["BATCH_DAYS", "START", "audit_tables", "batch_name", "camera_name", "deployment_name", "labeller_name"]

START = datetime(2026, 3, 2)
"""A Monday."""
BATCH_DAYS = 30
"""Days between two visits to the cameras, whose cards are one batch."""
MODEL = "forest-model"


def camera_name(one: int) -> str:
    """The id of a camera."""
    return f"C{one:02d}"


def deployment_name(camera: int, part: int) -> str:
    """The id of a camera's deployment."""
    return f"C{camera:02d}/{part}"


def labeller_name(one: int) -> str:
    """The name of a labeller; the last one is the helper."""
    return f"person{one}"


def audit_tables(
    visits: Visits,
    found: Misnaming,
    frames: Frames,
    labelling: Labelling,
    forest: Forest,
    regime: Regime,
    batch_days: int = BATCH_DAYS,
) -> dict[str, pa.Table]:
    """Media, predictions, masks, re-classifications, labels and runs."""
    n, of = frames.event.size, frames.visit
    given = pa.array([given_name(one, forest) for one in range(forest.n_known + 1)])
    places = visits.day // batch_days
    batches = pa.array([batch_name(one) for one in range(SEASON_DAYS // batch_days + 1)])
    media_id = pa.array([f"m{place:06d}" for place in range(n)])
    cameras = pa.array([camera_name(one) for one in range(forest.n_cameras)])
    deployments = pa.array([deployment_name(c, part) for c in range(forest.n_cameras) for part in range(3)])
    file = pa.array([f"{camera_name(c)}/{place:06d}.jpg" for place, c in enumerate(visits.camera[of].tolist())])
    stamp = {
        "run_id": batches.take(pa.array(places[of])),
        "batch_key": batches.take(pa.array(places[of])),
        "model_digest": pa.repeat(MODEL, n),
        "media_id": media_id,
    }
    captured_at = pa.array(np.datetime64(START, "us") + frames.second.astype("timedelta64[s]"))
    event_id = pa.array([f"e{one:06d}" for one in range(int(frames.event.max()) + 1)]).take(pa.array(frames.event))
    media = stamp | {
        "event_id": event_id,
        "file": file,
        "uri": file,
        "status": pa.repeat("ok", n),
        "camera_id": cameras.take(pa.array(visits.camera[of])),
        "deployment_id": deployments.take(pa.array((3 * visits.camera + visits.deployment)[of])),
        "captured_at": captured_at,
        "is_infrared": visits.is_infrared[of],
        "sharpness": frames.sharpness,
        "brightness": frames.brightness,
    }
    has_reason, is_control = frames.has_reason, labelling.is_control
    is_selected = has_reason | is_control
    predictions = stamp | {
        "event_id": event_id,
        "target_id": media_id,
        "prediction_status": pa.repeat("ok", n),
        "predicted_id": given.take(pa.array(frames.name)),
        "probability": frames.probability,
        "margin": frames.probability - frames.runner_up_probability,
        "topk": _candidates(frames, given),
        "event_predicted_id": given.take(pa.array(frames.event_name)),
        "is_flagged": is_selected,
        "flag_reasons": _reasons(frames, is_control),
        "is_control": is_control,
        "is_selected": is_selected,
        "inclusion_probability": np.where(has_reason, 1.0, regime.control_rate),
    }
    tables = {"media": media, "predictions": predictions}
    tables |= _second_looks(stamp, frames, np.flatnonzero(is_selected), given)
    tables["labels"] = label_columns(visits, found, frames, labelling, forest, media_id, file)
    done = np.unique(places)
    tables["runs"] = {
        "run_id": batches.take(pa.array(done)),
        "batch_key": batches.take(pa.array(done)),
        "model_digest": pa.repeat(MODEL, done.size),
        "finished_at": [START + timedelta(days=(int(one) + 1) * batch_days) for one in done],
        "individuals": [given.to_pylist()[: forest.n_known]] * done.size,
    }
    return {name: to_arrow(name, columns) for name, columns in tables.items()}


def label_columns(
    visits: Visits,
    found: Misnaming,
    frames: Frames,
    labelling: Labelling,
    forest: Forest,
    media_id: pa.Array,
    file: pa.Array,
) -> dict[str, Any]:
    """Columns of the table ``labels``, an import for each day of labels."""
    rows = np.flatnonzero(labelling.is_labelled)
    of = frames.visit[rows]
    animals = pa.array([true_name(one, forest) for one in range(forest.n_known + forest.n_strangers)])
    people = pa.array([labeller_name(one) for one in range(forest.n_areas + 1)])
    flank = pa.array(np.where(visits.is_left[of], "left", "right"), mask=~labelling.has_flank[rows])
    day = np.floor(labelling.day[rows]).astype(np.int64)
    imports = pa.array([f"day{one:03d}" for one in range(REPORT_DAY + 1)])
    labelled_at = np.datetime64(START, "us") + (labelling.day[rows] * 86400e6).astype("timedelta64[us]")
    imported_at = np.datetime64(START, "us") + (day + 1).astype("timedelta64[D]")
    taken = media_id.take(pa.array(rows))
    return {
        "import_id": imports.take(pa.array(day)),
        "label_id": taken,
        "file": file.take(pa.array(rows)),
        "media_id": taken,
        "individual_id": animals.take(pa.array(found.labelled_as[of])),
        "flank": flank,
        "labelled_by": people.take(pa.array(visits.labeller[of])),
        "labelled_at": pa.array(labelled_at),
        "imported_at": pa.array(imported_at),
        "state": pa.repeat(str(LabelState.NAMED), rows.size),
    }


def to_arrow(table: str, columns: dict[str, Any]) -> pa.Table:
    """Columns in the schema of a table; what is not given is null."""
    schema = table_schema(table)
    n = len(next(iter(columns.values())))
    arrays = []
    for field in schema:
        if field.name not in columns:
            arrays.append(pa.nulls(n, field.type))
            continue
        values = columns[field.name]
        arrays.append((values if isinstance(values, pa.Array) else pa.array(values)).cast(field.type))
    return pa.Table.from_arrays(arrays, schema=schema)


def batch_name(one: int) -> str:
    """The key of a batch."""
    return f"cards{one:03d}"


def _candidates(frames: Frames, given: pa.Array) -> pa.Array:
    n = frames.event.size
    names = given.take(pa.array(np.stack([frames.name, frames.runner_up], axis=1).ravel()))
    probabilities = np.stack([frames.probability, frames.runner_up_probability], axis=1).ravel()
    pairs = pa.StructArray.from_arrays(
        [names, pa.array(probabilities, pa.float32())], names=["individual_id", "probability"]
    )
    return pa.ListArray.from_arrays(pa.array(np.arange(0, 2 * n + 1, 2), pa.int32()), pairs)


def _reasons(frames: Frames, is_control: np.ndarray) -> pa.Array:
    reasons = {
        FlagReason.EVENT_DISAGREEMENT: frames.is_apart,
        FlagReason.UNKNOWN: frames.is_unknown,
        FlagReason.LOW_PROBABILITY: frames.is_low,
        FlagReason.SMALL_MARGIN: frames.is_close,
        FlagReason.CONTROL: is_control,
    }
    has = np.stack(list(reasons.values()), axis=1)
    values = pa.array([str(one) for one in reasons]).take(pa.array(np.nonzero(has)[1]))
    offsets = np.concatenate([[0], has.sum(1).cumsum()])
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), values)


def _second_looks(stamp: dict[str, Any], frames: Frames, rows: Ints, given: pa.Array) -> dict[str, dict[str, Any]]:
    """Masks and re-classifications of what triage selected."""
    key = {name: column.take(pa.array(rows)) for name, column in stamp.items()}
    key["target_id"] = key["media_id"]
    measures = frames.masks[rows]
    masks = key | {
        "method": pa.repeat(str(MaskMethod.SCD), rows.size),
        "mask_status": pa.repeat("ok", rows.size),
        "background_reliance": measures[:, 0],
        "background_log_odds_drop": measures[:, 1],
        "overlay_reliance": measures[:, 2],
        "overlay_log_odds_drop": measures[:, 3],
    }
    again = key | {
        "strategy": pa.repeat("fused", rows.size),
        "strategy_status": pa.repeat("ok", rows.size),
        "predicted_id": given.take(pa.array(frames.final[rows])),
        "probability": np.full(rows.size, 0.7),
        "is_flip": frames.final[rows] != frames.name[rows],
    }
    return {"masks": masks, "reclassifications": again}
