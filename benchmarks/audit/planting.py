"""What is planted in a world: for each kind of error, where it strikes, how often, and the name it gives."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scd_core.names import UNKNOWN, Cause

__all__ = ["KINDS", "N_CAMERAS", "N_KNOWN", "N_NEW", "Found", "Planted", "Planter", "called", "true_name"]

KINDS = ("shortcut", "station", "overlay", "twins", "flank", "blur", "labeller", "dark_deployment")
"""Kinds of planted errors."""

_CAUSE = {
    "shortcut": Cause.BACKGROUND,  # at one camera, one individual is called another one
    "station": Cause.BACKGROUND,  # at one camera, whoever comes is called the one that lives there
    "overlay": Cause.OVERLAY,  # the info strip of one camera's infrared pictures
    "twins": Cause.CONFUSABLE_PAIR,  # two individuals that look alike, everywhere
    "flank": Cause.FLANK,  # one flank of one individual, everywhere
    "blur": Cause.IMAGE_QUALITY,  # blurred pictures of every camera
    "labeller": Cause.LABEL_SUSPECT,  # one person takes one individual for another
    "dark_deployment": Cause.IMAGE_QUALITY,  # one deployment in which most pictures came out dark
}
N_CAMERAS, N_KNOWN, N_NEW = 12, 14, 3


@dataclass(frozen=True)
class Planted:
    """One planted error: what a slice may name it by, and the causes that are right for it."""

    kind: str
    causes: tuple[str, ...]  # any of them is right
    keys: dict[str, set[str]]  # key -> values that belong to it; a slice with another value of such a key is not it
    naming: tuple[str, ...]  # keys of which a slice must have at least one to name the error


@dataclass(frozen=True)
class Found:
    """A planted error with its mechanism."""

    planted: Planted
    where: np.ndarray  # (n,) events that the mechanism reaches
    name: int  # name that it gives; -1 any other one
    rate: float


class Planter:
    """Chooses where errors strike in a world; no two of them share a camera or an individual.

    Args:
        rng: random numbers of the world.
        events: the events, one array for each property.
    """

    def __init__(self, rng: np.random.Generator, events: dict[str, np.ndarray]) -> None:
        self._rng = rng
        self._events = events
        self._true, self._camera = events["true"], events["camera"]
        self._taken: dict[str, set[int]] = {"camera": set(), "true": set()}

    def plant(self, kind: str, size: float) -> Found:
        """Choose where a kind of error strikes so that it misnames about `size` events."""
        found: Found = getattr(self, f"_{kind}")(size)
        return found

    def _pick(self, key: str, counts: np.ndarray, wanted: float) -> int:
        """The free camera or individual whose number of events is nearest to a wanted one."""
        order = np.argsort(np.abs(counts - wanted))
        chosen = next(int(one) for one in order if int(one) not in self._taken[key])
        self._taken[key].add(chosen)
        return chosen

    def _person(self, not_one: int = -1) -> int:
        """A known individual that is free."""
        order = self._rng.permutation(N_KNOWN)
        chosen = next(int(one) for one in order if one not in self._taken["true"] and one != not_one)
        self._taken["true"].add(chosen)
        return chosen

    def _per_camera(self, where: np.ndarray) -> np.ndarray:
        return np.bincount(self._camera[where], minlength=N_CAMERAS).astype(float)

    def _per_true(self) -> np.ndarray:
        return np.bincount(self._true, minlength=N_KNOWN + N_NEW)[:N_KNOWN].astype(float)

    def _shortcut(self, size: float) -> Found:
        true, camera = self._true, self._camera
        cells = np.array([[np.sum((true == a) & (camera == c)) for c in range(N_CAMERAS)] for a in range(N_KNOWN)])
        cells[list(self._taken["true"])] = 0
        cells[:, list(self._taken["camera"])] = 0
        a, c = (int(one) for one in np.unravel_index(np.argmin(np.abs(cells - size / 0.8)), cells.shape))
        self._taken["true"].add(a)
        self._taken["camera"].add(c)
        b = self._person()
        planted = _planted(
            "shortcut", _camera_keys(c) | _pair_keys(a, b), ("camera_id", "deployment_id", "true_id", "pair")
        )
        return Found(planted, (true == a) & (camera == c), b, 0.8)

    def _station(self, size: float) -> Found:
        rate = 0.4
        c = self._pick("camera", np.bincount(self._camera, minlength=N_CAMERAS).astype(float), size / rate)
        b = self._person()
        planted = _planted("station", _camera_keys(c) | _name_keys(b), ("camera_id", "deployment_id", "predicted_id"))
        return Found(planted, self._camera == c, b, rate)

    def _overlay(self, size: float) -> Found:
        rate = 0.5
        is_infrared = self._events["is_infrared"]
        c = self._pick("camera", self._per_camera(is_infrared), size / rate)
        b = self._person()
        hours = {f"{hour:02d}h" for hour in (*range(6), *range(18, 24))}
        keys = _camera_keys(c) | {"light": {"infrared"}, "hour": hours} | _name_keys(b)
        planted = _planted("overlay", keys, ("camera_id", "deployment_id", "predicted_id"))
        return Found(planted, (self._camera == c) & is_infrared, b, rate)

    def _twins(self, size: float) -> Found:
        rate = 0.4
        a = self._pick("true", self._per_true(), size / rate)
        b = self._person(a)
        return Found(_planted("twins", _pair_keys(a, b), ("true_id", "pair")), self._true == a, b, rate)

    def _flank(self, size: float) -> Found:
        rate = 0.7
        a = self._pick("true", self._per_true() / 2, size / rate)
        b = self._person(a)
        planted = _planted("flank", _pair_keys(a, b) | {"flank": {"left"}}, ("true_id", "pair", "flank"))
        return Found(planted, (self._true == a) & self._events["is_left"], b, rate)

    def _blur(self, size: float) -> Found:
        is_blurred = self._events["is_blurred"]
        rate = min(0.7, size / max(1, is_blurred.sum()))
        planted = _planted("blur", {"quality": {"blurred"}}, ("quality",))
        return Found(planted, is_blurred.copy(), -1, max(rate, 0.3))

    def _labeller(self, size: float) -> Found:
        rate = 0.6
        true, labeller = self._true, self._events["labeller"]
        counts = np.array([[np.sum((true == a) & (labeller == p)) for p in range(1, 4)] for a in range(N_KNOWN)])
        counts[list(self._taken["true"])] = 0
        a, p = (int(one) for one in np.unravel_index(np.argmin(np.abs(counts - size / rate)), counts.shape))
        self._taken["true"].add(a)
        b = self._person()
        # The model gives a, the label gives b.
        keys = _pair_keys(b, a) | {"labelled_by": {f"person{p + 1}"}}
        return Found(
            _planted("labeller", keys, ("true_id", "pair", "labelled_by")), (true == a) & (labeller == p + 1), b, rate
        )

    def _dark_deployment(self, size: float) -> Found:
        rate = 0.5
        is_second = self._events["deployment"] == 1
        c = self._pick("camera", np.bincount(self._camera[is_second], minlength=N_CAMERAS) * 0.8, size / rate)
        where = (self._camera == c) & is_second & (self._rng.random(self._true.size) < 0.8)
        # Few pictures of the camera were dark before, so the median stays that of its good ones.
        where &= np.cumsum(where) <= 0.4 * np.sum(self._camera == c)
        self._events["is_dark"][where] = True
        keys = {"camera_id": {f"C{c:02d}"}, "deployment_id": {f"C{c:02d}-d1"}, "quality": {"dark"}}
        return Found(_planted("dark_deployment", keys, ("camera_id", "deployment_id", "quality")), where, -1, rate)


def _planted(kind: str, keys: dict[str, set[str]], naming: tuple[str, ...]) -> Planted:
    return Planted(kind, (_CAUSE[kind],), keys, naming)


def _camera_keys(camera: int) -> dict[str, set[str]]:
    return {"camera_id": {f"C{camera:02d}"}, "deployment_id": {f"C{camera:02d}-d0", f"C{camera:02d}-d1"}}


def _pair_keys(a: int, b: int) -> dict[str, set[str]]:
    return {"true_id": {called(a)}, "predicted_id": {called(b)}, "pair": {f"{called(a)} -> {called(b)}"}}


def _name_keys(b: int) -> dict[str, set[str]]:
    """Keys of errors in which whoever comes is given one name."""
    pairs = {f"{called(a)} -> {called(b)}" for a in range(N_KNOWN + N_NEW)}
    return {"predicted_id": {called(b)}, "pair": pairs}


def called(individual: int) -> str:
    """The name of an individual in predictions; that of the number of known ones is `unknown`."""
    if individual < N_KNOWN:
        return f"ind{individual:02d}"
    return UNKNOWN if individual == N_KNOWN else f"new{individual - N_KNOWN}"


def true_name(individual: int) -> str:
    """The name of an individual in labels."""
    return f"ind{individual:02d}" if individual < N_KNOWN else f"new{individual - N_KNOWN}"
