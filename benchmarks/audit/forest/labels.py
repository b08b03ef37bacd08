"""What people label of a world, and when: one labeller per camera area, each with a delay of their own, some never."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.audit.forest.animals import SEASON_DAYS, Bools, Floats, Visits
from benchmarks.audit.forest.frames import Frames

__all__ = ["REGIMES", "REPORT_DAY", "Labelling", "Regime", "label"]

REPORT_DAY = SEASON_DAYS + 14
"""When the report is made."""
NEVER = 0.04
"""Share of what somebody was to label that nobody ever does."""
DELAYS = (4.0, 8.0, 16.0, 32.0, 8.0)
"""Median days from picture to label of each labeller, the helper last; spread log-normal by .7."""


@dataclass(frozen=True)
class Regime:
    """Which frames are to be labelled."""

    flagged: float = 0.0  # share of the events with flagged frames, whose flagged frames are labelled
    controls: float = 0.0  # share of the frames that triage draws as controls, all of which are labelled
    events: float = 0.0  # share of all events, drawn at random, that are labelled whole
    is_late: bool = True  # labels come with delays, and some never

    @property
    def control_rate(self) -> float:
        """Share of the frames that triage draws as controls, labelled or not."""
        return self.controls or 0.05


REGIMES = {
    "flagged": Regime(flagged=1),
    "controls_1": Regime(flagged=1, controls=0.01),
    "controls_5": Regime(flagged=1, controls=0.05),
    "quarter": Regime(flagged=0.25, controls=0.05),
    "random_5": Regime(events=0.05),
    "random_20": Regime(events=0.20),
    "everything": Regime(events=1, is_late=False),
}
"""The rows of the table: flagged alone; with controls of 1 % and 5 %; with a quarter of the flagged; at random; everything."""


@dataclass
class Labelling:
    """Labels of a world; n frames."""

    is_control: Bools  # (n,)
    is_labelled: Bools  # (n,)
    day: Floats  # (n,) of the label, since the season began
    has_flank: Bools  # (n,) the person gave the flank


def label(rng: np.random.Generator, visits: Visits, frames: Frames, regime: Regime) -> Labelling:
    """Draw the controls and the labels that are there when the report is made."""
    n, n_events = frames.event.size, int(frames.event.max()) + 1
    is_control = rng.random(n) < regime.control_rate
    is_chosen = frames.has_reason & (rng.random(n_events) < regime.flagged)[frames.event]
    if regime.controls:
        is_chosen |= is_control
    is_chosen |= (rng.random(n_events) < regime.events)[frames.event]
    delay = np.array(DELAYS)[visits.labeller] * rng.lognormal(0, 0.7, visits.size)
    day = (visits.day + delay)[frames.visit]
    if regime.is_late:
        is_chosen &= (day <= REPORT_DAY) & (rng.random(n_events) >= NEVER)[frames.event]
    return Labelling(is_control, is_chosen, np.minimum(day, REPORT_DAY), (rng.random(n_events) < 0.8)[frames.event])
