"""How well a classifier names the individuals in scenes, and how much of its error the planted shortcuts explain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image, ImageFilter
from torch import nn

from scd_core.scenes.models import INPUT_MEAN, INPUT_SIZE, INPUT_STD
from scd_core.scenes.render import render
from scd_core.scenes.scene import Scene, SceneSpec
from scd_core.scenes.world import World

__all__ = ["Evaluation", "evaluate", "to_input"]


@dataclass(frozen=True)
class Evaluation:
    """Logits for each scene, as taken and with the true mask applied, beside the truth."""

    whole: np.ndarray
    """(N, K) logits of whole frames."""
    masked: np.ndarray
    """(N, K) logits of frames blurred outside the true animal mask."""
    cropped: np.ndarray
    """(N, K) logits of crops to the animal's true box, with a margin."""
    classes: np.ndarray
    """(N,) true class."""
    plants: np.ndarray
    """(N,) kind of the planted error a scene falls under, '' where there is none."""
    lures: np.ndarray
    """(N,) class that the plant lures to, -1 where there is none."""

    def log_loss(self, temperature: float) -> float:
        """Mean negative log-probability of the truth on whole frames."""
        scaled = torch.log_softmax(torch.from_numpy(self.whole) / temperature, 1).numpy()
        return float(-scaled[np.arange(len(self.classes)), self.classes].mean())

    def summary(self, temperature: float = 1.0) -> dict[str, float]:
        """Shares, 0-1: accuracies by kind of scene, and what the true mask repairs and breaks."""
        whole, masked, cropped = (part.argmax(1) for part in (self.whole, self.masked, self.cropped))
        right = whole == self.classes
        plain = ~np.isin(self.plants, ["object", "overlay", "flank", "near_twins", "quality"])
        probability = torch.softmax(torch.from_numpy(self.whole) / temperature, 1).amax(1).numpy()
        figures = {
            "accuracy": _mean(right),
            "accuracy_unplanted": _mean(right[plain]),
            "accuracy_unplanted_masked": _mean((masked == self.classes)[plain]),
            "accuracy_unplanted_cropped": _mean((cropped == self.classes)[plain]),
            "broken_by_mask": _mean((masked != self.classes)[plain & right]),
            "confidence_median": float(np.median(probability)),
            "confidence_p10": float(np.quantile(probability, 0.1)),
            "confidence_wrong_mean": _mean(probability[~right]),
        }
        for kind in ("object", "overlay", "flank", "near_twins", "quality"):
            chosen = self.plants == kind
            if chosen.any():
                figures[f"error_{kind}"] = _mean(~right[chosen])
        lured = np.isin(self.plants, ["object", "overlay"]) & (whole == self.lures)
        if lured.any():
            figures["shortcut_errors"] = float(lured.sum())
            figures["shortcut_errors_recovered_masked"] = _mean((masked == self.classes)[lured])
            figures["shortcut_errors_recovered_cropped"] = _mean((cropped == self.classes)[lured])
            for kind in ("object", "overlay"):
                chosen = self.plants == kind
                figures[f"lured_{kind}"] = _mean(lured[chosen])
        return figures


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if values.size else float("nan")


def to_input(picture: Image.Image) -> Image.Image:
    """Stretch a picture to the packaged models' input, with Pillow's antialiased bilinear filter."""
    return picture.resize((INPUT_SIZE[1], INPUT_SIZE[0]), Image.Resampling.BILINEAR)


def _blur_outside(scene: Scene, sigma: float = 14.0) -> Image.Image:
    """The picture blurred outside the true animal mask; sigma in pixels at 240 rows."""
    picture = Image.fromarray(scene.image)
    blurred = picture.filter(ImageFilter.GaussianBlur(sigma * scene.image.shape[0] / 240))
    return Image.composite(picture, blurred, Image.fromarray(scene.animal_mask))


def _crop_to_animal(scene: Scene, margin: float = 0.15) -> Image.Image:
    """The animal's true box with a margin, as a share of its sides."""
    picture = Image.fromarray(scene.image)
    if scene.bbox is None:
        return picture
    x, y, wide, tall = scene.bbox
    left, top = max(0.0, x - margin * wide), max(0.0, y - margin * tall)
    right, bottom = min(1.0, x + wide * (1 + margin)), min(1.0, y + tall * (1 + margin))
    size = picture.size
    return picture.crop((round(left * size[0]), round(top * size[1]), round(right * size[0]), round(bottom * size[1])))


def evaluate(model: nn.Module, world: World, specs: Sequence[SceneSpec], *, batch_size: int = 64) -> Evaluation:
    """Classify scenes whole, blurred outside the true animal, and cropped to it.

    Args:
        model: takes (B, 3, h, w) in the packaged models' normalisation, gives (B, K) in the order of ``world.labels``.
        world: the scenes' world.
        specs: scenes to render, each with an individual.
        batch_size: images per forward pass.
    """
    mean, std = np.array(INPUT_MEAN, dtype=np.float32), np.array(INPUT_STD, dtype=np.float32)
    logits: list[np.ndarray] = []
    for start in range(0, len(specs), batch_size):
        pictures: list[Image.Image] = []
        for spec in specs[start : start + batch_size]:
            scene = render(world, spec)
            pictures += [Image.fromarray(scene.image), _blur_outside(scene), _crop_to_animal(scene)]
        values = np.stack([(np.asarray(to_input(p), dtype=np.float32) / 255 - mean) / std for p in pictures])
        with torch.inference_mode():
            logits.append(model(torch.from_numpy(values.transpose(0, 3, 1, 2)).contiguous()).numpy())
    stacked = np.concatenate(logits).reshape(len(specs), 3, -1)
    lures = [
        world.labels.index(spec.plant.individual_id)
        if spec.plant and spec.plant.kind in ("object", "overlay") and spec.plant.individual_id
        else -1
        for spec in specs
    ]
    return Evaluation(
        whole=stacked[:, 0],
        masked=stacked[:, 1],
        cropped=stacked[:, 2],
        classes=np.array([world.labels.index(spec.individual_id or "") for spec in specs]),
        plants=np.array([spec.plant.kind if spec.plant else "" for spec in specs]),
        lures=np.array(lures),
    )
