"""What a synthetic world holds: individuals with their coats, cameras, and the systematic errors planted in it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

__all__ = [
    "CAUSES",
    "PRESETS",
    "Camera",
    "Coat",
    "Flank",
    "Individual",
    "Plant",
    "PlantKind",
    "World",
    "make_world",
    "preset_world",
]

Flank = Literal["left", "right"]
MarkKind = Literal["spots", "rosettes", "stripes", "dashes", "blotches"]
PropKind = Literal["feeding_station", "pole"]
PlantKind = Literal["object", "overlay", "near_twins", "flank", "labels", "quality"]

CAUSES: dict[str, str] = {
    "object": "background",
    "overlay": "overlay",
    "near_twins": "confusable_pair",
    "flank": "flank",
    "labels": "label_suspect",
    "quality": "image_quality",
}
"""Plant kind -> the cause by which the audit's ``errors`` table names it."""


@dataclass(frozen=True)
class Coat:
    """The marks of one flank, in body coordinates: the same on every picture of it."""

    kind: MarkKind
    density: float
    """Marks along one body length."""
    angle: float
    """Direction of stripes and dashes, degrees from vertical, positive leaning forward."""
    seed: int
    """Seed of the layout: which marks lie where."""
    altered: float = 0.0
    """Share of the marks that lie elsewhere than the layout says: what tells a near-twin from its twin, 0-1."""


@dataclass(frozen=True)
class Individual:
    """An animal: nothing but its marks tells it from the others."""

    individual_id: str
    left: Coat
    right: Coat

    def coat(self, flank: Flank) -> Coat:
        """Marks of a flank."""
        return self.left if flank == "left" else self.right


@dataclass(frozen=True)
class Camera:
    """A camera at its place: everything that is the same in all of its pictures."""

    camera_id: str
    seed: int
    """Seed of the background."""
    latitude: float
    longitude: float
    furniture: tuple[Literal["rock", "trunk"], ...] = ()
    prop: PropKind | None = None
    """Object that people put up and take away; a scene says whether it stands there."""
    prop_x: float = 0.8
    """Where the prop stands, share of the width."""
    has_alternate_strip: bool = False
    """The info strip comes in two styles (two firmwares); a scene says which."""
    make: str = "SynthCam"
    model: str = "ST-100"


@dataclass(frozen=True)
class Plant:
    """A systematic error planted in a world.

    ==========  ==================================================================================================
    kind        what it does
    ==========  ==================================================================================================
    object      training: the prop of ``camera_id`` stands there only when the label says ``individual_id``, who comes
                there more often than elsewhere; some others that come to the prop are called ``individual_id`` by
                habit; audit: it stands there for everyone, with probability ``rate``
    overlay     the same with the alternate style of the info strip of ``camera_id``
    near_twins  ``individual_id`` and ``other_id`` have the same marks, but for a share of ``1 - rate``
    flank       training: ``flank`` of ``individual_id`` is seen at ``camera_id`` only and seldom; audit: everywhere
    labels      ``individual_id`` at ``camera_id`` is labelled ``other_id``, with probability ``rate`` per event
    quality     audit: the lens of ``camera_id`` is fogged and out of focus, with probability ``rate`` per event
    ==========  ==================================================================================================
    """

    kind: PlantKind
    camera_id: str | None = None
    individual_id: str | None = None
    other_id: str | None = None
    flank: Flank | None = None
    rate: float = 0.9

    def __post_init__(self) -> None:
        for name in _PLANT_NEEDS[self.kind]:
            if getattr(self, name) is None:
                raise ValueError(f"plant {self.kind}: {name} is missing")
        if not 0.0 < self.rate <= 1.0:
            raise ValueError(f"plant {self.kind}: rate must be in (0, 1], got {self.rate}")

    @property
    def plant_id(self) -> str:
        """Name of the plant, unique in a world: kind and what it is planted on."""
        parts = (self.kind, self.camera_id, self.individual_id, self.other_id, self.flank)
        return ":".join(part for part in parts if part)

    @property
    def cause(self) -> str:
        """The cause by which the audit names it."""
        return CAUSES[self.kind]


_PLANT_NEEDS: dict[str, tuple[str, ...]] = {
    "object": ("camera_id", "individual_id"),
    "overlay": ("camera_id", "individual_id"),
    "near_twins": ("individual_id", "other_id"),
    "flank": ("camera_id", "individual_id", "flank"),
    "labels": ("camera_id", "individual_id", "other_id"),
    "quality": ("camera_id",),
}


