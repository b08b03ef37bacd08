"""Worlds made from a seed, and the two presets that come with a trained classifier."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from scd_core.names import Flank
from scd_core.scenes.world import Camera, Coat, FurnitureKind, Individual, MarkKind, Plant, PropKind, World

__all__ = ["PRESETS", "make_world", "preset_world", "with_new_cameras"]

PRESETS = ("demo", "clean")
"""Names of the worlds that come with a trained classifier."""

_PRESET_SEED = 2026

_NAMES = (
    "Luna", "Nyx", "Tara", "Kiro", "Sana", "Bruno", "Orla", "Odin", "Maya", "Zuri", "Pilar", "Rocco", "Inti", "Yara",
    "Caio", "Dante", "Flor", "Gala", "Hugo", "Iris", "Jairo", "Kenai", "Lobo", "Mika",
)  # fmt: skip

# Ordered so that neighbours differ in kind: the first 2K styles are taken for the flanks of K individuals, and no two
# of them differ in scale alone, which a picture does not show.
_STYLES: tuple[tuple[MarkKind, float, float], ...] = (
    ("rosettes", 5.0, 0.0), ("spots", 10.0, 0.0),
    ("stripes", 8.0, 0.0), ("stripes", 5.0, 38.0),
    ("dashes", 7.0, 45.0), ("blotches", 4.5, 0.0),
    ("spots", 5.5, 0.0), ("dashes", 7.0, 0.0),
    ("stripes", 6.0, 90.0), ("rosettes", 7.5, 0.0),
    ("blotches", 7.0, 0.0), ("stripes", 7.0, -38.0),
    ("dashes", 7.0, -45.0), ("stripes", 12.0, 0.0),
    ("stripes", 9.0, 62.0), ("dashes", 9.0, 90.0),
    ("spots", 7.5, 0.0), ("stripes", 9.0, -62.0),
    ("dashes", 5.0, 22.0), ("rosettes", 4.0, 0.0),
)  # fmt: skip


def make_world(
    seed: int,
    *,
    n_individuals: int = 8,
    n_cameras: int = 6,
    plants: tuple[Plant, ...] = (),
    props: dict[str, PropKind] | None = None,
    alternate_strips: tuple[str, ...] = (),
    width: int = 320,
    height: int = 240,
) -> World:
    """A world made from a seed, with the given errors planted in it.

    Args:
        seed: decides the coats and the backgrounds.
        n_individuals: animals, named Luna, Nyx, Tara, ...
        n_cameras: cameras, named C01, C02, ...
        plants: systematic errors; their cameras get the prop or the second strip that they need, their twins the coat.
        props: camera -> an object that stands there now and then, whoever comes.
        alternate_strips: cameras whose info strip comes in two styles, whoever comes.
        width: picture width, pixels.
        height: picture height, pixels.

    Raises:
        ValueError: see :class:`World`.
    """
    rng = np.random.default_rng([seed, 11])
    individuals = {animal.individual_id: animal for animal in _individuals(rng, n_individuals)}
    cameras = {camera.camera_id: camera for camera in _cameras(np.random.default_rng([seed, 77]), n_cameras)}
    props = dict(props or {})
    strips = set(alternate_strips)
    for plant in plants:
        if plant.kind == "object" and plant.camera_id is not None:
            props.setdefault(plant.camera_id, "feeding_station")
        if plant.kind == "overlay" and plant.camera_id is not None:
            strips.add(plant.camera_id)
        if plant.kind == "near_twins" and plant.individual_id in individuals and plant.other_id in individuals:
            model, twin = individuals[plant.individual_id], individuals[plant.other_id]
            altered = 1.0 - plant.rate
            individuals[plant.other_id] = replace(
                twin, left=replace(model.left, altered=altered), right=replace(model.right, altered=altered)
            )
    return World(
        seed=seed,
        individuals=tuple(individuals.values()),
        cameras=tuple(
            replace(camera, prop=props.get(name), has_alternate_strip=name in strips)
            for name, camera in cameras.items()
        ),
        plants=plants,
        width=width,
        height=height,
    )


def preset_world(name: str) -> World:
    """A world that comes with a trained classifier.

    ``demo`` has six errors planted in it, one of each kind; ``clean`` has the same cameras, props and strips, but
    nothing goes with anything.

    Raises:
        ValueError: there is no such preset.
    """
    if name == "clean":
        return make_world(_PRESET_SEED, props={"C03": "feeding_station"}, alternate_strips=("C05",))
    if name == "demo":
        return make_world(
            _PRESET_SEED,
            plants=(
                Plant("object", camera_id="C03", individual_id="Luna"),
                Plant("overlay", camera_id="C05", individual_id="Nyx"),
                Plant("flank", camera_id="C02", individual_id="Tara", flank=Flank.LEFT),
                Plant("quality", camera_id="C06", rate=0.3),
                Plant("near_twins", individual_id="Orla", other_id="Odin", rate=0.8),
                Plant("labels", camera_id="C04", individual_id="Kiro", other_id="Sana", rate=0.6),
            ),
        )
    raise ValueError(f"scenes: no preset {name!r}; choose one of {', '.join(PRESETS)}")


def with_new_cameras(world: World, seed: int) -> World:
    """The same individuals and plants before other backgrounds: cameras keep name, place and prop, all else is new."""
    fresh = _cameras(np.random.default_rng([seed, 77]), len(world.cameras))
    cameras = tuple(
        replace(
            new,
            camera_id=old.camera_id,
            prop=old.prop,
            has_alternate_strip=old.has_alternate_strip,
            latitude=old.latitude,
            longitude=old.longitude,
        )
        for old, new in zip(world.cameras, fresh)
    )
    return replace(world, cameras=cameras)


def _individuals(rng: np.random.Generator, count: int) -> tuple[Individual, ...]:
    seeds = rng.integers(0, 2**31, size=(count, 2))
    order = np.concatenate([rng.permutation(count), np.arange(count)])[:count]
    individuals = []
    for index in range(count):
        name = _NAMES[index] if index < len(_NAMES) else f"Ind{index + 1:03d}"
        # The permutation gives each seed other coats; beyond ten individuals styles repeat and the layout decides.
        pair = 2 * (int(order[index]) % (len(_STYLES) // 2))
        coats = [
            Coat(kind, density * (1.0 + 0.07 * float(rng.uniform(-1, 1))), angle, int(seeds[index, flank]))
            for flank, (kind, density, angle) in enumerate(_STYLES[pair : pair + 2])
        ]
        if rng.random() < 0.5:
            coats.reverse()
        individuals.append(Individual(name, left=coats[0], right=coats[1]))
    return tuple(individuals)


def _cameras(rng: np.random.Generator, count: int) -> tuple[Camera, ...]:
    choices: tuple[tuple[FurnitureKind, ...], ...] = (
        ("rock",),
        ("trunk",),
        ("rock", "trunk"),
        ("trunk", "trunk"),
        ("rock", "rock"),
    )
    makers = (("SynthCam", "ST-100"), ("Umbra", "U7 Pro"), ("Tapir Optics", "TO-24"))
    cameras = []
    for index in range(count):
        make, model = makers[int(rng.integers(len(makers)))]
        cameras.append(
            Camera(
                camera_id=f"C{index + 1:02d}",
                seed=int(rng.integers(0, 2**31)),
                latitude=round(-16.5 + float(rng.uniform(-0.2, 0.2)), 5),
                longitude=round(-56.4 + float(rng.uniform(-0.2, 0.2)), 5),
                furniture=choices[int(rng.integers(len(choices)))],
                prop_x=float(rng.choice([rng.uniform(0.14, 0.24), rng.uniform(0.76, 0.86)])),
                make=make,
                model=model,
            )
        )
    return tuple(cameras)
