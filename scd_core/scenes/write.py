"""Writing scenes and their truth to any storage: images in ``images/``, everything that is known of them beside it."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

import numpy as np
from PIL import Image

from scd_core.errors import InputError, RunError
from scd_core.scenes.make import preset_world
from scd_core.scenes.render import render
from scd_core.scenes.sample import Split, sample_specs
from scd_core.scenes.scene import Scene, SceneSpec, labeller
from scd_core.scenes.world import World
from scd_core.storage import Storage, open_source

__all__ = ["ScenesSummary", "write_scenes"]

_QUALITY = 92
_CHUNK = 64
_MAKE, _MODEL, _EXIF_IFD, _TAKEN, _OFFSET = 0x010F, 0x0110, 0x8769, 0x9003, 0x9011


@dataclass(frozen=True)
class ScenesSummary:
    """What was written."""

    url: str
    source: str
    """Folder that holds the images and nothing else: the SOURCE of an audit."""
    labels: str
    detections: str
    n_images: int
    n_events: int
    n_wrong_labels: int
    """Images that ``labels.csv`` calls by another name than their own."""
    n_planted: dict[str, int]
    """Plant -> images that fall under it."""


def write_scenes(
    url: str,
    *,
    world: World | str = "demo",
    n_events: int = 100,
    seed: int = 0,
    split: Split = "audit",
) -> ScenesSummary:
    """Draw scenes of a world and write them with their truth.

    Below ``url``::

        images/CAMERA/DEPLOYMENT/IMG_0001.JPG   JPEG with EXIF time, offset, make and model
        labels.csv                              file, individual_id, labelled_by, labelled_at
        detections.json                         MegaDetector 1.4: one box of the animal, jittered, per image
        deployments.csv                         Camtrap DP columns: deploymentID, cameraID, latitude, longitude, ...
        truth/truth.csv                         individual, flank, conditions, event, planted error and cause per image
        truth/animal/..., truth/marks/...       masks of the visible animal and of its marks, PNG, 255 = yes
        truth/world.json                        the world

    ``file`` is everywhere relative to ``images/``. The tables are written last, so an interrupted write has none.

    Args:
        url: fsspec URL or path of a folder.
        world: a world, or the name of a preset.
        n_events: bursts to write, each of 1 to 5 images.
        seed: another seed gives other events of the same world.
        split: ``train`` or ``audit``.

    Raises:
        InputError: the preset or split does not exist, ``n_events`` is below 1, or there are scenes at ``url`` already.
        RunError: the storage cannot be written.
    """
    if n_events < 1:
        raise InputError(f"scenes: n_events must be at least 1, got {n_events}")
    try:
        world = preset_world(world) if isinstance(world, str) else world
        specs = sample_specs(world, split, n_events, seed)
    except ValueError as error:
        raise InputError(str(error)) from error
    storage = open_source(url)
    try:
        if next(iter(storage.entries("images")), None) is not None:
            raise InputError(f"scenes {storage.url}: holds images already; choose another folder")
        truth = _write_images(storage, world, specs)
        _write_tables(storage, world, specs, truth, seed)
    except OSError as error:
        raise RunError(f"scenes {storage.url}: cannot be written ({error})") from error
    return ScenesSummary(
        url=storage.url,
        source=f"{storage.url}/images",
        labels=f"{storage.url}/labels.csv",
        detections=f"{storage.url}/detections.json",
        n_images=len(specs),
        n_events=len({spec.event_id for spec in specs}),
        n_wrong_labels=sum(spec.labelled_as != spec.individual_id for spec in specs),
        n_planted=dict(sorted(Counter(spec.plant.plant_id for spec in specs if spec.plant).items())),
    )


def _names(specs: Sequence[SceneSpec]) -> list[str]:
    """Path of each image: frames are numbered within their deployment, as a camera does."""
    count: dict[str, int] = defaultdict(int)
    names = []
    for spec in specs:
        count[spec.deployment_id] += 1
        names.append(f"{spec.camera_id}/{spec.deployment_id}/IMG_{count[spec.deployment_id]:04d}.JPG")
    return names


def _write_images(storage: Storage, world: World, specs: Sequence[SceneSpec]) -> list[dict[str, Any]]:
    """Write pictures and masks; return a row of truth for each."""
    rows: list[dict[str, Any]] = []

    def files() -> Iterator[tuple[str, bytes]]:
        for name, spec in zip(_names(specs), specs):
            scene = render(world, spec)
            rows.append(_truth_row(name, scene))
            stem = name.removesuffix(".JPG")
            yield f"images/{name}", _jpeg(world, scene)
            yield f"truth/animal/{stem}.png", _png(scene.animal_mask)
            yield f"truth/marks/{stem}.png", _png(scene.mark_mask)

    # Rendering is ours, waiting is the storage's: a chunk is written by threads, so that memory stays bounded.
    source = files()
    with ThreadPoolExecutor(8) as pool:
        while chunk := list(islice(source, _CHUNK)):
            list(pool.map(lambda item: _create(storage, *item), chunk))
    return rows


def _create(storage: Storage, relative: str, data: bytes) -> None:
    path = storage.path(relative)
    # Scenes can be drawn again, so they need not wait for the disk as the audit's tables do.
    if not storage.create(path, data, durable=False):
        raise FileExistsError(f"{relative} is there already")


def _jpeg(world: World, scene: Scene) -> bytes:
    camera, spec = world.camera(scene.spec.camera_id), scene.spec
    exif = Image.Exif()
    exif[_MAKE], exif[_MODEL] = camera.make, camera.model
    details = exif.get_ifd(_EXIF_IFD)
    details[_TAKEN] = f"{spec.captured_at:%Y:%m:%d %H:%M:%S}"
    details[_OFFSET] = _offset_text(world.utc_offset_minutes)
    buffer = io.BytesIO()
    Image.fromarray(scene.image).save(buffer, "JPEG", quality=_QUALITY, exif=exif)
    return buffer.getvalue()


def _png(mask: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(mask).save(buffer, "PNG")
    return buffer.getvalue()


def _truth_row(name: str, scene: Scene) -> dict[str, Any]:
    spec, conditions, box = scene.spec, scene.spec.conditions, scene.bbox
    return {
        "file": name,
        "individual_id": spec.individual_id,
        "labelled_as": spec.labelled_as,
        "camera_id": spec.camera_id,
        "deployment_id": spec.deployment_id,
        "event_id": spec.event_id,
        "frame": spec.frame,
        "captured_at": spec.captured_at.isoformat(),
        "flank": spec.flank,
        "light": conditions.light,
        "fog": round(conditions.fog, 4),
        "motion_blur_px": conditions.motion_blur_px,
        "defocus_px": conditions.defocus_px,
        "has_twigs": conditions.twigs is not None,
        "has_prop": spec.has_prop,
        "has_alternate_strip": spec.has_alternate_strip,
        "bbox_x_min": round(box[0], 5) if box else None,
        "bbox_y_min": round(box[1], 5) if box else None,
        "bbox_width": round(box[2], 5) if box else None,
        "bbox_height": round(box[3], 5) if box else None,
        "animal_pixels": int(scene.animal_mask.sum()),
        "mark_pixels": int(scene.mark_mask.sum()),
        "plant_id": spec.plant.plant_id if spec.plant else None,
        "plant_kind": spec.plant.kind if spec.plant else None,
        "planted_cause": scene.cause,
    }


def _write_tables(
    storage: Storage, world: World, specs: Sequence[SceneSpec], truth: Sequence[dict[str, Any]], seed: int
) -> None:
    labels = (
        {
            "file": row["file"],
            "individual_id": spec.labelled_as,
            "labelled_by": labeller(spec.captured_at),
            "labelled_at": _utc(world, spec.captured_at + timedelta(days=40)),
        }
        for row, spec in zip(truth, specs)
        if spec.labelled_as is not None
    )
    description = json.dumps(asdict(world), indent=1) + "\n"
    tables = {
        "truth/world.json": description.encode(),
        "truth/truth.csv": _csv(truth),
        "deployments.csv": _csv(_deployments(world, specs)),
        "detections.json": _detections(truth, seed),
        "labels.csv": _csv(labels),
    }
    for name, data in tables.items():
        _create(storage, name, data)


def _csv(rows: Iterable[dict[str, Any]]) -> bytes:
    rows = list(rows)
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def _offset_text(minutes: int) -> str:
    """+HH:MM, as EXIF and ISO 8601 write it."""
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"


def _utc(world: World, local: datetime) -> str:
    return (local - timedelta(minutes=world.utc_offset_minutes)).replace(tzinfo=UTC).isoformat().replace("+00:00", "Z")


def _deployments(world: World, specs: Sequence[SceneSpec]) -> list[dict[str, Any]]:
    """One row a deployment, from an hour before its first picture to an hour after its last."""
    zone = _offset_text(world.utc_offset_minutes)
    spans: dict[tuple[str, str], list[datetime]] = defaultdict(list)
    for spec in specs:
        spans[spec.deployment_id, spec.camera_id].append(spec.captured_at)
    hour = timedelta(hours=1)
    return [
        {
            "deploymentID": deployment_id,
            "cameraID": camera_id,
            "latitude": world.camera(camera_id).latitude,
            "longitude": world.camera(camera_id).longitude,
            "deploymentStart": (min(times) - hour).isoformat() + zone,
            "deploymentEnd": (max(times) + hour).isoformat() + zone,
        }
        for (deployment_id, camera_id), times in sorted(spans.items())
    ]


def _detections(truth: Sequence[dict[str, Any]], seed: int) -> bytes:
    """MegaDetector results: the true box, off by a few percent as a detector's is, with a confidence."""
    images = []
    for number, row in enumerate(truth):
        rng = np.random.default_rng([seed, 21, number])
        found = []
        if row["bbox_width"]:
            corner, sides = (
                np.array([row["bbox_x_min"], row["bbox_y_min"]]),
                np.array([row["bbox_width"], row["bbox_height"]]),
            )
            low = np.clip(corner + rng.normal(0, 0.02, 2) * sides, 0, 1)
            high = np.clip(corner + sides * (1 + rng.normal(0, 0.02, 2)), 0, 1)
            box = np.round(np.concatenate([low, np.maximum(high - low, 0.001)]), 4).tolist()
            found.append({"category": "1", "conf": round(float(rng.beta(12, 1.5)), 3), "bbox": box})
        images.append({"file": row["file"], "detections": found})
    content = {
        "info": {"format_version": "1.4", "detector": "scenes_truth_with_jitter"},
        "detection_categories": {"1": "animal", "2": "person", "3": "vehicle"},
        "images": images,
    }
    return (json.dumps(content, indent=1) + "\n").encode()
