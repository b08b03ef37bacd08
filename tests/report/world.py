"""A small audit with one planted error, written as the product writes it: pictures, tables, commit, labels, report."""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from scd_core.audit.report.refresh import refresh_report_tables
from scd_core.config import AuditConfig
from scd_core.media import list_objects
from scd_core.storage.objects import ObjectRef
from scd_core.tables.schema import table_from_rows
from scd_core.tables.store import AuditStore

NAMES = ("Luna", "Nyx", "Tau", "Mara", "Orso")
SIZE = (480, 320)
STATION = (0.66, 0.52, 0.2, 0.32)
ANIMAL = (0.18, 0.42, 0.36, 0.34)


CERTIFYING = AuditConfig.model_validate({"reclassify": {"max_broken": 0.9, "certain": 0.5}})
"""Settings with which the few labels of a small world are enough for names to change."""


@dataclass
class Frame:
    """One picture and what everybody said about it."""

    file: str
    camera: str | None
    taken: datetime | None
    is_infrared: bool
    event: str
    true: str
    called: str
    probability: float
    final: str
    is_masked: bool
    is_labelled: bool
    reliance: float = 0.15
    drop: float = 0.1
    contrast: tuple[float, float] | None = None
    """Masks of the name against the true one: the probability of the name without its region, that of the true one by its own."""


@dataclass
class World:
    """An audit on disk."""

    source: Path
    out: str
    frames: list[Frame]
    config: AuditConfig = field(default_factory=AuditConfig)
    has_pictures: bool = True
    is_placed: bool = False
    """The deployments' coordinates and the cameras' offset from UTC are known."""
    size: tuple[int, int] = SIZE


def planted_frames(seed: int = 4, n_events: int = 150, label_share: float = 0.75) -> list[Frame]:
    """Events of five individuals at five cameras; at C07 in infrared Luna is called Nyx, for the station behind her."""
    rng = np.random.default_rng(seed)
    frames = []
    start = datetime(2026, 3, 1, 4, 0)
    for number in range(n_events):
        camera = f"C0{rng.integers(3, 8)}"
        infrared = bool(rng.random() < 0.5)
        taken = start + timedelta(hours=9 * number, minutes=int(rng.integers(0, 50)))
        taken = taken.replace(hour=int(rng.integers(0, 5)) if infrared else int(rng.integers(7, 17)))
        true = "Luna" if camera == "C07" and infrared and rng.random() < 0.9 else str(rng.choice(NAMES))
        planted = camera == "C07" and infrared and true == "Luna" and rng.random() < 0.85
        stray = not planted and rng.random() < 0.06
        called = "Nyx" if planted else str(rng.choice([n for n in NAMES if n != true])) if stray else true
        labelled = bool(rng.random() < label_share)
        for frame in range(int(rng.integers(1, 3))):
            recovered = planted and rng.random() < 0.8
            frames.append(
                Frame(
                    file=f"{camera}/dep1/IMG_{number:04d}_{frame}.JPG",
                    camera=camera,
                    taken=taken + timedelta(seconds=2 * frame),
                    is_infrared=infrared,
                    event=f"event{number:04d}",
                    true=true,
                    called=called,
                    probability=float(rng.uniform(0.35, 0.7) if planted or stray else rng.uniform(0.6, 0.99)),
                    final=true if recovered else called,
                    is_masked=planted or stray or bool(rng.random() < 0.15),
                    is_labelled=labelled,
                    reliance=0.82 if planted else float(rng.uniform(0.05, 0.35)),
                    drop=4.0 if planted else 0.2,
                )
            )
    return frames


def build_world(
    folder: Path,
    frames: list[Frame] | None = None,
    *,
    broken: bool = True,
    reports: int = 1,
    has_pictures: bool = True,
    is_placed: bool = False,
    size: tuple[int, int] = SIZE,
) -> World:
    """Write pictures, an audit of them and its newest report's tables below `folder`."""
    frames = planted_frames() if frames is None else frames
    world = World(folder / "cards", str(folder / "audit"), frames, CERTIFYING, has_pictures, is_placed, size)
    for frame in frames if has_pictures else ():
        path = world.source / frame.file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(draw(frame, size))
    if broken:
        (world.source / "C03" / "dep1").mkdir(parents=True, exist_ok=True)
        (world.source / "C03/dep1/EMPTY.JPG").write_bytes(b"")
        (world.source / "C03/dep1/<b>TORN & co.JPG").write_bytes(b"\xff\xd8\xff\xe0torn")
    commit_world(world)
    if any(frame.is_labelled for frame in frames):
        label_world(world)
    for number in range(reports):
        now = datetime(2026, 6, 1 + number, 6, 0, tzinfo=UTC)
        refresh_report_tables(world.out, world.config, now=now)
    return world


