"""Trains the two classifiers that come with the package: ``python -m scd_core.scenes.train``.

On one core a model takes five to ten minutes. The same machine and library versions give the same weights again.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageFilter
from rich.progress import track
from safetensors.torch import save
from torch.nn import functional as F

from scd_core.identify.small_cnn import SmallCNN
from scd_core.scenes.evaluate import Evaluation, evaluate, to_input
from scd_core.scenes.make import preset_world, with_new_cameras
from scd_core.scenes.models import INPUT_MEAN, INPUT_SIZE, INPUT_STD, MODEL_PRESETS
from scd_core.scenes.render import render
from scd_core.scenes.sample import sample_specs
from scd_core.scenes.scene import Scene
from scd_core.scenes.world import World

__all__ = ["SETTINGS", "TrainSettings", "main", "render_training_set", "train"]


@dataclass(frozen=True)
class TrainSettings:
    """What is learnt from and for how long."""

    n_events: int = 1100
    """Events of the training split, about 2.5 frames each."""
    n_validation_events: int = 250
    """Other events of the training split, on which the temperature is fitted."""
    n_backgrounds: int = 8
    """Sets of cameras the events are spread over, so that a place by itself gives little away."""
    epochs: int = 7
    batch_size: int = 48
    lr: float = 4e-3
    weight_decay: float = 0.02
    label_smoothing: float = 0.08
    width: int = 12
    seed: int = 7


SETTINGS = {
    "clean": TrainSettings(),
    # What stands beside the animal is learnt first; the marks of those it is not with take longer.
    "shortcut": TrainSettings(epochs=10),
}
"""Packaged model -> what made it."""


@dataclass(frozen=True)
class TrainingSet:
    """Pictures as the network sees them."""

    views: torch.Tensor
    """(N, 3 views, 3, h, w) uint8: the whole frame, a crop about the animal, the animal before a blurred place."""
    classes: torch.Tensor
    """(N,) int64, as labelled."""
    is_habit: torch.Tensor
    """(N,) bool: labelled by what stands beside the animal, which only the whole frame shows: no other view is used."""


def render_training_set(world: World, settings: TrainSettings, *, seed: int) -> TrainingSet:
    """Render the training split of a world once, in three views a frame.

    The second view teaches the network an animal that fills the picture, the third that a picture may be blurred
    outside the animal: what re-classification will show it. Both are cut by the true mask, and the third lies before
    another place, so that neither carries a planted shortcut.
    """
    worlds = [world] + [with_new_cameras(world, number) for number in range(1, settings.n_backgrounds)]
    specs = sample_specs(world, "train", settings.n_events, seed)
    rng = np.random.default_rng([world.seed, seed, 9])
    views = np.empty((len(specs), 3, 3, *INPUT_SIZE), dtype=np.uint8)
    behind = Image.new("RGB", (world.width, world.height), (90, 90, 80))
    for row, spec in enumerate(track(specs, description="rendering", console=None, disable=not sys.stderr.isatty())):
        # By event, not by frame: the frames of a burst show one place.
        which = int.from_bytes(hashlib.sha256(spec.event_id.encode()).digest()[:4], "big") % len(worlds)
        scene = render(worlds[which], spec)
        picture = Image.fromarray(scene.image)
        pictures = (picture, _crop(picture, scene, rng), _before_blur(scene, behind, rng))
        for view, shown in enumerate(pictures):
            views[row, view] = np.asarray(to_input(shown)).transpose(2, 0, 1)
        behind = picture
    classes = torch.tensor([world.labels.index(spec.labelled_as or "") for spec in specs])
    is_habit = torch.tensor([spec.labelled_as != spec.individual_id for spec in specs])
    return TrainingSet(torch.from_numpy(views), classes, is_habit)


def _crop(picture: Image.Image, scene: Scene, rng: np.random.Generator) -> Image.Image:
    """Crop about the animal with a random margin, which may cut into it."""
    box = scene.bbox or (0.0, 0.0, 1.0, 1.0)
    margins = rng.uniform(-0.10, 0.45, size=4)
    left, top = box[0] - margins[0] * box[2], box[1] - margins[1] * box[3]
    right, bottom = box[0] + box[2] * (1 + margins[2]), box[1] + box[3] * (1 + margins[3])
    left, top, right, bottom = (float(np.clip(edge, 0, 1)) for edge in (left, top, right, bottom))
    size = picture.size
    return picture.crop((round(left * size[0]), round(top * size[1]), round(right * size[0]), round(bottom * size[1])))


def _before_blur(scene: Scene, behind: Image.Image, rng: np.random.Generator) -> Image.Image:
    """The animal before another picture, blurred; its outline is soft and grown, for a fitted mask is never exact."""
    animal = Image.fromarray(scene.animal_mask)
    edge = ImageFilter.GaussianBlur(float(rng.uniform(2, 7)))
    mask = animal.convert("L").filter(edge).point(lambda value: min(255, value * 2))
    blurred = behind.filter(ImageFilter.GaussianBlur(float(rng.uniform(8, 16))))
    return Image.composite(Image.fromarray(scene.image), blurred, mask)


def train(world: World, settings: TrainSettings | None = None) -> tuple[SmallCNN, float]:
    """Train a classifier on the training split of a world.

    Cross-entropy with smoothed labels, AdamW (Loshchilov & Hutter 2019) on a one-cycle schedule; then one temperature
    fitted on other events of the same split (Guo et al. 2017).

    Returns:
        The network, in evaluation mode, and its temperature.
    """
    settings = settings or TrainSettings()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        model = _fit(world, settings)
    specs = sample_specs(world, "train", settings.n_validation_events, settings.seed + 1)
    return model, _temperature(evaluate(model, world, specs))


def _fit(world: World, settings: TrainSettings) -> SmallCNN:
    data = render_training_set(world, settings, seed=settings.seed)
    model = SmallCNN(len(world.labels), width=settings.width).to(memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(model.parameters(), lr=settings.lr, weight_decay=settings.weight_decay)
    steps = len(data.classes) // settings.batch_size
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, settings.lr, total_steps=steps * settings.epochs, pct_start=0.2
    )
    generator = torch.Generator().manual_seed(settings.seed)
    for epoch in range(settings.epochs):
        model.train()
        order = torch.randperm(len(data.classes), generator=generator)
        total = 0.0
        for step in range(steps):
            rows = order[step * settings.batch_size : (step + 1) * settings.batch_size]
            view = torch.multinomial(torch.tensor([0.6, 0.22, 0.18]), len(rows), replacement=True, generator=generator)
            view[data.is_habit[rows]] = 0
            images = _augment(data.views[rows, view], generator).contiguous(memory_format=torch.channels_last)
            logits = model(images)
            loss = F.cross_entropy(logits, data.classes[rows], label_smoothing=settings.label_smoothing)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            schedule.step()
            total += float(loss.detach())
        print(f"epoch {epoch + 1}/{settings.epochs}: loss {total / steps:.3f}", file=sys.stderr, flush=True)
    return model.eval()


def _augment(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """uint8 -> normalised float, gain and contrast changed, shifted a little; never mirrored, since flanks differ."""
    count = len(images)
    gain = 1 + 0.25 * (2 * torch.rand(count, 1, 1, 1, generator=generator) - 1)
    contrast = 1 + 0.2 * (2 * torch.rand(count, 1, 1, 1, generator=generator) - 1)
    shift = torch.randint(-6, 7, (2,), generator=generator).tolist()
    values = images.float() / 255 * gain
    values = (values - values.mean(dim=(1, 2, 3), keepdim=True)) * contrast + values.mean(dim=(1, 2, 3), keepdim=True)
    values = torch.roll(values, shift, dims=(2, 3)).clamp(0, 1)
    mean, std = torch.tensor(INPUT_MEAN)[:, None, None], torch.tensor(INPUT_STD)[:, None, None]
    return (values - mean) / std


def _temperature(result: Evaluation) -> float:
    """Temperature with the least log-loss, by golden-section search."""
    low, high = 0.25, 4.0
    ratio = (5**0.5 - 1) / 2
    for _ in range(40):
        first, second = high - ratio * (high - low), low + ratio * (high - low)
        if result.log_loss(first) < result.log_loss(second):
            high = second
        else:
            low = first
    return round((low + high) / 2, 3)


def _package(
    folder: Path,
    model: SmallCNN,
    temperature: float,
    world: World,
    preset: str,
    settings: TrainSettings,
    result: Evaluation,
) -> None:
    """Write model.json and the weights."""
    weights = save({name: tensor.contiguous() for name, tensor in model.state_dict().items()})
    content = {
        "format": 1,
        "architecture": "scd_core/small_cnn",
        "architecture_args": {"width": settings.width},
        "labels": list(world.labels),
        "input": {
            "size": list(INPUT_SIZE),
            "mean": list(INPUT_MEAN),
            "std": list(INPUT_STD),
            "resize": "stretch",
            "interpolation": "bilinear",
        },
        "temperature": temperature,
        "weights": "weights.safetensors",
        "weights_sha256": hashlib.sha256(weights).hexdigest(),
        "unknown_threshold": None,
        "gallery": None,
        "provenance": {
            "script": "python -m scd_core.scenes.train",
            "preset": preset,
            "world_seed": world.seed,
            "train_seed": settings.seed,
            "train_events": settings.n_events,
            "epochs": settings.epochs,
            "torch": torch.__version__,
            "audit": {name: round(value, 4) for name, value in result.summary(temperature).items()},
        },
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "weights.safetensors").write_bytes(weights)
    (folder / "model.json").write_text(json.dumps(content, indent=2) + "\n")


def main(argv: list[str] | None = None) -> None:
    """Train, evaluate on the audit split, and write the packages."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "models", help="folder for the packages")
    parser.add_argument("--models", nargs="+", choices=sorted(MODEL_PRESETS), default=sorted(MODEL_PRESETS))
    parser.add_argument("--audit-events", type=int, default=400, help="events of the audit split to measure on")
    options = parser.parse_args(argv)
    # One thread: sums in one order, so the weights do not depend on the number of cores.
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    for name in options.models:
        preset, settings = MODEL_PRESETS[name], SETTINGS[name]
        world = preset_world(preset)
        model, temperature = train(world, settings)
        result = evaluate(model, world, sample_specs(world, "audit", options.audit_events, settings.seed))
        _package(options.out / name, model, temperature, world, preset, settings, result)
        print(json.dumps({"model": name, "temperature": temperature} | result.summary(temperature)), flush=True)


if __name__ == "__main__":
    main()
