"""What goes wrong in a world of the third maker: ordinary noise, and planted errors of eight kinds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks.audit.forest.animals import SEASON_DAYS, Bools, Floats, Forest, Ints, Visits
from scd_core.names import Cause

__all__ = ["KINDS", "LOOKS", "Look", "Mechanism", "Misnaming", "misname"]


@dataclass(frozen=True)
class Look:
    """How misnamed frames of a kind look: what the model and the masks show, and what people may call the cause."""

    rate: float  # share of the visits it reaches that it misnames
    sure: tuple[float, float]  # Beta parameters of the probability given to the wrong name
    masks: tuple[float, float, float, float]  # means: reliance on background, its log-odds drop, on strips, their drop
    recovered: float  # share of the masked ones that the second look corrects
    causes: tuple[str, ...] = ()  # any of them is right
    near_miss: float = 0.0  # share of its frames whose second candidate is the true individual


_PLACE = "place"
_AWAY, _ON_ANIMAL = (0.70, 2.7, 0.04, 0.1), (0.25, 0.3, 0.04, 0.1)
LOOKS = {
    "noise": Look(0.0, (4, 4), _ON_ANIMAL, 0.25),
    # Whoever comes to one camera is called the one that lives there.
    "place": Look(0.45, (6, 3), _AWAY, 0.7, (Cause.BACKGROUND, _PLACE)),
    # One individual is called another one at one camera.
    "individual_at_place": Look(0.8, (7, 3), _AWAY, 0.75, (Cause.BACKGROUND,)),
    # One individual is taken for another one everywhere.
    "look_alike": Look(0.4, (5, 4), _ON_ANIMAL, 0.15, (Cause.CONFUSABLE_PAIR,), 0.8),
    # One side of one individual is taken for another one.
    "flank": Look(0.7, (6, 3), _ON_ANIMAL, 0.15, (Cause.FLANK,), 0.2),
    # The info strip of one camera's infrared pictures decides the name.
    "strip": Look(0.5, (6, 3), (0.40, 0.8, 0.38, 2.3), 0.6, (Cause.OVERLAY,)),
    # Blurred pictures everywhere, or one camera whose lens is always bad, are given any name.
    "quality": Look(0.5, (3, 4), (0.30, 0.4, 0.04, 0.1), 0.1, (Cause.IMAGE_QUALITY,)),
    # The helper takes one individual for another one; the model is right.
    "labeller": Look(0.6, (9, 1.3), _ON_ANIMAL, 0.0, (Cause.LABEL_SUSPECT,)),
    # From a day in mid-season on, one camera calls whoever comes by one name.
    "onset": Look(0.6, (6, 3), _AWAY, 0.7, (Cause.BACKGROUND, _PLACE)),
}
"""Kind -> how it looks."""
Keys = dict[str, set[Any]]
KINDS = tuple(kind for kind in LOOKS if kind != "noise")
"""Kinds that are planted."""


@dataclass(frozen=True)
class Mechanism:
    """A planted error: whom it reaches and how a slice may name it."""

    kind: str
    reach: Bools  # (v,) visits
    name: int  # that it gives; -1 any
    keys: Keys  # key -> codes that belong to it; a slice with another one of such a key is not it
    naming: tuple[str, ...]  # keys of which a slice must have one to name it
    onset: int | None = None  # first day
    true: int | None = None  # the one individual it is about (as labelled)
    is_alias: bool = False  # the label, not the model, is wrong


@dataclass
class Misnaming:
    """Which visits are misnamed and why; v visits."""

    named: Ints  # (v,) name that the visit's misnamed events are given; the right one where nothing is wrong
    labelled_as: Ints  # (v,) who a person says it is
    mechanism: Ints  # (v,) place in `planted`; -1 noise or right
    p_noise: Floats  # (v,) probability of ordinary misnaming
    likeness: Floats  # (animals, n_known + 1) ordinary wrong names of each; the last is unknown
    planted: list[Mechanism] = field(default_factory=list)


def misname(rng: np.random.Generator, visits: Visits, forest: Forest, kinds: tuple[str, ...]) -> Misnaming:
    """Draw ordinary errors, and plant one error of each kind that is named, in rising size."""
    n_animals = forest.n_known + forest.n_strangers
    likeness = rng.dirichlet(np.full(forest.n_known, forest.likeness), n_animals)
    known = np.arange(forest.n_known)
    likeness[known, known] = 0
    likeness /= likeness.sum(1, keepdims=True)
    unknown = np.where(np.arange(n_animals) < forest.n_known, 0.15, 0.0)[:, None]
    likeness = np.concatenate([likeness * (1 - unknown), unknown], axis=1)
    p_noise = forest.noise * rng.lognormal(0, forest.noise_spread, forest.n_cameras)[visits.camera]
    p_noise *= rng.lognormal(0, forest.noise_spread, n_animals)[visits.true]
    p_noise = np.minimum(p_noise * np.where(visits.true < forest.n_known, 1, forest.stranger_noise), 0.5)
    right = np.minimum(visits.true, forest.n_known)
    named = right.copy()
    is_wrong = rng.random(visits.size) < p_noise
    named[is_wrong] = _wrong_names(rng, likeness, visits.true[is_wrong])
    found = Misnaming(named, visits.true.copy(), np.full(visits.size, -1), p_noise, likeness)
    planter = _Planter(rng, visits, forest)
    sizes = rng.permutation(np.geomspace(*forest.sizes, len(kinds)) if kinds else [])
    for place, (kind, size) in enumerate(zip(kinds, sizes, strict=True)):
        one = planter.plant(kind, float(size))
        found.planted.append(one)
        hit = one.reach & (rng.random(visits.size) < LOOKS[kind].rate) & (found.mechanism < 0)
        if one.is_alias:
            hit &= named == right
            found.labelled_as[hit] = one.name
        else:
            hit &= right != one.name
            named[hit] = one.name if one.name >= 0 else _wrong_names(rng, likeness, visits.true[hit])
        found.mechanism[hit] = place
    return found


def _wrong_names(rng: np.random.Generator, likeness: Floats, true: Ints) -> Ints:
    return (rng.random(true.size)[:, None] > likeness.cumsum(1)[true]).sum(1).clip(0, likeness.shape[1] - 1)


class _Planter:
    """Chooses where errors strike; no two of a world share a camera or an individual."""

    def __init__(self, rng: np.random.Generator, visits: Visits, forest: Forest) -> None:
        self._rng, self._visits, self._forest = rng, visits, forest
        self._cameras: set[int] = set()
        self._animals: set[int] = set()

    def plant(self, kind: str, size: float) -> Mechanism:
        reached = size / LOOKS[kind].rate
        made: Mechanism = getattr(self, f"_{kind}")(reached)
        return made

    def _camera(self, reach: Bools, wanted: float) -> int:
        counts = np.bincount(self._visits.camera[reach], minlength=self._forest.n_cameras)
        return _nearest(counts, wanted, self._cameras)

    def _animal(self, reach: Bools, wanted: float) -> int:
        counts = np.bincount(self._visits.true[reach], minlength=self._forest.n_known)[: self._forest.n_known]
        return _nearest(counts, wanted, self._animals)

    def _other(self) -> int:
        """A known individual that no other planted error is about."""
        free = [one for one in range(self._forest.n_known) if one not in self._animals]
        chosen = int(self._rng.choice(free))
        self._animals.add(chosen)
        return chosen

    def _place(self, reached: float) -> Mechanism:
        camera = self._camera(np.ones(self._visits.size, bool), reached)
        name = self._other()
        reach = self._visits.camera == camera
        return Mechanism("place", reach, name, self._camera_keys(camera) | _named(name), _AT_CAMERA)

    def _individual_at_place(self, reached: float) -> Mechanism:
        visits, n = self._visits, self._forest.n_known
        cells = np.zeros((n, self._forest.n_cameras))
        is_known = visits.true < n
        np.add.at(cells, (visits.true[is_known], visits.camera[is_known]), 1)
        cells[list(self._animals)] = 0
        cells[:, list(self._cameras)] = 0
        a, camera = (int(one) for one in np.unravel_index(int(np.abs(cells - reached).argmin()), cells.shape))
        self._animals.add(a)
        self._cameras.add(camera)
        name = self._other()
        reach = (visits.true == a) & (visits.camera == camera)
        keys: Keys = self._camera_keys(camera) | {"true_id": {a}} | _named(name)
        naming = ("camera_id", "deployment_id", "true_id", "pair")
        return Mechanism("individual_at_place", reach, name, keys, naming, true=a)

    def _look_alike(self, reached: float) -> Mechanism:
        a = self._animal(np.ones(self._visits.size, bool), reached)
        name = self._other()
        keys: Keys = {"true_id": {a}} | _named(name)
        return Mechanism("look_alike", self._visits.true == a, name, keys, ("true_id", "pair"), true=a)

    def _flank(self, reached: float) -> Mechanism:
        a = self._animal(self._visits.is_left, reached)
        name = self._other()
        keys: Keys = {"true_id": {a}, "flank": {"left"}, **_named(name)}
        reach = (self._visits.true == a) & self._visits.is_left
        return Mechanism("flank", reach, name, keys, ("true_id", "pair", "flank"), true=a)

    def _strip(self, reached: float) -> Mechanism:
        camera = self._camera(self._visits.is_infrared, reached)
        name = self._other()
        hours = {f"{hour:02d}h" for hour in (*range(6), *range(18, 24))}
        keys: Keys = self._camera_keys(camera) | {"light": {"infrared"}, "hour": hours} | _named(name)
        reach = (self._visits.camera == camera) & self._visits.is_infrared
        return Mechanism("strip", reach, name, keys, _AT_CAMERA)

    def _quality(self, reached: float) -> Mechanism:
        visits = self._visits
        if self._rng.random() < 0.5:
            keys: Keys = {"quality": {"blurred"}}
            # About so many blurred pictures, whatever the size that was wanted: it is a property of the world.
            return Mechanism("quality", visits.is_blurred.copy(), -1, keys, ("quality",))
        camera = self._camera(np.ones(visits.size, bool), reached)
        reach = visits.camera == camera
        visits.is_blurred[reach] = True
        keys = self._camera_keys(camera) | {"quality": {"blurred"}}
        return Mechanism("quality", reach, -1, keys, ("camera_id", "deployment_id", "quality"))

    def _labeller(self, reached: float) -> Mechanism:
        helper = self._forest.n_areas
        a = self._animal(self._visits.labeller == helper, reached)
        name = self._other()
        # The model gives a, the helper's label is the other name.
        keys: Keys = {"true_id": {name}, "predicted_id": {a}, "labelled_by": {helper}}
        reach = (self._visits.true == a) & (self._visits.labeller == helper)
        return Mechanism("labeller", reach, name, keys, ("true_id", "pair", "labelled_by"), true=name, is_alias=True)

    def _onset(self, reached: float) -> Mechanism:
        day = int(self._rng.integers(SEASON_DAYS // 3, 2 * SEASON_DAYS // 3))
        camera = self._camera(self._visits.day >= day, reached)
        name = self._other()
        reach = (self._visits.camera == camera) & (self._visits.day >= day)
        keys = self._camera_keys(camera) | _named(name)
        return Mechanism("onset", reach, name, keys, _AT_CAMERA, onset=day)

    def _camera_keys(self, camera: int) -> Keys:
        return {"camera_id": {camera}, "deployment_id": {(camera, part) for part in range(3)}}


_AT_CAMERA = ("camera_id", "deployment_id", "predicted_id")


def _named(name: int) -> Keys:
    return {"predicted_id": {name}}


def _nearest(counts: np.ndarray, wanted: float, taken: set[int]) -> int:
    """The free one whose count is nearest to the wanted one."""
    chosen = next(int(one) for one in np.argsort(np.abs(counts - wanted), kind="stable") if int(one) not in taken)
    taken.add(chosen)
    return chosen
