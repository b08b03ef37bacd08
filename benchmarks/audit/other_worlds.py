"""A second maker of worlds, of other errors and other shapes than :mod:`benchmarks.audit.forest`.

Three rules were changed on what seeds 1-3 and 901 of it showed; other seeds are new to the rules, its kinds are not.

Frames are drawn one by one: a burst shares its animal, place and light, but each frame is named by its own draw around the
burst's mechanism. Errors go by hour, by flank for everybody, by fog, by a pair at one camera at night, by ghosts at one
station, by a newcomer taken for a known one, by a camera that went wrong in mid-season, and by two errors of one individual
that overlap. Worlds come in the shapes ``ordinary``, ``many`` (individuals, few pictures of each), ``bursts`` (long ones) and
``flagged`` (nothing is labelled but what was flagged).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.audit.other_frames import LOOKS, called_name, other_frames, true_name
from benchmarks.audit.worlds import Planted, World

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
    named = np.where(who < known, who, known)
    is_noise = rng.random(n) < p_noise
    named[is_noise] = _another(rng, who[is_noise], known)
    kind = np.full(n, "noise", dtype=object)
    p_wrong = p_noise * LOOKS["noise"][0]
    planted = []
    busy: dict[str, Any] = {"where": set(), "who": set(), "one": None}
    for one in kinds:
        found, reach, rate, name = _choose(rng, one, events, known, people, busy)
        planted.append(found)
        hit = reach & (rng.random(n) < rate) & ((name < 0) | (name != who))
        named[hit] = name if name >= 0 else _another(rng, who[hit], known)
        kind[hit] = one
        reached = reach & ((name < 0) | (name != who))
        of_kind = rate * LOOKS.get(one, LOOKS["noise"])[0]
        p_wrong = np.where(reached, of_kind + (1 - rate) * p_wrong, p_wrong)
    tables = other_frames(rng, events, named, kind, known, shape)
    camera = np.array([f"site{one:02d}" for one in where], dtype=object)
    described = {
        "camera_id": camera,
        "deployment_id": camera + np.where(events["half"] == 1, "/b", "/a").astype(object),
        "true_id": np.array([true_name(one, known) for one in who.tolist()], dtype=object),
        "light": np.where(events["infrared"], "infrared", np.where((hour >= 6) & (hour < 18), "day", "night")).astype(
            object
        ),
        "hour": np.array([f"{one:02d}h" for one in hour], dtype=object),
        "p_wrong": p_wrong,
    }
    return World(tables, planted, described)


def _another(rng: np.random.Generator, who: np.ndarray, known: int) -> np.ndarray:
    """A name that is not the animal's; a tenth of the known are called unknown."""
    name = rng.integers(0, known, who.size)
    name = np.where(name == who, (name + 1) % known, name)
    return np.where((who < known) & (rng.random(who.size) < 0.1), known, name)


def _camera_keys(camera: int, *halves: str) -> dict[str, set[str]]:
    return {
        "camera_id": {f"site{camera:02d}"},
        "deployment_id": {f"site{camera:02d}/{half}" for half in halves or "ab"},
    }


def _pair_keys(a: int, b: int, known: int) -> dict[str, set[str]]:
    true, called = true_name(a, known), called_name(b, known)
    return {"true_id": {true}, "predicted_id": {called}, "pair": {f"{true} -> {called}"}}


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
        keys = _camera_keys(c) | _pair_keys(a, b, known) | {"light": {"infrared"}, "hour": _INFRARED}
        naming: tuple[str, ...] = ("camera_id", "deployment_id", "true_id", "pair")
        return Planted(kind, ("confusable_pair",), keys, naming), (who == a) & (where == c) & infrared, 0.75, b
    if kind == "ghosts":
        c = rank(np.bincount(where), "where", 150)
        keys = _camera_keys(c) | {"predicted_id": {"unknown"}}
        keys["pair"] = {f"{true_name(a, known)} -> unknown" for a in range(known)}
        naming = ("camera_id", "deployment_id", "predicted_id")
        return Planted(kind, ("background",), keys, naming), (where == c) & (who < known), 0.45, known
    if kind == "newcomer":
        counts = np.bincount(who, minlength=people)
        a = known + int(counts[known:].argmax())
        b = other(a)
        return Planted(kind, ("confusable_pair",), _pair_keys(a, b, known), ("true_id", "pair")), who == a, 0.8, b
    if kind == "new_firmware":
        c = rank(np.bincount(where[events["half"] == 1], minlength=int(where.max()) + 1), "where", 80)
        b = other(-1)
        keys = _camera_keys(c, "b") | {"predicted_id": {called_name(b, known)}}
        keys["pair"] = {f"{true_name(a, known)} -> {called_name(b, known)}" for a in range(people)}
        naming = ("camera_id", "deployment_id", "predicted_id")
        return Planted(kind, ("overlay",), keys, naming), (where == c) & (events["half"] == 1), 0.5, b
    # Two errors of one individual: at one post it is called b, and everywhere it is taken for its double.
    if busy["one"] is None:
        busy["one"] = one_of_known(np.sort(np.bincount(who, minlength=people)[:known])[-4])
    a = int(busy["one"])
    if kind == "post_of_one":
        c = rank(np.bincount(where[who == a], minlength=int(where.max()) + 1), "where", 25)
        b = other(a)
        keys = _camera_keys(c) | _pair_keys(a, b, known)
        naming = ("camera_id", "deployment_id", "true_id", "pair")
        return Planted(kind, ("background",), keys, naming), (who == a) & (where == c), 0.8, b
    b = other(a)
    return Planted(kind, ("confusable_pair",), _pair_keys(a, b, known), ("true_id", "pair")), who == a, 0.4, b
