"""Drawing the events of a world: who comes where, when, in which light, and what planted error that falls under."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Literal

import numpy as np

from scd_core.names import Flank
from scd_core.scenes.body import Pose
from scd_core.scenes.scene import SLIPPING_LABELLER, Conditions, SceneSpec, labeller
from scd_core.scenes.world import Camera, Individual, Plant, World

__all__ = ["Split", "sample_specs"]

Split = Literal["train", "audit"]

_START = {"train": datetime(2024, 3, 1), "audit": datetime(2025, 3, 1)}
_SLOT = timedelta(minutes=47)
"""Events start one slot apart at least in the mean; with a burst's length this keeps them apart by over a minute."""
_DEPLOYMENT = timedelta(days=30)
_VISITS = 0.6
"""In training, how often an individual with a planted prop or strip comes to that camera rather than to any."""
_HABIT = 0.3
"""In training, how often the prop or strip is there for another one at that camera, whom habit then calls by the name
that goes with it. Without such labels a network learns the marks as well as the prop, and the marks win."""
_RARE_FLANK = 0.03
"""In training, how often the flank that is seen in one place only is seen there."""


def sample_specs(world: World, split: Split = "audit", n_events: int = 100, seed: int = 0) -> list[SceneSpec]:
    """Draw the frames of ``n_events`` bursts.

    Event k depends on the world, split, seed and k only: the first events of a longer sample are those of a shorter.

    Args:
        world: who lives where, and what is planted.
        split: ``train`` is what a classifier learns from, ``audit`` what it then sees (see :class:`Plant`).
        n_events: bursts to draw, each of 1 to 5 frames some seconds apart.
        seed: another seed gives other events of the same world.

    Returns:
        Specs in order of time.

    Raises:
        ValueError: the split is unknown or ``n_events`` negative.
    """
    if split not in _START:
        raise ValueError(f"scenes: no split {split!r}; choose train or audit")
    if n_events < 0:
        raise ValueError(f"scenes: n_events must be 0 or more, got {n_events}")
    return [spec for index in range(n_events) for spec in _event(world, split, seed, index)]


