"""A world of the third maker, and what is true in it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import pyarrow as pa

from benchmarks.audit.forest.animals import (
    SEASON_DAYS,
    Bools,
    Floats,
    Forest,
    Ints,
    Visits,
    given_name,
    make_visits,
    true_name,
)
from benchmarks.audit.forest.errors import KINDS, LOOKS, Mechanism, Misnaming, misname
from benchmarks.audit.forest.frames import Frames, make_frames
from benchmarks.audit.forest.labels import Labelling, Regime, label
from benchmarks.audit.forest.tables import BATCH_DAYS, START, audit_tables, camera_name, deployment_name, labeller_name
from benchmarks.audit.worlds import Planted
from scd_core.audit.slices.data import PAIR

__all__ = ["ForestWorld", "make_forest", "true_lift"]

N_PLANTED = 6


@dataclass
class ForestWorld:
    """A world before and after people label it."""

    forest: Forest
    visits: Visits
    found: Misnaming
    frames: Frames
    labelling: Labelling
    tables: dict[str, pa.Table]
    planted: list[Planted]
    keys: dict[str, np.ndarray]  # (v,) value of each key for each visit, as slices spell it

    @property
    def error_rate(self) -> float:
        """Share of wrong names, each event counting once, by what people would say of every frame."""
        return float(self.event_errors[1].mean())

    @property
    def event_errors(self) -> tuple[Ints, Floats]:
        """Of each event its visit, and the share of its frames that is wrong by what people would say of them."""
        event = self.frames.event
        visit = self.frames.visit[np.searchsorted(event, np.arange(event[-1] + 1))]
        return visit, np.bincount(event, self.frames.is_wrong) / np.bincount(event)


def make_forest(
    seed: int | tuple[int, ...],
    regime: Regime,
    n_planted: int = N_PLANTED,
    forest: Forest | None = None,
    batch_days: int = BATCH_DAYS,
) -> ForestWorld:
    """Make one world.

    Args:
        seed: seed of everything in it.
        regime: what people label.
        n_planted: errors to plant, each of another kind; 0 is a world with ordinary noise alone.
        forest: sizes; None is the default.
        batch_days: days between two visits to the cameras, whose cards are one batch.
    """
    rng, forest = np.random.default_rng(seed), forest or Forest()
    visits = make_visits(rng, forest)
    kinds = tuple(rng.permutation(KINDS)[:n_planted].tolist())
    found = misname(rng, visits, forest, kinds)
    frames = make_frames(rng, visits, found, forest)
    labelling = label(rng, visits, frames, regime)
    tables = audit_tables(visits, found, frames, labelling, forest, regime, batch_days)
    planted = [as_planted(one, forest) for one in found.planted]
    return ForestWorld(forest, visits, found, frames, labelling, tables, planted, _keys(visits, forest))


def as_planted(one: Mechanism, forest: Forest) -> Planted:
    """A planted error in the words of slices."""
    spell = {
        "camera_id": camera_name,
        "deployment_id": lambda code: deployment_name(*code),
        "true_id": lambda code: true_name(code, forest),
        "predicted_id": lambda code: given_name(code, forest),
        "labelled_by": labeller_name,
    }
    keys = {key: {str(spell.get(key, str)(code)) for code in codes} for key, codes in one.keys.items()}
    if "predicted_id" in keys:
        animals = [true_name(a, forest) for a in range(forest.n_known + forest.n_strangers)]
        keys["pair"] = {f"{a}{PAIR}{b}" for a in keys.get("true_id", animals) for b in keys["predicted_id"]}
    if one.onset is not None:
        keys["week"] = {_week(day) for day in range(one.onset, SEASON_DAYS)}
    return Planted(one.kind, LOOKS[one.kind].causes, keys, one.naming)


def true_lift(world: ForestWorld, values: dict[str, str], of_called: bool = False) -> float:
    """How much more often a slice's visits err than all others, by their true probabilities.

    For a pair and for a name: how often visits that are not of it are called so; a name alone is compared with the average of
    the others. A slice that no visit belongs to has none (0).

    Args:
        world: the world.
        values: the slice.
        of_called: a slice with a name (not a pair) is about which of those called so are wrong, as a plain group-by takes it.
    """
    if of_called and "predicted_id" in values:
        return _lift_of_called(world, values)
    inside, name = slice_members(world, values), values.get("predicted_id")
    if "pair" in values:
        true, name = values["pair"].split(PAIR, 1)
        inside &= world.keys["true_id"] == true
    p = p_wrong(world, name)
    may_err = np.ones(inside.size, bool) if name is None else world.keys["right_id"] != name
    inside &= may_err
    outside = may_err & ~inside
    if not inside.any():
        return 0.0
    if set(values) == {"predicted_id"}:
        elsewhere = (p_wrong(world, None) - p).sum() / (world.forest.n_known * inside.sum())
    else:
        elsewhere = float(p[outside].mean()) if outside.any() else 0.0
    return float(p[inside].mean()) / max(elsewhere, 1e-12)


def _lift_of_called(world: ForestWorld, values: dict[str, str]) -> float:
    """Share of wrong among the visits of a slice that are called a name, over that of all other visits."""
    inside, p = slice_members(world, values), p_wrong(world, None)
    of_name = world.keys["right_id"] == values["predicted_id"]
    wrong = float((p_wrong(world, values["predicted_id"]) * (inside & ~of_name)).sum())
    called = wrong + float(((1 - p) * (inside & of_name)).sum())
    elsewhere = (p.sum() - wrong) / max(p.size - called, 1e-12)
    return wrong / max(called, 1e-12) / max(elsewhere, 1e-12)


def p_wrong(world: ForestWorld, name: str | None) -> Floats:
    """(v,) probability that each visit is given a wrong name, or this wrong name."""
    forest, found, true = world.forest, world.found, world.visits.true
    right = np.minimum(true, forest.n_known)
    names = [given_name(one, forest) for one in range(forest.n_known + 1)]
    code = None if name is None else names.index(name)
    share = np.ones(true.size) if code is None else found.likeness[true, code]
    p = found.p_noise * share
    for one in found.planted:
        if one.is_alias:
            continue
        gives = share if one.name < 0 else np.full(true.size, 1.0 if code in (None, one.name) else 0.0)
        rate = LOOKS[one.kind].rate * (one.reach & (right != one.name))
        p = (1 - rate) * p + rate * gives
    return p


def slice_members(world: ForestWorld, values: dict[str, str]) -> Bools:
    """(v,) visits that have the values of a slice's keys, names aside."""
    inside = np.ones(world.visits.size, bool)
    for key, value in values.items():
        if key in world.keys:
            inside &= world.keys[key] == value
    return inside