def commit_world(world: World, model: str = "5e1f" * 16, run: str = "run-1", hour: int = 1, offset: int = 120) -> None:
    """Write the tables of one batch with all frames, and commit it."""
    refs = listed(world)
    by_file = {frame.file: frame for frame in world.frames}
    key = hashlib.sha256(f"{run}{model}{world.config.digest}".encode()).hexdigest()[:32]
    stamp = {"run_id": run, "batch_key": key, "model_digest": model}
    tables: dict[str, list[dict[str, Any]]] = {"media": [], "predictions": [], "masks": [], "reclassifications": []}
    for file, ref in sorted(refs.items()):
        frame = by_file.get(file)
        medium = stamp | {
            "media_id": ref.media_id, "uri": ref.uri, "file": file, "etag": ref.etag, "size_bytes": ref.size_bytes,
            "last_modified_at": ref.last_modified_at,
        }  # fmt: skip
        if frame is None:
            status, reason = ("empty", "0 bytes") if not ref.size_bytes else ("corrupt", "the header is <broken>")
            tables["media"].append(medium | {"status": status, "failure_stage": "decode", "failure_reason": reason})
            continue
        tables["media"].append(
            medium
            | {
                "content_sha256": hashlib.sha256(file.encode()).hexdigest(), "format": "JPEG", "width": world.size[0],
                "height": world.size[1], "captured_at": frame.taken, "captured_at_source": "exif" if frame.taken else None,
                "camera_id": frame.camera, "deployment_id": f"{frame.camera}/dep1" if frame.camera else None,
                "event_id": frame.event, "is_infrared": frame.is_infrared, "brightness": 0.4, "sharpness": 0.01,
                "status": "ok", "latitude": 46.25 if world.is_placed else None,
                "longitude": 7.5 if world.is_placed else None, "utc_offset_minutes": offset if world.is_placed else None,
            }
        )  # fmt: skip
        add_prediction(tables, stamp | {"target_id": ref.media_id, "media_id": ref.media_id}, frame)
    store = AuditStore(world.out)
    day = date(2026, 5, 30)
    files = {name: store.write_table(name, table_from_rows(name, rows), day, key) for name, rows in tables.items()}
    n_ok = sum(row["status"] == "ok" for row in tables["media"])
    row = stamp | {
        "config_digest": world.config.digest, "source": str(world.source), "started_at": datetime(2026, 5, 30, tzinfo=UTC),
        "finished_at": datetime(2026, 5, 30, hour, tzinfo=UTC), "config": json.dumps({}), "versions": "{}", "device": "cpu",
        "individuals": list(NAMES), "n_media": len(tables["media"]), "n_ok": n_ok,
        "n_quarantined": len(tables["media"]) - n_ok, "n_predictions": len(tables["predictions"]),
        "n_flagged": len(tables["masks"]), "n_masks": len(tables["masks"]), "n_failed": 0, "n_flips": 0,
    }  # fmt: skip
    files["runs"] = store.write_table("runs", table_from_rows("runs", [row]), day, key)
    content = {
        "model_digest": model,
        "config_digest": world.config.digest,
        "batch_date": day.isoformat(),
        "files": files,
    }
    store.commit(key, content | {"schema_version": 1})


def listed(world: World) -> dict[str, ObjectRef]:
    """File -> object, of what lies on the disk; or of what would, where there are no pictures."""
    if world.has_pictures:
        return {ref.file: ref for ref in list_objects(str(world.source), world.config.media)}
    moment = datetime(2026, 5, 30, tzinfo=UTC)
    names = [frame.file for frame in world.frames]
    return {name: ObjectRef(f"{world.source.as_uri()}/{name}", name, 1000, "1", None, moment) for name in names}


def add_prediction(tables: dict[str, list[dict[str, Any]]], base: dict[str, Any], frame: Frame) -> None:
    other = frame.true if frame.true != frame.called else "Orso"
    tables["predictions"].append(
        base
        | {
            "bbox_x_min": ANIMAL[0], "bbox_y_min": ANIMAL[1], "bbox_width": ANIMAL[2], "bbox_height": ANIMAL[3],
            "prediction_status": "ok", "predicted_id": frame.called, "probability": frame.probability, "margin": 0.1,
            "entropy": 0.4, "event_id": frame.event, "event_predicted_id": frame.called, "is_flagged": frame.is_masked,
            "topk": [
                {"individual_id": frame.called, "probability": frame.probability},
                {"individual_id": other, "probability": (1 - frame.probability) / 2},
            ],
            "flag_reasons": ["low_probability"] if frame.is_masked else [], "is_control": False,
            "is_selected": frame.is_masked, "inclusion_probability": 1.0,
        }
    )  # fmt: skip
    if not frame.is_masked:
        return
    tables["masks"].append(
        base
        | {
            "method": "scd", "mask_status": "ok", "predicted_id": frame.called, "mask_png": evidence(frame),
            "ssr_probability": 0.9, "sdr_probability": 0.1, "area": 0.05, "border_mass": 0.1,
            "mass_in_box": 1 - frame.reliance, "background_reliance": frame.reliance,
            "background_log_odds_drop": frame.drop, "iterations": 20, "evaluations": 160, "is_converged": False, "seed": 1,
        }
    )  # fmt: skip
    if frame.contrast is not None:
        add_contrast(tables, base, frame, *frame.contrast)
    crop = {"crop_x_min": 0.1, "crop_y_min": 0.3, "crop_width": 0.5, "crop_height": 0.6}
    for strategy, more in (("early_blur", {}), ("mask_crop", crop), ("fused", {})):
        tables["reclassifications"].append(
            base
            | {
                "strategy": strategy, "strategy_status": "ok", "predicted_id": frame.final,
                "probability": {"early_blur": 0.6, "mask_crop": 0.88, "fused": 0.88}[strategy],
                "is_flip": frame.final != frame.called,
            }
            | more
        )  # fmt: skip


