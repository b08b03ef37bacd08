"""Worlds of events with planted systematic errors among ordinary noise, written down as audit tables.

A world is made from the outside in, knowing nothing of the detector: individuals live near some cameras, an event is a burst
of one individual, each mechanism turns some events' names into wrong ones, and the masks, confidences and labels follow from
the mechanism with noise of their own. Labels come the way triage makes them come: from what it flags, and from a small
random control sample.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import duckdb
import numpy as np
import pyarrow as pa

from scd_core.tables.schema import TABLES, empty_table, table_schema

__all__ = ["KINDS", "Planted", "World", "load_world", "make_world"]

KINDS = ("shortcut", "station", "overlay", "twins", "flank", "blur", "labeller", "dark_deployment")
"""Kinds of planted errors."""

_CAUSE = {
    "shortcut": "background",  # at one camera, one individual is called another one
    "station": "background",  # at one camera, whoever comes is called the one that lives there
    "overlay": "overlay",  # the info strip of one camera's infrared pictures
    "twins": "confusable_pair",  # two individuals that look alike, everywhere
    "flank": "flank",  # one flank of one individual, everywhere
    "blur": "image_quality",  # blurred pictures of every camera
    "labeller": "label_suspect",  # one person takes one individual for another
    "dark_deployment": "image_quality",  # one deployment in which most pictures came out dark
}
N_CAMERAS, N_KNOWN, N_NEW = 12, 14, 3
CONTROL_RATE, MIN_PROBABILITY, MIN_MARGIN = 0.05, 0.6, 0.2
SLIP = 0.1
"""Share of the frames of a misnamed event that are right all the same."""
START = datetime(2026, 1, 1)


@dataclass(frozen=True)
class Planted:
    """One planted error: what a slice may name it by, and the causes that are right for it."""

    kind: str
    causes: tuple[str, ...]  # any of them is right
    keys: dict[str, set[str]]  # key -> values that belong to it; a slice with another value of such a key is not it
    naming: tuple[str, ...]  # keys of which a slice must have at least one to name the error


@dataclass(frozen=True)
class World:
    """The tables of a world, what was planted in it, and the probability to err of every event."""

    tables: dict[str, pa.Table]
    planted: list[Planted]
    events: dict[
        str, np.ndarray
    ]  # what every event was like, and `p_wrong`, the probability that one of its frames is wrong


def load_world(world: World) -> duckdb.DuckDBPyConnection:
    """The world's tables as tables of an in-memory database."""
    connection = duckdb.connect(config={"python_enable_replacements": False})
    for name in TABLES:
        connection.register("rows", world.tables.get(name, empty_table(name)))
        connection.execute(f'CREATE TABLE "{name}" AS SELECT * FROM rows')
        connection.unregister("rows")
    return connection


def make_world(seed: int, kinds: tuple[str, ...], n_events: int = 6000, noise: float = 0.04) -> World:
    """Make one world.

    Args:
        seed: seed of everything in it.
        kinds: kinds of errors to plant, each at most once, in rising size from about 40 to about 300 events.
        n_events: events in the world; 1-5 frames each.
        noise: share of events misnamed for no systematic reason; varies by a fifth between cameras and individuals.
    """
    rng = np.random.default_rng(seed)
    events = _events(rng, n_events)
    p_wrong = noise * np.exp(0.2 * rng.normal(size=N_CAMERAS))[events["camera"]]
    p_wrong *= np.exp(0.2 * rng.normal(size=N_KNOWN + N_NEW))[events["true"]]
    p_wrong = np.minimum(p_wrong, 0.5)
    likeness = rng.dirichlet(np.full(N_KNOWN, 5.0), size=N_KNOWN + N_NEW)
    mechanism = np.full(n_events, -1)
    named = np.where(events["true"] < N_KNOWN, events["true"], N_KNOWN)  # N_KNOWN is "unknown"
    wrong = rng.random(n_events) < p_wrong
    named[wrong] = _other_names(rng, events["true"][wrong], likeness)
    planted: list[Planted] = []
    labelled_as = events["true"].copy()
    taken: dict[str, set[int]] = {"camera": set(), "true": set()}
    for place, kind in enumerate(kinds):
        size = 40 * 7.5 ** (place / max(1, len(kinds) - 1))
        found = _plant(rng, kind, size, events, taken)
        planted.append(found.planted)
        hit = (rng.random(n_events) < found.rate) & found.where & (mechanism < 0)
        if kind == "labeller":
            labelled_as[hit & ~wrong] = found.name
            mechanism[hit & ~wrong] = place
        else:
            hit &= (found.name != events["true"]) | (found.name < 0)
            names = found.name if found.name >= 0 else _other_names(rng, events["true"][hit], likeness)
            named[hit] = names
            mechanism[hit] = place
            reached = found.where & ((found.name != events["true"]) | (found.name < 0))
            p_wrong = np.where(reached, p_wrong + (1 - p_wrong) * found.rate, p_wrong)
    kind_of = np.array([*kinds, "noise"], dtype=object)[mechanism]
    tables = _tables(rng, events, named, labelled_as, kind_of)
    camera = np.array([f"C{one:02d}" for one in events["camera"]], dtype=object)
    described = {
        "camera_id": camera,
        "deployment_id": camera + np.where(events["deployment"] == 1, "-d1", "-d0").astype(object),
        "true_id": np.array([_true_name(one) for one in events["true"].tolist()], dtype=object),
        "light": np.where(events["is_infrared"], "infrared", "day").astype(object),
        "hour": np.array([f"{hour:02d}h" for hour in events["hour"]], dtype=object),
        "p_wrong": p_wrong * (1 - SLIP),
    }
    return World(tables, planted, described)