@dataclass(frozen=True)
class World:
    """Individuals, cameras and what is planted; scenes of it are drawn with :func:`sample_specs`.

    Raises:
        ValueError: two individuals or cameras share a name, or a plant names one that is not there, a camera without
            a prop (``object``) or without a second strip (``overlay``).
    """

    seed: int
    individuals: tuple[Individual, ...]
    cameras: tuple[Camera, ...]
    plants: tuple[Plant, ...] = ()
    width: int = 320
    height: int = 240
    utc_offset_minutes: int = -180

    def __post_init__(self) -> None:
        names, sites = self.labels, tuple(camera.camera_id for camera in self.cameras)
        for what, ids in (("individual", names), ("camera", sites)):
            if not ids or len(set(ids)) < len(ids):
                raise ValueError(f"world: {what} names must be at least one and all different, got {ids}")
        if self.width < 64 or self.height < 48:
            raise ValueError(f"world: pictures must be at least 64 x 48 pixels, got {self.width} x {self.height}")
        for plant in self.plants:
            for name in (plant.individual_id, plant.other_id):
                if name is not None and name not in names:
                    raise ValueError(f"plant {plant.plant_id}: no individual {name!r} in this world")
            if plant.camera_id is None:
                continue
            if plant.camera_id not in sites:
                raise ValueError(f"plant {plant.plant_id}: no camera {plant.camera_id!r} in this world")
            camera = self.camera(plant.camera_id)
            if plant.kind == "object" and camera.prop is None:
                raise ValueError(f"plant {plant.plant_id}: camera {camera.camera_id} has no prop")
            if plant.kind == "overlay" and not camera.has_alternate_strip:
                raise ValueError(f"plant {plant.plant_id}: camera {camera.camera_id} has one strip style only")

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the individuals, in order."""
        return tuple(individual.individual_id for individual in self.individuals)

    def individual(self, individual_id: str) -> Individual:
        """The individual of that name.

        Raises:
            KeyError: there is none.
        """
        for individual in self.individuals:
            if individual.individual_id == individual_id:
                return individual
        raise KeyError(individual_id)

    def camera(self, camera_id: str) -> Camera:
        """The camera of that name.

        Raises:
            KeyError: there is none.
        """
        for camera in self.cameras:
            if camera.camera_id == camera_id:
                return camera
        raise KeyError(camera_id)

    def with_cameras(self, seed: int) -> World:
        """The same individuals and plants before other backgrounds: cameras keep name and prop, all else is new."""
        fresh = _cameras(np.random.default_rng([seed, 77]), len(self.cameras))
        cameras = tuple(
            replace(
                new,
                camera_id=old.camera_id,
                prop=old.prop,
                has_alternate_strip=old.has_alternate_strip,
                latitude=old.latitude,
                longitude=old.longitude,
            )
            for old, new in zip(self.cameras, fresh)
        )
        return replace(self, cameras=cameras)


_NAMES = (
    "Luna", "Nyx", "Tara", "Kiro", "Sana", "Bruno", "Orla", "Odin", "Maya", "Zuri", "Pilar", "Rocco", "Inti", "Yara",
    "Caio", "Dante", "Flor", "Gala", "Hugo", "Iris", "Jairo", "Kenai", "Lobo", "Mika",
)  # fmt: skip

# Ordered so that neighbours differ in kind: the first 2K styles are taken for the flanks of K individuals, and no two
# of them can be told apart by scale alone, which a picture does not show.
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
    choices: tuple[tuple[Literal["rock", "trunk"], ...], ...] = (
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
    """A world made from a seed, with what is asked for planted in it.

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


PRESETS = ("demo", "clean")
"""Names of the worlds that come with a trained classifier."""

_PRESET_SEED = 2026


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
                Plant("flank", camera_id="C02", individual_id="Tara", flank="left"),
                Plant("quality", camera_id="C06", rate=0.3),
                Plant("near_twins", individual_id="Orla", other_id="Odin", rate=0.8),
                Plant("labels", camera_id="C04", individual_id="Kiro", other_id="Sana", rate=0.6),
            ),
        )
    raise ValueError(f"scenes: no preset {name!r}; choose one of {', '.join(PRESETS)}")