def _event(world: World, split: Split, seed: int, index: int) -> Iterator[SceneSpec]:
    rng = np.random.default_rng([world.seed, seed, 0 if split == "train" else 1, index])
    individual = world.individuals[int(rng.integers(len(world.individuals)))]
    camera, flank = _place(world, split, individual, rng)
    begin = _START[split] + index * _SLOT + timedelta(seconds=int(rng.integers(0, 40 * 60)))
    deployment = _START[split] + _DEPLOYMENT * ((begin - _START[split]) // _DEPLOYMENT)
    has_prop, has_alternate = (
        _switch(world, "object", split, individual, camera, rng),
        _switch(world, "overlay", split, individual, camera, rng),
    )
    draw_plant = rng.random(len(world.plants))
    conditions = _conditions(rng, begin)
    pose = _pose(rng)
    plant, labelled_as = None, individual.individual_id
    for candidate, chance in zip(world.plants, draw_plant):
        shows = {"object": has_prop, "overlay": has_alternate}.get(candidate.kind, False)
        if (
            split == "train"
            and shows
            and candidate.camera_id == camera.camera_id
            and candidate.individual_id is not None
        ):
            labelled_as = candidate.individual_id
        falls = _falls_under(candidate, split, individual, camera, flank, has_prop, has_alternate)
        if candidate.kind in ("labels", "quality"):
            falls = falls and bool(chance < candidate.rate)
        if candidate.kind == "labels":
            falls = falls and labeller(begin) == SLIPPING_LABELLER
        if not falls:
            continue
        plant = plant or candidate
        if candidate.kind == "labels" and candidate.other_id is not None:
            labelled_as = candidate.other_id
        if candidate.kind == "quality":
            conditions = replace(conditions, defocus_px=3.2, fog=max(conditions.fog, 0.35))
    first = SceneSpec(
        individual_id=individual.individual_id,
        camera_id=camera.camera_id,
        deployment_id=f"{camera.camera_id}_{deployment:%Y%m%d}",
        event_id=f"{camera.camera_id}_{begin:%Y%m%dT%H%M%S}",
        frame=0,
        captured_at=begin,
        flank=flank,
        pose=pose,
        conditions=conditions,
        has_prop=has_prop,
        has_alternate_strip=has_alternate,
        temperature_c=int(np.clip(rng.normal(22 + 7 * np.sin((begin.hour - 9) / 24 * 2 * np.pi), 3), -5, 45)),
        coat_tone=float(rng.uniform(-1, 1)),
        labelled_as=labelled_as,
        plant=plant,
    )
    yield from _burst(first, rng)


def _place(world: World, split: Split, individual: Individual, rng: np.random.Generator) -> tuple[Camera, Flank]:
    """Where the individual comes and which flank it shows."""
    camera = world.cameras[int(rng.integers(len(world.cameras)))]
    flank = Flank.LEFT if rng.random() < 0.5 else Flank.RIGHT
    visits, rare = rng.random(), rng.random()
    if split == "audit":
        return camera, flank
    for plant in world.plants:
        if plant.individual_id != individual.individual_id or plant.camera_id is None:
            continue
        if plant.kind in ("object", "overlay") and visits < _VISITS:
            camera = world.camera(plant.camera_id)
        if plant.kind == "flank" and plant.flank is not None:
            if rare < _RARE_FLANK:
                camera, flank = world.camera(plant.camera_id), plant.flank
            else:
                flank = Flank.LEFT if plant.flank == Flank.RIGHT else Flank.RIGHT
    return camera, flank


def _switch(
    world: World, kind: str, split: Split, individual: Individual, camera: Camera, rng: np.random.Generator
) -> bool:
    """Whether the prop stands there, or the strip has its alternate style."""
    chance = rng.random()
    if not (camera.prop is not None if kind == "object" else camera.has_alternate_strip):
        return False
    for plant in world.plants:
        if plant.kind == kind and plant.camera_id == camera.camera_id:
            if split == "audit":
                return bool(chance < plant.rate)
            return individual.individual_id == plant.individual_id or bool(chance < _HABIT)
    return bool(chance < 0.5)


def _falls_under(
    plant: Plant,
    split: Split,
    individual: Individual,
    camera: Camera,
    flank: Flank,
    has_prop: bool,
    has_alternate: bool,
) -> bool:
    """Whether the planted error can show in such a scene."""
    if split == "train":
        return False
    at_camera, is_it = plant.camera_id == camera.camera_id, plant.individual_id == individual.individual_id
    if plant.kind == "object":
        return at_camera and has_prop and not is_it
    if plant.kind == "overlay":
        return at_camera and has_alternate and not is_it
    if plant.kind == "near_twins":
        return is_it or plant.other_id == individual.individual_id
    if plant.kind == "flank":
        return is_it and flank == plant.flank and not at_camera
    if plant.kind == "labels":
        return is_it and at_camera
    return at_camera


def _conditions(rng: np.random.Generator, begin: datetime) -> Conditions:
    hour = begin.hour + begin.minute / 60
    is_night = hour < 6.25 or hour >= 18.5
    fog, blur, hidden = rng.random() < 0.14, rng.random() < 0.15, rng.random() < 0.15
    depth, length, layer, gain = rng.uniform(0.2, 0.55), rng.integers(3, 8), rng.integers(4), rng.uniform()
    low_sun = 0.75 + 0.25 * np.sin(np.clip((hour - 6) / 12.5, 0, 1) * np.pi)
    return Conditions(
        light="infrared" if is_night else "day",
        brightness=float((0.85 + 0.3 * gain) * (1.0 if is_night else low_sun)),
        fog=float(depth) if fog else 0.0,
        motion_blur_px=int(length) if blur else 0,
        twigs=int(layer) if hidden else None,
        noise=0.03 if is_night else 0.012,
    )


def _pose(rng: np.random.Generator) -> Pose:
    length = rng.uniform(0.21, 0.44)
    return Pose(
        x=float(rng.uniform(0.30, 0.70)),
        # The nearer the animal, the larger it is and the lower it stands.
        y=float(0.67 + 0.55 * (length - 0.21) + rng.uniform(-0.03, 0.06)),
        length=float(length),
        foreshortening=float(rng.uniform(0.80, 1.0)),
        pitch=float(rng.normal(0, 3.0)),
        gait=float(rng.uniform()),
        head=float(np.clip(rng.beta(1.2, 2.2) + 0.05, 0, 1)),
        tail=float(rng.uniform(-1, 1)),
    )


def _burst(first: SceneSpec, rng: np.random.Generator) -> Iterator[SceneSpec]:
    """1 to 5 frames some seconds apart, in which the animal walks on."""
    count = int(rng.choice(5, p=(0.30, 0.25, 0.22, 0.13, 0.10))) + 1
    forwards = 1.0 if first.flank == Flank.RIGHT else -1.0
    when, pose = first.captured_at, first.pose
    for frame in range(count):
        yield replace(first, frame=frame, captured_at=when, pose=pose, seed=int(rng.integers(0, 2**31)))
        when += timedelta(seconds=int(rng.integers(1, 6)))
        stride = float(rng.uniform(0.0, 0.09)) * forwards
        pose = replace(
            pose,
            x=float(np.clip(pose.x + stride, 0.26, 0.74)),
            gait=float((pose.gait + rng.uniform(0.1, 0.4)) % 1.0),
            head=float(np.clip(pose.head + rng.normal(0, 0.12), 0, 1)),
            tail=float(np.clip(pose.tail + rng.normal(0, 0.3), -1, 1)),
        )