@dataclass(frozen=True)
class _Found:
    planted: Planted
    where: np.ndarray  # (n,) events that the mechanism reaches
    name: int  # name that it gives; -1 any other one
    rate: float


def _events(rng: np.random.Generator, n: int) -> dict[str, np.ndarray]:
    home = np.zeros((N_KNOWN + N_NEW, N_CAMERAS))
    for individual in range(N_KNOWN + N_NEW):
        cameras = rng.choice(N_CAMERAS, rng.integers(3, 6), replace=False)
        home[individual, cameras] = rng.dirichlet(np.full(cameras.size, 2.0))
    abundance = rng.dirichlet(np.full(N_KNOWN + N_NEW, 4.0))
    true = rng.choice(N_KNOWN + N_NEW, n, p=abundance)
    camera = np.array([rng.choice(N_CAMERAS, p=home[individual]) for individual in true])
    day = rng.integers(0, 120, n)
    hour = rng.choice(24, n, p=_activity())
    return {
        "true": true,
        "camera": camera,
        "deployment": (day >= 60).astype(int),
        "day": day,
        "hour": hour,
        "minute": rng.integers(0, 60, n),
        "is_infrared": (hour < 6) | (hour >= 18),
        "is_left": rng.random(n) < 0.5,
        "is_blurred": rng.random(n) < 0.06,
        "is_dark": np.zeros(n, bool),
        "labeller": rng.choice(4, n, p=[0.4, 0.3, 0.2, 0.1]),
        "frames": rng.integers(1, 6, n),
    }


def _activity() -> np.ndarray:
    hours = np.arange(24)
    share = 0.3 + np.exp(-((hours - 6) ** 2) / 8) + np.exp(-((hours - 20) ** 2) / 12)
    return share / share.sum()


def _other_names(rng: np.random.Generator, true: np.ndarray, likeness: np.ndarray) -> np.ndarray:
    """Another name than the true one; one time in eight the known are called unknown, as the new ones should be."""
    names = np.empty(true.size, np.int64)
    for place, individual in enumerate(true.tolist()):
        share = likeness[individual].copy()
        if individual < N_KNOWN:
            share[individual] = 0
        names[place] = rng.choice(N_KNOWN, p=share / share.sum())
        if individual < N_KNOWN and rng.random() < 0.125:
            names[place] = N_KNOWN
    return names


