"""What a synthetic world holds: individuals with their coats, cameras, and the systematic errors planted in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from scd_core.names import Cause, Flank

__all__ = ["CAUSES", "Camera", "Coat", "FurnitureKind", "Individual", "MarkKind", "Plant", "PropKind", "World"]

FurnitureKind = Literal["rock", "trunk"]
MarkKind = Literal["spots", "rosettes", "stripes", "dashes", "blotches"]
PropKind = Literal["feeding_station", "pole"]
PlantKind = Literal["object", "overlay", "near_twins", "flank", "labels", "quality"]

CAUSES: dict[PlantKind, Cause] = {
    "object": Cause.BACKGROUND,
    "overlay": Cause.OVERLAY,
    "near_twins": Cause.CONFUSABLE_PAIR,
    "flank": Cause.FLANK,
    "labels": Cause.LABEL_SUSPECT,
    "quality": Cause.IMAGE_QUALITY,
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
    """Share of the marks that lie elsewhere than in the layout: the difference between a near-twin and its twin, 0-1."""


@dataclass(frozen=True)
class Individual:
    """An animal: it differs from the others in its marks alone."""

    individual_id: str
    left: Coat
    right: Coat

    def coat(self, flank: Flank) -> Coat:
        """Marks of a flank."""
        return self.left if flank == Flank.LEFT else self.right


@dataclass(frozen=True)
class Camera:
    """A camera at its place: everything that is the same in all of its pictures."""

    camera_id: str
    seed: int
    """Seed of the background."""
    latitude: float
    longitude: float
    furniture: tuple[FurnitureKind, ...] = ()
    prop: PropKind | None = None
    """Object that people put up and take away; a scene has it or not."""
    prop_x: float = 0.8
    """Where the prop stands, share of the width."""
    has_alternate_strip: bool = False
    """The info strip comes in two styles (two firmwares); a scene has one of them."""
    make: str = "SynthCam"
    model: str = "ST-100"


@dataclass(frozen=True)
class Plant:
    """A systematic error planted in a world.

    ==========  ==================================================================================================
    kind        what it does
    ==========  ==================================================================================================
    object      training: the prop of ``camera_id`` stands there only when the label is ``individual_id``, who comes
                there more often than elsewhere; some others that come to the prop are called ``individual_id`` by
                habit; audit: it stands there for everyone, with probability ``rate``
    overlay     the same with the alternate style of the info strip of ``camera_id``
    near_twins  ``individual_id`` and ``other_id`` have the same marks, but for a share of ``1 - rate``
    flank       training: ``flank`` of ``individual_id`` is seen at ``camera_id`` only and seldom; audit: everywhere
    labels      ``individual_id`` at ``camera_id`` is labelled ``other_id`` by one of two people, with probability ``rate``
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
    def cause(self) -> Cause:
        """The cause by which the audit names it."""
        return CAUSES[self.kind]

    @property
    def words(self) -> str:
        """What was planted, in words."""
        return {
            "object": f"at {self.camera_id}, who stands beside the object is called {self.individual_id}",
            "overlay": f"at {self.camera_id}, the other info strip makes everybody {self.individual_id}",
            "near_twins": f"{self.individual_id} and {self.other_id} have nearly the same marks",
            "flank": f"the {self.flank} flank of {self.individual_id} was hardly learned",
            "labels": f"at {self.camera_id}, one person labels {self.individual_id} as {self.other_id}",
            "quality": f"the lens of {self.camera_id} is fogged at times",
        }[self.kind]

    def is_named_by(self, keys: Mapping[str, str], confused_with: str | None) -> bool:
        """Whether a slice of the audit is about this error: nothing of it contradicts, and one key names it.

        Args:
            keys: key -> value of the slice.
            confused_with: name that most of its errors are given.
        """
        true, _, given = keys.get("pair", "").partition(" -> ")
        true, given = true or keys.get("true_id", ""), given or keys.get("predicted_id") or confused_with or ""
        camera = keys.get("camera_id") or keys.get("deployment_id", "").partition("_")[0]
        if camera and self.camera_id and self.kind != "flank" and camera != self.camera_id:
            return False
        if self.kind in ("object", "overlay"):
            return given == self.individual_id and (bool(camera) or "predicted_id" in keys or "pair" in keys)
        if self.kind == "near_twins":
            return {true, given} == {self.individual_id, self.other_id}
        if self.kind == "labels":
            return (true, given) == (self.other_id, self.individual_id)
        if self.kind == "flank":
            return true == self.individual_id and keys.get("flank", self.flank) == self.flank
        return bool(camera) or keys.get("quality") == "blurred"


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
        cameras = tuple(camera.camera_id for camera in self.cameras)
        for what, ids in (("individual", self.labels), ("camera", cameras)):
            if not ids or len(set(ids)) < len(ids):
                raise ValueError(f"world: {what} names must be at least one and all different, got {ids}")
        if self.width < 64 or self.height < 48:
            raise ValueError(f"world: pictures must be at least 64 x 48 pixels, got {self.width} x {self.height}")
        for plant in self.plants:
            self._check_plant(plant)

    def _check_plant(self, plant: Plant) -> None:
        for name in (plant.individual_id, plant.other_id):
            if name is not None and name not in self.labels:
                raise ValueError(f"plant {plant.plant_id}: no individual {name!r} in this world")
        if plant.camera_id is None:
            return
        try:
            camera = self.camera(plant.camera_id)
        except KeyError:
            raise ValueError(f"plant {plant.plant_id}: no camera {plant.camera_id!r} in this world") from None
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
