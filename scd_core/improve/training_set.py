"""The training set to take away: crops, whole frames and animals set into other places, by folds of cameras."""

from __future__ import annotations

import csv
import hashlib
import json
import tempfile
from collections.abc import Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from scd_core.audit.export.send import send_file
from scd_core.boxes import box_from_row
from scd_core.errors import InputError
from scd_core.identify.pictures import crop_to_box
from scd_core.improve.alike import join_alike, thumbnail
from scd_core.improve.labelled import Labelled, codes, read_labelled
from scd_core.improve.pictures import iter_labelled
from scd_core.improve.places import Place, content_name, find_places, place_for, smaller, swap_place
from scd_core.improve.split import split_by_camera
from scd_core.media import MediaError
from scd_core.storage import Storage, open_source

__all__ = ["README", "write_training_set"]

README = "README.md"
"""The file to open."""

KINDS = ("crops", "whole", "swapped")

_QUALITY = 92
_COLUMNS = ("file", "kind", "split", "fold", "individual_id", "camera", "visit", "place_of", "weight", "source_file")


def write_training_set(out: str, directory: str) -> str:
    """Write the labelled pictures of OUT as a training set.

    ``crops``, ``whole`` and ``swapped`` are folders ``train/INDIVIDUAL`` and ``val/INDIVIDUAL`` as torchvision's and timm's
    scripts read them. ``val`` are the cameras of fold 0; nothing in ``train`` is nearly the same picture. ``swapped`` has the
    animals of ``train`` in the place of another camera, and in ``val`` the whole frames. ``index.csv`` has every file with its
    fold, visit and weight, ``classes.json`` the names and weights, ``README.md`` the commands.

    Args:
        out: OUT.
        directory: URL or path of the folder that gets the files; files of the same names are replaced.

    Returns:
        Address of ``README.md``.

    Raises:
        InputError: too few labels (:func:`scd_core.improve.labelled.read_labelled`), or no picture can be read.
        RunError: a file could not be written, or the storage of SOURCE did not answer.
    """
    labelled = read_labelled(out)
    storage = open_source(directory)
    frames, thumbnails = find_places(labelled), _thumbnails(labelled)
    content = codes([row["content_sha256"] or row["target_id"] for row in labelled.rows])
    group = join_alike(labelled.visit, content, thumbnails)
    split = split_by_camera(labelled.truth, labelled.camera, group)
    weights = _weights(labelled.truth, group, len(labelled.names))
    fold = np.zeros(len(labelled.rows), np.int64)
    for number, (_, left_out) in enumerate(split):
        fold[left_out] = number
    is_learnt = np.isin(np.arange(len(fold)), split.folds[0][0])
    folders = _folders(labelled.names)
    index: list[list[Any]] = []
    written: set[str] = set()
    with tempfile.TemporaryDirectory(prefix="trapaudit-") as scratch:
        for place, kind, image, place_of in _pictures(labelled, frames, is_learnt):
            row = labelled.rows[place]
            part = "train" if is_learnt[place] else "val" if fold[place] == 0 else "unused"
            folder = f"{kind}/{part}/{folders[row['true_id']]}"
            name = hashlib.sha256(content_name(row).encode()).hexdigest()[:16]
            copies = (f"{folder}/{name}{'' if not number else f'-{number}'}.jpg" for number in count())
            file = next(file for file in copies if file not in written)
            written.add(file)
            local = Path(scratch) / "picture.jpg"
            image.save(local, quality=_QUALITY)
            send_file(storage, local, file)
            index.append(
                [file, kind, part, int(fold[place]), row["true_id"], row["camera"], int(group[place]), place_of,
                 f"{weights[labelled.truth[place]]:.4f}", row["file"]]
            )  # fmt: skip
        if not index:
            raise InputError(f"training-set: none of the {len(labelled.rows)} labelled pictures of {out} can be read")
        _write_texts(Path(scratch), storage, labelled, index, folders, weights)
    return storage.uri_of(storage.path(README))


def _thumbnails(labelled: Labelled) -> NDArray[np.float32]:
    """The thumbnail of each animal."""
    thumbnails = np.zeros((len(labelled.rows), 576), np.float32)

    def prepare(row: Mapping[str, Any], image: Image.Image) -> NDArray[np.float32] | None:
        box = box_from_row(row)
        return None if box is None else thumbnail(crop_to_box(image, box))

    for place, made in iter_labelled(labelled, prepare):
        if made is not None and not isinstance(made, MediaError):
            thumbnails[place] = made
    return thumbnails


