"""A second maker of worlds, of other errors and other shapes than :mod:`benchmarks.audit.worlds`.

Three rules were changed on what seeds 1-3 and 901 of it showed; other seeds are new to the rules, its kinds are not.

Frames are drawn one by one: a burst shares its animal, place and light, but each frame is named by its own draw around the
burst's mechanism. Errors are told by hour, by flank for everybody, by fog, by a pair at one camera at night, by ghosts at one
station, by a newcomer taken for a known one, by a camera that went wrong in mid-season, and by two errors of one individual
that overlap. Worlds come in the shapes ``ordinary``, ``many`` (individuals, few pictures of each), ``bursts`` (long ones) and
``flagged`` (nothing is labelled but what was flagged).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.audit.worlds import Planted, World
from scd_core.tables.schema import table_schema

__all__ = ["OTHER_KINDS", "SHAPES", "make_other_world"]

OTHER_KINDS = (
    "dawn", "right_flanks", "fog", "night_pair", "ghosts", "newcomer", "new_firmware", "post_of_one", "double_of_one",
)  # fmt: skip
"""Kinds of planted errors; the last two are of one individual and overlap."""

SHAPES = {
    "ordinary": {"events": 6000, "known": 25, "new": 4, "cameras": 15, "frames": 4},
    "many": {"events": 6000, "known": 150, "new": 10, "cameras": 20, "frames": 2},
    "bursts": {"events": 3000, "known": 20, "new": 3, "cameras": 12, "frames": 25},
    "flagged": {"events": 6000, "known": 25, "new": 4, "cameras": 15, "frames": 4},
}
"""Shape -> size."""

CONTROL = 0.04
START = datetime(2025, 5, 1)
_WEAK = ("unexplained", "confusable_pair")
_INFRARED = {f"{hour:02d}h" for hour in (*range(7), *range(19, 24))}


def make_other_world(seed: int, kinds: tuple[str, ...], shape: str = "ordinary", noise: float = 0.05) -> World:
    """Make one world.

    Args:
        seed: seed of everything in it.
        kinds: kinds of errors to plant.
        shape: one of :data:`SHAPES`.
        noise: probability that a burst is misnamed for no reason that repeats.
    """
    rng = np.random.default_rng([seed, 77])
    size = SHAPES[shape]
    n, known, cameras = size["events"], size["known"], size["cameras"]
    people = known + size["new"]
    # A third of the cameras is visited by anybody, the others by a few residents.
    taste = rng.gamma(0.35, size=(people, cameras)) + 0.02
    taste /= taste.sum(axis=1, keepdims=True)
    who = rng.choice(people, n, p=rng.dirichlet(np.full(people, 2.5)))
    where = (taste[who].cumsum(axis=1) > rng.random(n)[:, None]).argmax(axis=1)
    day = np.sort(rng.integers(0, 150, n))
    hour = np.where(rng.random(n) < 0.6, rng.normal(5.5, 2.5, n), rng.normal(20.5, 2.5, n)).round().astype(int) % 24
    events: dict[str, np.ndarray] = {
        "who": who, "where": where, "day": day, "hour": hour, "half": (day >= 75).astype(int),
        "infrared": (hour < 7) | (hour >= 19), "right": rng.random(n) < 0.5, "fog": rng.random(n) < 0.08,
        "frames": 1 + rng.poisson(size["frames"] - 1, n) if shape != "bursts" else rng.geometric(1 / size["frames"], n),
    }  # fmt: skip
    p_noise = np.clip(noise * rng.lognormal(0, 0.15, cameras)[where] * rng.lognormal(0, 0.15, people)[who], 0, 0.4)
    said = np.where(who < known, who, known)
    is_noise = rng.random(n) < p_noise
    said[is_noise] = _another(rng, who[is_noise], known)
    kind = np.full(n, "noise", dtype=object)
    p_wrong = p_noise * _LOOKS["noise"][0]
    planted = []
    busy: dict[str, Any] = {"where": set(), "who": set(), "one": None}
    for one in kinds:
        found, reach, rate, name = _choose(rng, one, events, known, people, busy)
        planted.append(found)
        hit = reach & (rng.random(n) < rate) & ((name < 0) | (name != who))
        said[hit] = name if name >= 0 else _another(rng, who[hit], known)
        kind[hit] = one
        reached = reach & ((name < 0) | (name != who))
        of_kind = rate * _LOOKS.get(one, _LOOKS["noise"])[0]
        p_wrong = np.where(reached, of_kind + (1 - rate) * p_wrong, p_wrong)
    tables = _tables(rng, events, said, kind, known, shape)
    camera = np.array([f"site{one:02d}" for one in where], dtype=object)
    described = {
        "camera_id": camera,
        "deployment_id": camera + np.where(events["half"] == 1, "/b", "/a").astype(object),
        "true_id": np.array([_true(one, known) for one in who.tolist()], dtype=object),
        "light": np.where(events["infrared"], "infrared", np.where((hour >= 6) & (hour < 18), "day", "night")).astype(
            object
        ),
        "hour": np.array([f"{one:02d}h" for one in hour], dtype=object),
        "p_wrong": p_wrong,
    }
    return World(tables, planted, described)


def _true(one: int, known: int) -> str:
    return f"animal{one:03d}" if one < known else f"stranger{one - known:02d}"


def _called(one: int, known: int) -> str:
    return f"animal{one:03d}" if one < known else "unknown"


def _another(rng: np.random.Generator, who: np.ndarray, known: int) -> np.ndarray:
    """A name that is not the animal's; a tenth of the known are called unknown."""
    name = rng.integers(0, known, who.size)
    name = np.where(name == who, (name + 1) % known, name)
    return np.where((who < known) & (rng.random(who.size) < 0.1), known, name)


