"""The frames of a world of the third maker: named one by one, flagged as triage flags, and what masks and second looks show."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.audit.forest.animals import Bools, Floats, Forest, Ints, Visits
from benchmarks.audit.forest.errors import LOOKS, Misnaming
from scd_core.config import TriageConfig

__all__ = ["Frames", "make_frames"]

_SPREAD = np.array([0.14, 0.6, 0.04, 0.4])
_TRIAGE = TriageConfig()


@dataclass
class Frames:
    """One entry per frame; n frames, e events, v visits."""

    visit: Ints  # (n,)
    event: Ints  # (n,) 0..e-1
    second: Ints  # (n,) seconds since the season began
    name: Ints  # (n,) given; n_known is unknown
    event_name: Ints  # (n,) that all frames of the event give together
    is_wrong: Bools  # (n,) by what a person says it is
    probability: Floats
    runner_up: Ints
    runner_up_probability: Floats
    is_low: Bools  # reasons of triage, for which a frame is flagged
    is_close: Bools
    is_unknown: Bools
    is_apart: Bools  # the event has another name
    masks: Floats  # (n, 4)
    final: Ints  # (n,) name after the second look
    sharpness: Floats
    brightness: Floats

    @property
    def has_reason(self) -> Bools:
        """Whether triage flags the frame for a reason."""
        return self.is_low | self.is_close | self.is_unknown | self.is_apart


def make_frames(rng: np.random.Generator, visits: Visits, found: Misnaming, forest: Forest) -> Frames:
    """Draw the events and frames of the visits."""
    visit_of_event = np.repeat(np.arange(visits.size), visits.n_events)
    n_events = visit_of_event.size
    kinds = np.array([*(one.kind for one in found.planted), "noise"], dtype=object)[found.mechanism]
    right = np.minimum(visits.true, forest.n_known)
    is_named_wrong = found.named != right
    is_off = is_named_wrong[visit_of_event] & (rng.random(n_events) < forest.carries)
    event_name = np.where(is_off, found.named[visit_of_event], right[visit_of_event])
    n_frames = rng.integers(1, forest.frames + 1, n_events)
    event = np.repeat(np.arange(n_events), n_frames)
    visit, n = visit_of_event[event], event.size
    slips = is_off[event] & (rng.random(n) < forest.slip)
    name = np.where(slips, right[visit], event_name[event])
    is_misread = name != right[visit]
    look = np.where(is_misread, kinds[visit], "right").astype(object)
    # Some places and some animals are harder, so right names are flagged more often there.
    hard = (
        rng.normal(0, 0.4, forest.n_cameras)[visits.camera]
        + rng.normal(0, 0.4, forest.n_known + forest.n_strangers)[visits.true]
    )
    probability = rng.beta(8, 1.4 * np.exp(0.5 * hard)[visit])
    masks = np.tile([0.24, 0.3, 0.04, 0.1], (n, 1))
    recovers, near_miss = np.zeros(n), np.zeros(n)
    for kind in np.unique(look[is_misread]).tolist():
        here, of = look == kind, LOOKS[kind]
        probability[here] = rng.beta(*of.sure, int(here.sum()))
        masks[here], recovers[here], near_miss[here] = of.masks, of.recovered, of.near_miss
    masks = np.abs(masks + rng.normal(size=(n, 4)) * _SPREAD)
    masks[:, (0, 2)] = masks[:, (0, 2)].clip(0, 1)
    is_near = (rng.random(n) < near_miss) & (right[visit] < forest.n_known)
    runner_up = np.where(is_near, right[visit], rng.integers(0, forest.n_known, n))
    runner_up = np.where(runner_up == name, (name + 1) % forest.n_known, runner_up)
    runner_up_probability = (1 - probability) * np.where(is_near, rng.uniform(0.6, 1, n), rng.uniform(0.1, 0.8, n))
    return Frames(
        visit=visit,
        event=event,
        second=_seconds(rng, visits, visit_of_event, n_frames),
        name=name,
        event_name=event_name[event],
        is_wrong=name != np.minimum(found.labelled_as, forest.n_known)[visit],
        probability=probability,
        runner_up=runner_up,
        runner_up_probability=runner_up_probability,
        is_low=probability < _TRIAGE.min_probability,
        is_close=probability - runner_up_probability < _TRIAGE.min_margin,
        is_unknown=name == forest.n_known,
        is_apart=name != event_name[event],
        masks=masks,
        final=np.where(is_misread & (rng.random(n) < recovers), right[visit], name),
        sharpness=rng.uniform(60, 400, forest.n_cameras)[visits.camera][visit]
        * np.where(visits.is_blurred[visit], 0.2, 1)
        * rng.lognormal(0, 0.25, n),
        brightness=np.clip(0.4 * rng.lognormal(0, 0.15, n), 0, 1),
    )


def _seconds(rng: np.random.Generator, visits: Visits, visit_of_event: Ints, n_frames: Ints) -> Ints:
    """When each frame was taken: events of a visit 2 to 9 minutes apart, frames 2 seconds."""
    gap = rng.integers(120, 540, visit_of_event.size)
    first = np.cumsum(visits.n_events) - visits.n_events
    gap[first] = 0
    total = np.cumsum(gap)
    start = 86400 * visits.day + 60 * visits.minute
    of_event = start[visit_of_event] + total - total[first][visit_of_event]
    number = np.arange(n_frames.sum()) - np.repeat(np.cumsum(n_frames) - n_frames, n_frames)
    return np.repeat(of_event, n_frames) + 2 * number