def _pictures(
    labelled: Labelled, frames: Mapping[str, Place], is_learnt: NDArray[np.bool_]
) -> Iterator[tuple[int, str, Image.Image, str]]:
    """Place of each target, kind, picture, and the camera whose place it shows."""

    def prepare(row: Mapping[str, Any], image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
        box = box_from_row(row)
        return smaller(image), None if box is None else smaller(crop_to_box(image, box))

    for place, made in iter_labelled(labelled, prepare):
        if isinstance(made, MediaError):
            continue
        whole, crop = made
        row = labelled.rows[place]
        yield place, "whole", whole, row["camera"]
        box = box_from_row(row)
        if crop is None or box is None:
            continue
        yield place, "crops", crop, row["camera"]
        if not is_learnt[place]:
            yield place, "swapped", whole, row["camera"]
            continue
        camera = place_for(row, list(frames))
        if camera is not None:
            yield place, "swapped", swap_place(whole, box, frames[camera].image, frames[camera].box), camera


def _weights(truth: NDArray[np.int64], group: NDArray[np.int64], n_names: int) -> NDArray[np.float64]:
    """(K,) weight of each individual: inverse to its visits, 1 on average over visits."""
    pairs = np.unique(np.stack((truth, group)), axis=1)
    counts = np.bincount(pairs[0], minlength=n_names)
    return counts.sum() / (n_names * np.maximum(counts, 1))


def _folders(names: tuple[str, ...]) -> dict[str, str]:
    """Individual -> the name of its folder: numbered, so that their order is the order of classes, and safe on any disk."""
    return {
        name: f"{number:03d}_{''.join(char if char.isascii() and char.isalnum() else '-' for char in name)[:40]}"
        for number, name in enumerate(names)
    }


def _write_texts(
    scratch: Path,
    storage: Storage,
    labelled: Labelled,
    index: list[list[Any]],
    folders: Mapping[str, str],
    weights: NDArray[np.float64],
) -> None:
    classes = [
        {"individual_id": name, "folder": folders[name], "weight": round(float(weight), 4)}
        for name, weight in zip(labelled.names, weights, strict=True)
    ]
    with (scratch / "index.csv").open("w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(_COLUMNS)
        ordered = sorted(index, key=lambda row: str(row[0]))
        writer.writerows(ordered)
    (scratch / "classes.json").write_text(json.dumps(classes, indent=1, ensure_ascii=False) + "\n", "utf-8")
    (scratch / "labels.txt").write_text("".join(f"{name}\n" for name in labelled.names), "utf-8")
    (scratch / "class_map.txt").write_text("".join(f"{folder}\n" for folder in folders.values()), "utf-8")
    (scratch / README).write_text(_readme(labelled, index), "utf-8")
    for name in (
        "index.csv",
        "classes.json",
        "class_map.txt",
        "labels.txt",
        README,
    ):  # the one that names the others last
        send_file(storage, scratch / name, name)


def _readme(labelled: Labelled, index: list[list[Any]]) -> str:
    counts = {kind: sum(row[1] == kind for row in index) for kind in KINDS}
    k = len(labelled.names)
    return f"""# Training set of an audit

{k} individuals at {len(labelled.cameras)} cameras: {counts["crops"]} crops, {counts["whole"]} whole frames,
{counts["swapped"]} frames in `swapped`, where the animals of `train` stand in the place of another camera. `val` are cameras that
`train` does not hold, and nothing in `train` is nearly the same picture; `unused` is what would be. `index.csv` has the
fold of each file for a split of your own: keep folds whole, they are of cameras. Persons and vehicles are grey. Weights in
`classes.json` make individuals count alike.

With timm's `train.py`, in this folder; `class_map.txt` keeps the classes in one order where `val` lacks some:

    python train.py --data-dir crops --train-split train --val-split val --class-map class_map.txt \\
        --model mobilenetv3_small_100 --pretrained --num-classes {k}

With torchvision's `references/classification/train.py`, {_torchvision(labelled, index)}

The classes are in the order of `labels.txt`. A model that learnt `crops` names boxes:

    trapaudit model pack NEW --architecture timm/mobilenetv3_small_100 --weights model.pth --labels labels.txt

and is run with `--detections` and `classify.box_use: classify`, which is the default; one that learnt `whole` or `swapped` with
`classify.box_use: locate`.
"""


def _torchvision(labelled: Labelled, index: list[list[Any]]) -> str:
    """The command for torchvision's script, which numbers the classes of either folder by what it finds there."""
    missing = {
        part: set(labelled.names) - {row[4] for row in index if row[1] == "crops" and row[2] == part}
        for part in ("train", "val")
    }
    if any(missing.values()):
        part, names = next((part, names) for part, names in missing.items() if names)
        return (
            f"nothing can be trained as it is: it numbers the classes of `train` and `val` apart, and `{part}` lacks "
            f"{', '.join(sorted(names))}. Move one picture of each there, or take timm's."
        )
    return """from nothing, since it takes no published weights for other classes:

    python train.py --data-path crops --model mobilenet_v2 --lr 0.05 --epochs 90"""
