"""Worlds of events with planted systematic errors among ordinary noise, written down as audit tables.

A world is made from the outside in, knowing nothing of the detector: individuals live near some cameras, an event is a burst
of one individual, each mechanism turns some events' names into wrong ones, and the masks, confidences and labels follow from
the mechanism with noise of their own. Labels come the way triage makes them come: from what it flags, and from a small
random control sample.
"""

from __future__ import annotations

from dataclasses import dataclass

import duckdb
import numpy as np
import pyarrow as pa

from benchmarks.audit.frames import SLIP, frame_tables
from benchmarks.audit.planting import N_CAMERAS, N_KNOWN, N_NEW, Planted, Planter, true_name
from scd_core.tables.schema import TABLES, empty_table

__all__ = ["World", "load_tables", "load_world", "make_world"]


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
    return load_tables(world.tables)


def load_tables(tables: dict[str, pa.Table]) -> duckdb.DuckDBPyConnection:
    """Audit tables as tables of an in-memory database."""
    connection = duckdb.connect(config={"python_enable_replacements": False})
    for name in TABLES:
        connection.register("rows", tables.get(name, empty_table(name)))
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
    planter = Planter(rng, events)
    for place, kind in enumerate(kinds):
        size = 40 * 7.5 ** (place / max(1, len(kinds) - 1))
        found = planter.plant(kind, size)
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
    tables = frame_tables(rng, events, named, labelled_as, kind_of)
    camera = np.array([f"C{one:02d}" for one in events["camera"]], dtype=object)
    described = {
        "camera_id": camera,
        "deployment_id": camera + np.where(events["deployment"] == 1, "-d1", "-d0").astype(object),
        "true_id": np.array([true_name(one) for one in events["true"].tolist()], dtype=object),
        "light": np.where(events["is_infrared"], "infrared", "day").astype(object),
        "hour": np.array([f"{hour:02d}h" for hour in events["hour"]], dtype=object),
        "p_wrong": p_wrong * (1 - SLIP),
    }
    return World(tables, planted, described)


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