def _keys(visits: Visits, forest: Forest) -> dict[str, np.ndarray]:
    animals = range(forest.n_known + forest.n_strangers)
    weeks = np.array([_week(day) for day in range(SEASON_DAYS)], dtype=object)
    hour = visits.minute // 60
    daylight = np.where((hour >= 6) & (hour < 18), "day", "night")
    deployments = [deployment_name(c, part) for c in range(forest.n_cameras) for part in range(3)]
    return {
        "camera_id": np.array([camera_name(c) for c in range(forest.n_cameras)], dtype=object)[visits.camera],
        "deployment_id": np.array(deployments, dtype=object)[3 * visits.camera + visits.deployment],
        "true_id": np.array([true_name(a, forest) for a in animals], dtype=object)[visits.true],
        "right_id": np.array([given_name(a, forest) for a in animals], dtype=object)[visits.true],
        "light": np.where(visits.is_infrared, "infrared", daylight).astype(object),
        "hour": np.array([f"{one:02d}h" for one in range(24)], dtype=object)[hour],
        "quality": np.where(visits.is_blurred, "blurred", "good").astype(object),
        "flank": np.where(visits.is_left, "left", "right").astype(object),
        "labelled_by": np.array([labeller_name(p) for p in range(forest.n_areas + 1)], dtype=object)[visits.labeller],
        "week": weeks[visits.day],
    }


def _week(day: int) -> str:
    year, week, _ = (START + timedelta(days=day)).isocalendar()
    return f"{year}-W{week:02d}"
