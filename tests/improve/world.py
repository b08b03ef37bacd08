"""A small labelled audit: patterned animals before backgrounds, and a model with weights of chance that names by neither."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from PIL import Image

from scd_core.audit.labels.importing import import_labels
from scd_core.audit.report.refresh import refresh_report_tables
from scd_core.config import MediaConfig
from scd_core.identify import pack_model
from scd_core.identify.small_cnn import SmallCNN
from scd_core.media import list_objects
from scd_core.tables import write_batch

NAMES = ("Ada", "Bo", "Cy")
BOX = (0.25, 0.25, 0.5, 0.5)
SIZE = (96, 64)
NOON = datetime(2026, 5, 30, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Seen:
    """A picture: who is where, in which visit, and who it is labelled to be."""

    individual: str
    camera: str
    visit: int
    label: str
    """Empty: nobody has labelled it."""
    look: int
    """Seed of the animal's picture; two of one look are nearly one picture."""
    is_control: bool = False


def plain(n: int = 60, cameras: Sequence[str] = ("C1", "C2", "C3", "C4"), seed: int = 0) -> list[Seen]:
    """Every individual everywhere, a visit a picture."""
    rng = np.random.default_rng(seed)
    found = []
    for number in range(n):
        name = NAMES[number % len(NAMES)]
        found.append(Seen(name, str(rng.choice(cameras)), number, name, number))
    return found


def build(folder: Path, seen: Sequence[Seen], *, boxes: bool = True) -> str:
    """Write pictures, an audit of them by no model in particular, labels and a report; gives OUT."""
    source, out = folder / "cards", str(folder / "out")
    for number, one in enumerate(seen):
        path = source / one.camera / "d0" / f"{_moment(one):%Y%m%d_%H%M}_{number:04d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        draw(one, number).save(path)
    listed = sorted(list_objects(str(source), MediaConfig()), key=lambda ref: ref.file.rsplit("_", 1)[1])
    media: list[dict[str, Any]] = []
    predictions: list[dict[str, Any]] = []
    for one, ref in zip(seen, listed, strict=True):
        media.append(
            {
                "media_id": ref.media_id, "uri": ref.uri, "file": ref.file, "etag": ref.etag, "size_bytes": ref.size_bytes,
                "last_modified_at": ref.last_modified_at, "status": "ok", "camera_id": one.camera,
                "deployment_id": f"{one.camera}/d0", "event_id": f"e{one.camera}{one.visit}",
                "captured_at": _moment(one),
                "content_sha256": hashlib.sha256(Path(source / ref.file).read_bytes()).hexdigest(),
            }
        )  # fmt: skip
        row = {
            "target_id": ref.media_id, "media_id": ref.media_id, "prediction_status": "ok", "predicted_id": NAMES[0],
            "probability": 0.9, "is_flagged": False, "is_control": one.is_control, "is_selected": False,
            "event_id": f"e{one.camera}{one.visit}",
        }  # fmt: skip
        if boxes:
            row |= dict(zip(("bbox_x_min", "bbox_y_min", "bbox_width", "bbox_height"), BOX, strict=True))
        predictions.append(row)
    run: Any = {
        "run_id": "r1", "model_digest": "m1", "config_digest": "c1", "source": str(source), "started_at": NOON,
        "individuals": list(NAMES),
    }  # fmt: skip
    tables = {"media": pa.Table.from_pylist(media), "predictions": pa.Table.from_pylist(predictions)}
    write_batch(out, tables, date(2026, 5, 30), "k1", run)
    labels = folder / "labels.csv"
    lines = [f"{ref.file},{one.label}" for one, ref in zip(seen, listed, strict=True) if one.label]
    labels.write_text("\n".join(["file,individual_id", *lines]) + "\n")
    import_labels(out, str(labels))
    refresh_report_tables(out)
    return out


def _moment(one: Seen) -> datetime:
    return datetime(2026, 1, 1) + timedelta(days=one.visit)


def draw(one: Seen, number: int) -> Image.Image:
    """A noisy background of the camera's own grey, and in the box stripes whose width and direction are the individual's."""
    rng = np.random.default_rng(10_000 + number)
    grey = 60 + 25 * (sum(map(ord, one.camera)) % 6)
    frame = rng.normal(grey, 12, (SIZE[1], SIZE[0], 3))
    left, top = int(BOX[0] * SIZE[0]), int(BOX[1] * SIZE[1])
    wide, high = int(BOX[2] * SIZE[0]), int(BOX[3] * SIZE[1])
    own = np.random.default_rng(one.look)
    down, across = np.mgrid[:high, :wide]
    place = NAMES.index(one.individual)
    angle = (0.0, 0.8, 1.57)[place] + own.normal(0, 0.1)
    wave = np.sin((across * np.cos(angle) + down * np.sin(angle)) * (1.6, 0.9, 0.5)[place] + own.uniform(0, 6))
    blotches = np.kron(own.normal(0, 45, (high // 8, wide // 8)), np.ones((8, 8)))
    frame[top : top + high, left : left + wide] = 128 + (60 * wave + blotches)[..., None]
    return Image.fromarray(frame.clip(0, 255).astype(np.uint8))


def pack(folder: Path, labels: Sequence[str] = NAMES, seed: int = 0) -> str:
    """A package of the small network with weights of chance."""
    torch.manual_seed(seed)
    folder.mkdir(parents=True, exist_ok=True)
    weights = folder / "weights.pth"
    torch.save(SmallCNN(len(labels)).state_dict(), weights)
    model = folder / "model"
    pack_model(model, architecture="scd_core/small_cnn", weights=weights, labels=labels, size=(64, 96))
    return str(model)


Build = Callable[..., str]