def add_contrast(
    tables: dict[str, list[dict[str, Any]]], base: dict[str, Any], frame: Frame, without: float, alone: float
) -> None:
    """Masks of the name given against the true one, and of the true one against the name given."""
    for name, rival, shares in (
        (frame.called, frame.true, {"ssr_probability": 0.9, "sdr_probability": without}),
        (frame.true, frame.called, {"ssr_probability": alone, "sdr_probability": 0.1}),
    ):
        made = {
            "method": "scd",
            "mask_status": "ok",
            "predicted_id": name,
            "contrast_id": rival,
            "area": 0.05,
            "seed": 1,
        }
        tables["masks"].append(base | made | shares | {"mask_png": evidence(frame)})


def label_world(world: World) -> None:
    """Import the labels of the labelled frames."""
    moment = datetime(2026, 5, 31, tzinfo=UTC)
    rows = [
        {
            "import_id": "import1", "label_id": hashlib.sha256(frame.file.encode()).hexdigest()[:16], "file": frame.file,
            "individual_id": frame.true, "label_source": "csv", "labelled_by": "ana", "labelled_at": moment,
            "imported_at": moment,
        }
        for frame in world.frames
        if frame.is_labelled
    ]  # fmt: skip
    AuditStore(world.out).write_table("labels", table_from_rows("labels", rows), moment.date(), "import1")


def draw(frame: Frame, size: tuple[int, int] = SIZE) -> bytes:
    """A camera-trap picture: ground, sky, a feeding station at C07, a spotted animal."""
    width, height = size
    image = ground(frame.camera or "", size).copy()
    pen = ImageDraw.Draw(image)
    if frame.camera == "C07":
        x, y, w, h = STATION
        pen.rectangle(
            (x * width, y * height, (x + w) * width, (y + h) * height), fill=(120, 84, 50), outline=(60, 40, 20)
        )
    x, y, w, h = ANIMAL
    pen.ellipse((x * width, y * height, (x + w) * width, (y + h) * height), fill=(196, 150, 90))
    spots = np.random.default_rng(len(frame.true) * 7 + ord(frame.true[0]) if frame.true else 0)
    for _ in range(24):
        angle, radius = spots.uniform(0, 6.28), spots.uniform(0, 0.42)
        cx, cy = x + w / 2 + w * radius * np.cos(angle), y + h / 2 + h * radius * np.sin(angle)
        pen.ellipse((cx * width - 5, cy * height - 5, cx * width + 5, cy * height + 5), fill=(60, 40, 30))
    if frame.is_infrared:
        image = image.convert("L").convert("RGB")
    sink = io.BytesIO()
    image.save(sink, "JPEG", quality=85)
    return sink.getvalue()


@cache
def ground(camera: str, size: tuple[int, int] = SIZE) -> Image.Image:
    """What a camera sees without an animal."""
    width, height = size
    rng = np.random.default_rng(int(hashlib.sha256(camera.encode()).hexdigest()[:6], 16))
    shade = np.linspace(150, 60, height)[:, None, None] * np.array([0.8, 1.0, 0.6]) + rng.normal(
        0, 9, (height, width, 3)
    )
    return Image.fromarray(np.clip(shade, 0, 255).astype(np.uint8))


def evidence(frame: Frame) -> bytes:
    """A joint map of 28 x 42 cells: on the station where the model relied on it, else on the animal."""
    rows, columns = np.mgrid[0:28, 0:42]
    x, y, w, h = STATION if frame.reliance > 0.5 else ANIMAL
    mask = np.exp(-(((columns / 42 - x - w / 2) / (w / 3)) ** 2) - ((rows / 28 - y - h / 2) / (h / 3)) ** 2)
    sink = io.BytesIO()
    Image.fromarray((mask * 230).astype(np.uint8)).save(sink, "PNG")
    return sink.getvalue()
