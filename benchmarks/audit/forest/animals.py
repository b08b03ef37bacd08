"""Who comes when to which camera: home ranges in space, Zipf activity, visits of one or more events."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scd_core.names import UNKNOWN

__all__ = ["SEASON_DAYS", "Forest", "Visits", "given_name", "make_visits", "true_name"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

SEASON_DAYS = 120


@dataclass(frozen=True)
class Forest:
    """Sizes and rates of the third maker's worlds."""

    n_cameras: int = 40  # at random places of a square of 10 by 10 km
    n_known: int = 120  # individuals that the model can name
    n_strangers: int = 8  # individuals that it cannot
    n_visits: int = 5000  # in a season
    zipf: float = 1.0  # the k-th most active individual comes 1 / k^zipf as often as the first
    home_km: float = 1.2  # median spread of a home range; varies by a half (log-normal)
    lure: float = 0.5  # log-normal spread of how many animals pass a camera
    more_events: float = 0.45  # probability that a visit goes on with another event, at most 6
    frames: int = 3  # most frames of an event; 1 to this, alike
    blurred: float = 0.05  # share of visits whose pictures are blurred for no lasting reason
    noise: float = 0.05  # share of visits misnamed for no systematic reason
    noise_spread: float = 0.35  # log-normal spread of that between cameras and between individuals
    stranger_noise: float = 3.0  # a stranger is named so many times as often as a known one is misnamed
    likeness: float = 0.3  # Dirichlet weight of each name among an individual's ordinary misnamings; small is uneven
    carries: float = 0.85  # probability that each event of a misnamed visit is misnamed
    slip: float = 0.1  # share of frames of a misnamed event that are right all the same
    # Misnamed visits that the smallest and the largest planted error is to have, in equal ratios between. So, of 5 % of the
    # events about a third of them can be found and of 20 % about four fifths, as the description has it.
    sizes: tuple[float, float] = (10.0, 50.0)
    n_areas: int = 4  # areas of cameras, one labeller each; the first area has a helper who does half of its visits


@dataclass
class Visits:
    """What every visit is like; v visits."""

    true: Ints  # who: 0..n_known-1 known, then strangers
    camera: Ints
    deployment: Ints  # 0..2, the camera's service rounds
    day: Ints  # of the season
    minute: Ints  # of the day
    is_infrared: Bools
    is_left: Bools  # flank that the camera sees
    is_blurred: Bools
    labeller: Ints  # 0..n_areas, the last one is the helper
    n_events: Ints

    @property
    def size(self) -> int:
        """Number of visits."""
        return self.true.size


def make_visits(rng: np.random.Generator, forest: Forest) -> Visits:
    """Draw the visits of a season, in the order of time."""
    n, n_animals = forest.n_visits, forest.n_known + forest.n_strangers
    cameras = rng.uniform(0, 10, (forest.n_cameras, 2))
    homes = rng.uniform(0, 10, (n_animals, 2))
    spread = forest.home_km * rng.lognormal(0, 0.5, n_animals)
    distance = ((homes[:, None] - cameras[None]) ** 2).sum(2)
    passing = np.exp(-distance / (2 * spread[:, None] ** 2)) * rng.lognormal(0, forest.lure, forest.n_cameras)
    passing = passing + 1e-9  # one whose range has no camera goes to the nearest
    passing /= passing.sum(1, keepdims=True)
    activity = (1.0 + rng.permutation(n_animals)) ** -forest.zipf
    true = rng.choice(n_animals, n, p=activity / activity.sum())
    camera = (rng.random(n)[:, None] > passing.cumsum(1)[true]).sum(1).clip(0, forest.n_cameras - 1)
    day = np.sort(rng.integers(0, SEASON_DAYS, n))
    hours = np.arange(24)
    active = 0.3 + np.exp(-((hours - 6) ** 2) / 8) + np.exp(-((hours - 20) ** 2) / 12)
    hour = rng.choice(24, n, p=active / active.sum())
    rounds = np.sort(rng.integers(20, 100, (forest.n_cameras, 2)), axis=1)
    centres = rng.uniform(2, 8, (forest.n_areas, 2))
    area = ((cameras[:, None] - centres[None]) ** 2).sum(2).argmin(1)[camera]
    is_helped = (area == 0) & (rng.random(n) < 0.5)
    return Visits(
        true=true,
        camera=camera,
        deployment=(day[:, None] >= rounds[camera]).sum(1),
        day=day,
        minute=60 * hour + rng.integers(0, 60, n),
        is_infrared=(hour < 6) | (hour >= 18),
        is_left=rng.random(n) < 0.5,
        is_blurred=rng.random(n) < forest.blurred,
        labeller=np.where(is_helped, forest.n_areas, area),
        n_events=np.minimum(rng.geometric(1 - forest.more_events, n), 6),
    )


def true_name(one: int, forest: Forest) -> str:
    """The name of an animal in labels."""
    return f"cat{one:03d}" if one < forest.n_known else f"stranger{one - forest.n_known}"


def given_name(one: int, forest: Forest) -> str:
    """The name of an animal in predictions; strangers are unknown."""
    return f"cat{one:03d}" if one < forest.n_known else UNKNOWN