def _plant(rng: np.random.Generator, kind: str, size: float, events: dict[str, np.ndarray], taken: dict) -> _Found:
    """Choose where a kind of error strikes so that it misnames about `size` events."""
    true, camera = events["true"], events["camera"]

    def pick(key: str, counts: np.ndarray, wanted: float) -> int:
        order = np.argsort(np.abs(counts - wanted))
        chosen = next(int(one) for one in order if int(one) not in taken[key])
        taken[key].add(chosen)
        return chosen

    def person(not_one: int = -1) -> int:
        chosen = next(int(one) for one in rng.permutation(N_KNOWN) if one not in taken["true"] and one != not_one)
        taken["true"].add(chosen)
        return chosen

    per_true = np.bincount(true, minlength=N_KNOWN + N_NEW)[:N_KNOWN].astype(float)
    per_camera = np.bincount(camera, minlength=N_CAMERAS).astype(float)
    if kind == "shortcut":
        cells = np.array([[np.sum((true == a) & (camera == c)) for c in range(N_CAMERAS)] for a in range(N_KNOWN)])
        cells[list(taken["true"])] = 0
        cells[:, list(taken["camera"])] = 0
        a, c = (int(one) for one in np.unravel_index(np.argmin(np.abs(cells - size / 0.8)), cells.shape))
        taken["true"].add(a)
        taken["camera"].add(c)
        b = person()
        keys = _camera_keys(c) | _pair_keys(a, b)
        return _Found(
            _planted(kind, keys, ("camera_id", "deployment_id", "true_id", "pair")), (true == a) & (camera == c), b, 0.8
        )
    if kind == "station":
        rate = 0.4
        c = pick("camera", per_camera, size / rate)
        b = person()
        keys = _camera_keys(c) | {
            "predicted_id": {_name(b)},
            "pair": {f"{_name(a)} -> {_name(b)}" for a in range(N_KNOWN + N_NEW)},
        }
        return _Found(_planted(kind, keys, ("camera_id", "deployment_id", "predicted_id")), camera == c, b, rate)
    if kind == "overlay":
        rate = 0.5
        c = pick("camera", np.bincount(camera[events["is_infrared"]], minlength=N_CAMERAS).astype(float), size / rate)
        b = person()
        hours = {f"{hour:02d}h" for hour in (*range(6), *range(18, 24))}
        keys = _camera_keys(c) | {"light": {"infrared"}, "hour": hours, "predicted_id": {_name(b)}}
        keys["pair"] = {f"{_name(a)} -> {_name(b)}" for a in range(N_KNOWN + N_NEW)}
        where = (camera == c) & events["is_infrared"]
        return _Found(_planted(kind, keys, ("camera_id", "deployment_id", "predicted_id")), where, b, rate)
    if kind == "twins":
        rate = 0.4
        a = pick("true", per_true, size / rate)
        b = person(a)
        return _Found(_planted(kind, _pair_keys(a, b), ("true_id", "pair")), true == a, b, rate)
    if kind == "flank":
        rate = 0.7
        a = pick("true", per_true / 2, size / rate)
        b = person(a)
        keys = _pair_keys(a, b) | {"flank": {"left"}}
        return _Found(_planted(kind, keys, ("true_id", "pair", "flank")), (true == a) & events["is_left"], b, rate)
    if kind == "blur":
        rate = min(0.7, size / max(1, events["is_blurred"].sum()))
        return _Found(
            _planted(kind, {"quality": {"blurred"}}, ("quality",)), events["is_blurred"].copy(), -1, max(rate, 0.3)
        )
    if kind == "labeller":
        rate = 0.6
        person_counts = np.array(
            [[np.sum((true == a) & (events["labeller"] == p)) for p in range(1, 4)] for a in range(N_KNOWN)]
        )
        person_counts[list(taken["true"])] = 0
        a, p = (
            int(one) for one in np.unravel_index(np.argmin(np.abs(person_counts - size / rate)), person_counts.shape)
        )
        taken["true"].add(a)
        b = person()
        # The model says a, the label says b.
        keys = _pair_keys(b, a) | {"labelled_by": {f"person{p + 1}"}}
        where = (true == a) & (events["labeller"] == p + 1)
        return _Found(_planted(kind, keys, ("true_id", "pair", "labelled_by")), where, b, rate)
    rate = 0.5
    c = pick("camera", np.bincount(camera[events["deployment"] == 1], minlength=N_CAMERAS) * 0.8, size / rate)
    where = (camera == c) & (events["deployment"] == 1) & (rng.random(true.size) < 0.8)
    # Few pictures of the camera were dark before, so the median stays that of its good ones.
    where &= np.cumsum(where) <= 0.4 * np.sum(camera == c)
    events["is_dark"][where] = True
    keys = {"camera_id": {f"C{c:02d}"}, "deployment_id": {f"C{c:02d}-d1"}, "quality": {"dark"}}
    return _Found(_planted("dark_deployment", keys, ("camera_id", "deployment_id", "quality")), where, -1, rate)


def _planted(kind: str, keys: dict[str, set[str]], naming: tuple[str, ...]) -> Planted:
    return Planted(kind, (_CAUSE[kind],), keys, naming)


def _camera_keys(camera: int) -> dict[str, set[str]]:
    return {"camera_id": {f"C{camera:02d}"}, "deployment_id": {f"C{camera:02d}-d0", f"C{camera:02d}-d1"}}


def _pair_keys(a: int, b: int) -> dict[str, set[str]]:
    return {"true_id": {_name(a)}, "predicted_id": {_name(b)}, "pair": {f"{_name(a)} -> {_name(b)}"}}


def _name(individual: int) -> str:
    if individual < N_KNOWN:
        return f"ind{individual:02d}"
    return "unknown" if individual == N_KNOWN else f"new{individual - N_KNOWN}"


def _true_name(individual: int) -> str:
    return f"ind{individual:02d}" if individual < N_KNOWN else f"new{individual - N_KNOWN}"


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


def _tables(
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
        "event_predicted_id": [_name(one) for one in named[event].tolist()],
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
        "individual_id": [_true_name(one) for one in labelled_as[event[reviewed]].tolist()],
        "flank": [
            ("left" if events["is_left"][one] else "right") if told else None
            for one, told in zip(event[reviewed].tolist(), (rng.random(reviewed.size) < 0.8).tolist(), strict=True)
        ],
        "labelled_by": [f"person{one}" for one in events["labeller"][event[reviewed]].tolist()],
        "labelled_at": [START + timedelta(days=200)] * reviewed.size,
        "imported_at": [START + timedelta(days=201)] * reviewed.size,
    }
    runs = {name: [value[0]] for name, value in stamp.items()} | {
        "finished_at": [START + timedelta(days=190)],
        "individuals": [[_name(one) for one in range(N_KNOWN)]],
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
        "name": [_name(one) for one in name.tolist()],
        "second": [_name(one) for one in second.tolist()],
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
        "predicted_id": [_name(one) for one in final.tolist()],
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