def _choose(
    rng: np.random.Generator, kind: str, events: dict[str, np.ndarray], known: int, people: int, busy: dict[str, Any]
) -> tuple[Planted, np.ndarray, float, int]:
    """What is planted, the events it reaches, its rate there, and the name given (-1: any other)."""
    who, where, infrared = events["who"], events["where"], events["infrared"]

    def rank(counts: np.ndarray, key: str, low: float) -> int:
        """One that is not taken, with at least so many events where there is one, or the most frequent."""
        counts = counts.astype(float)
        counts[list(busy[key])] = -1
        fit = np.flatnonzero(counts >= low)
        chosen = int(rng.choice(fit)) if fit.size else int(counts.argmax())
        busy[key].add(chosen)
        return chosen

    def one_of_known(low: float) -> int:
        return rank(np.bincount(who, minlength=people)[:known], "who", low)

    def other(than: int) -> int:
        return int(rng.choice([b for b in range(known) if b != than and b not in busy["who"]]))

    def of_camera(camera: int, *halves: str) -> dict[str, set[str]]:
        return {
            "camera_id": {f"site{camera:02d}"},
            "deployment_id": {f"site{camera:02d}/{half}" for half in halves or "ab"},
        }

    def of_pair(a: int, b: int) -> dict[str, set[str]]:
        true, called = _true(a, known), _called(b, known)
        return {"true_id": {true}, "predicted_id": {called}, "pair": {f"{true} -> {called}"}}

    if kind == "dawn":
        return (
            Planted(kind, _WEAK, {"hour": {"05h", "06h"}}, ("hour",)),
            np.isin(events["hour"], (5, 6)), 0.3, -1,
        )  # fmt: skip
    if kind == "right_flanks":
        return Planted(kind, ("flank",), {"flank": {"right"}}, ("flank",)), events["right"], 0.3, -1
    if kind == "fog":
        return Planted(kind, ("image_quality",), {"quality": {"blurred"}}, ("quality",)), events["fog"], 0.6, -1
    if kind == "night_pair":
        table = np.zeros((known, int(where.max()) + 1))
        np.add.at(table, (who[infrared & (who < known)], where[infrared & (who < known)]), 1)
        table[list(busy["who"])] = -1
        table[:, list(busy["where"])] = -1
        a, c = (int(one) for one in np.unravel_index(int(table.argmax()), table.shape))
        busy["who"].add(a)
        busy["where"].add(c)
        b = other(a)
        keys = of_camera(c) | of_pair(a, b) | {"light": {"infrared"}, "hour": _INFRARED}
        naming: tuple[str, ...] = ("camera_id", "deployment_id", "true_id", "pair")
        return Planted(kind, ("confusable_pair",), keys, naming), (who == a) & (where == c) & infrared, 0.75, b
    if kind == "ghosts":
        c = rank(np.bincount(where), "where", 150)
        keys = of_camera(c) | {"predicted_id": {"unknown"}}
        keys["pair"] = {f"{_true(a, known)} -> unknown" for a in range(known)}
        naming = ("camera_id", "deployment_id", "predicted_id")
        return Planted(kind, ("background",), keys, naming), (where == c) & (who < known), 0.45, known
    if kind == "newcomer":
        counts = np.bincount(who, minlength=people)
        a = known + int(counts[known:].argmax())
        b = other(a)
        return Planted(kind, ("confusable_pair",), of_pair(a, b), ("true_id", "pair")), who == a, 0.8, b
    if kind == "new_firmware":
        c = rank(np.bincount(where[events["half"] == 1], minlength=int(where.max()) + 1), "where", 80)
        b = other(-1)
        keys = of_camera(c, "b") | {"predicted_id": {_called(b, known)}}
        keys["pair"] = {f"{_true(a, known)} -> {_called(b, known)}" for a in range(people)}
        naming = ("camera_id", "deployment_id", "predicted_id")
        return Planted(kind, ("overlay",), keys, naming), (where == c) & (events["half"] == 1), 0.5, b
    # Two errors of one individual: at one post it is called b, and everywhere it is taken for its double.
    if busy["one"] is None:
        busy["one"] = one_of_known(np.sort(np.bincount(who, minlength=people)[:known])[-4])
    a = int(busy["one"])
    if kind == "post_of_one":
        c = rank(np.bincount(where[who == a], minlength=int(where.max()) + 1), "where", 25)
        b = other(a)
        keys = of_camera(c) | of_pair(a, b)
        naming = ("camera_id", "deployment_id", "true_id", "pair")
        return Planted(kind, ("background",), keys, naming), (who == a) & (where == c), 0.8, b
    b = other(a)
    return Planted(kind, ("confusable_pair",), of_pair(a, b), ("true_id", "pair")), who == a, 0.4, b


# kind -> share of its frames that are wrong, Beta of the probability, means of the four mask measures, share recovered
_LOOKS: dict[str, tuple[float, tuple[float, float], tuple[float, float, float, float], float]] = {
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


def _tables(
    rng: np.random.Generator,
    events: dict[str, np.ndarray],
    said: np.ndarray,
    kind: np.ndarray,
    known: int,
    shape: str,
) -> dict[str, pa.Table]:
    """The audit's tables."""
    share = np.array([_LOOKS.get(one, _LOOKS["noise"])[0] for one in kind])
    event = np.repeat(np.arange(said.size), events["frames"])
    n = event.size
    number = np.arange(n) - np.repeat(np.cumsum(events["frames"]) - events["frames"], events["frames"])
    right = np.where(events["who"] < known, events["who"], known)[event]
    is_off = said[event] != right
    name = np.where(is_off & (rng.random(n) >= share[event]), right, said[event])
    is_wrong = name != right
    look = np.where(is_wrong, kind[event], "right")
    probability = rng.beta(*_RIGHT[1], n)
    measures = np.tile(np.array(_RIGHT[2]), (n, 1))
    recovered = np.zeros(n)
    for one in np.unique(look[is_wrong]).tolist():
        _, beta, means, rate = _LOOKS.get(one, _LOOKS["noise"])
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
    has_reason = (probability < 0.6) | (probability - second_probability < 0.2) | (name != said[event])
    has_reason |= name == known
    is_control = rng.random(n) < CONTROL
    is_selected = has_reason | is_control
    fog, camera = events["fog"][event], events["where"][event]
    media_id = [f"{place:08x}" for place in rng.permutation(n)]
    cameras = [f"site{one:02d}" for one in camera.tolist()]
    file = [f"{one}/IMG_{place:07d}.JPG" for place, one in enumerate(cameras)]
    names = [_called(one, known) for one in name.tolist()]
    stamp = {"run_id": ["r"] * n, "batch_key": ["b"] * n, "model_digest": ["m"] * n, "media_id": media_id}
    event_id = [f"burst-{one}" for one in event.tolist()]
    minute = rng.integers(0, 60, said.size)[event]
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
            [{"individual_id": a, "probability": p}, {"individual_id": _called(b, known), "probability": q}]
            for a, p, b, q in zip(
                names, probability.tolist(), second.tolist(), second_probability.tolist(), strict=True
            )
        ],
        "event_predicted_id": [_called(one, known) for one in said[event].tolist()],
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
        "predicted_id": [_called(one, known) for one in final[seen].tolist()],
        "probability": np.full(seen.size, 0.7),
        "is_flip": final[seen] != name[seen],
    }
    labelled = np.flatnonzero((has_reason if shape == "flagged" else is_selected) & (rng.random(n) < 0.85))
    by_file = rng.random(labelled.size) < 0.2
    flank_told = rng.random(labelled.size) < 0.85
    labels = {
        "import_id": ["i"] * labelled.size,
        "label_id": [f"l{place}" for place in labelled.tolist()],
        "file": [file[place] for place in labelled.tolist()],
        "media_id": [None if late else media_id[place] for place, late in zip(labelled, by_file, strict=True)],
        "individual_id": [_true(one, known) for one in events["who"][event[labelled]].tolist()],
        "flank": [
            ("right" if events["right"][event[place]] else "left") if told else None
            for place, told in zip(labelled.tolist(), flank_told.tolist(), strict=True)
        ],
        "labelled_by": [f"observer{one}" for one in rng.integers(0, 3, labelled.size).tolist()],
        "labelled_at": [START + timedelta(days=300)] * labelled.size,
        "imported_at": [START + timedelta(days=301)] * labelled.size,
    }
    runs: dict[str, list[Any]] = {name: [value[0]] for name, value in stamp.items() if name != "media_id"}
    runs |= {
        "finished_at": [START + timedelta(days=299)],
        "individuals": [[_called(one, known) for one in range(known)]],
    }
    found = {"media": media, "predictions": predictions, "masks": masks, "reclassifications": again, "labels": labels}
    return {table: _arrow(table, columns) for table, columns in (found | {"runs": runs}).items()}


def _arrow(table: str, columns: dict[str, Any]) -> pa.Table:
    schema = table_schema(table)
    n = len(next(iter(columns.values())))
    return pa.Table.from_arrays(
        [pa.array(columns[f.name]).cast(f.type) if f.name in columns else pa.nulls(n, f.type) for f in schema],
        schema=schema,
    )
