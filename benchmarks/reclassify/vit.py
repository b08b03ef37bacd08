"""Two small vision transformers, one that averages its patch tokens and one that reads its class token, in new places.

In training each individual comes mostly to one place, so a network may learn the place. The test has the same
individuals before places that it never saw. Aniraj et al. (2023) found that early masking with averaged patch tokens is
the most robust there; their networks were trained under the masks as well, so both ways of training are measured.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from scd_core.scenes import make_world, render, sample_specs, with_new_cameras
from scd_core.scenes.sample import Split
from scd_core.scenes.scene import SceneSpec
from scd_core.scenes.world import World

__all__ = ["N_SEEDS", "Pictures", "Settings", "build_vit", "compare", "logits_of", "place_pictures"]

SIZE = 72, 96
"""Height and width of the input (pixels)."""
PATCH = 8
POOLS: dict[str, Any] = {"gap": "avg", "cls": "token"}
"""Name here -> timm's name of what the answer is read from."""
N_SEEDS = 2
"""Worlds that the benchmark trains on."""
SHOWN = "original", "early", "late"


@dataclass(frozen=True)
class Settings:
    """What the two networks learn from, and for how long."""

    n_individuals: int = 8
    n_events: int = 600
    """Bursts of training; about 2.5 frames each."""
    n_test_events: int = 140
    habit: float = 0.95
    """Share of training bursts in which an individual is at its own place."""
    epochs: int = 8
    batch_size: int = 48
    lr: float = 1.5e-3
    width: int = 64
    depth: int = 4


@dataclass(frozen=True)
class Pictures:
    """Scenes as the networks take them."""

    images: Tensor
    """(N, 3, H, W) uint8."""
    animal: Tensor
    """(N, H, W) float32: share of each pixel that is animal."""
    classes: Tensor
    """(N,) int64."""


class _Stem(nn.Module):
    """Three convolutions of stride 2 instead of one of stride 8: trains on few pictures (Xiao et al. 2021)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for n_in, n_out in ((3, width // 4), (width // 4, width // 2), (width // 2, width)):
            layers += [nn.Conv2d(n_in, n_out, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(n_out), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Conv2d(width, width, 1))

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, width, H / 8, W / 8)."""
        return self.layers(images)


def build_vit(pool: str, settings: Settings) -> Any:
    """A small timm vision transformer with a convolutional stem.

    Args:
        pool: ``gap`` (the answer is read from the mean of the patch tokens) or ``cls`` (from the class token).
        settings: width, depth and classes.
    """
    import timm

    model = timm.models.VisionTransformer(
        img_size=SIZE,
        patch_size=PATCH,
        num_classes=settings.n_individuals,
        embed_dim=settings.width,
        depth=settings.depth,
        num_heads=4,
        mlp_ratio=2.0,
        global_pool=POOLS[pool],
        class_token=pool == "cls",
    )
    model.patch_embed.proj = _Stem(settings.width)
    return model


def place_pictures(world: World, settings: Settings, *, is_test: bool, habit: float, seed: int) -> Pictures:
    """Scenes of a world, where an individual is at its own place more or less often.

    Args:
        world: its individuals, as many as its cameras.
        settings: how many events.
        is_test: other bursts than those of training, and one frame of each.
        habit: share of bursts in which an individual is at its own place; else it is at any.
        seed: of the bursts.
    """
    rng = np.random.default_rng([seed, int(is_test)])
    split: Split = "audit" if is_test else "train"
    specs = sample_specs(world, split, settings.n_test_events if is_test else settings.n_events, seed)
    places = [camera.camera_id for camera in world.cameras]
    chosen: dict[str, tuple[str, float]] = {}
    images, animals, classes = [], [], []
    for spec in specs:
        if is_test and spec.frame:
            continue
        label = world.labels.index(spec.individual_id or "")
        if spec.event_id not in chosen:
            at_home = rng.random() < habit
            place = places[label] if at_home else places[int(rng.integers(len(places)))]
            chosen[spec.event_id] = place, float(rng.uniform(0.3, 0.48))
        image, animal = _seen(world, spec, *chosen[spec.event_id])
        images.append(image)
        animals.append(animal)
        classes.append(label)
    return Pictures(torch.stack(images), torch.stack(animals), torch.tensor(classes))


def _seen(world: World, spec: SceneSpec, place: str, length: float) -> tuple[Tensor, Tensor]:
    # Nearer than a camera trap's usual animal: the size at which a network so small can distinguish coats.
    pose = replace(spec.pose, length=length, x=0.25 + 0.5 * spec.pose.x)
    scene = render(world, replace(spec, camera_id=place, pose=pose))
    height, width = SIZE
    image = Image.fromarray(scene.image).resize((width, height), Image.Resampling.BILINEAR, reducing_gap=None)
    animal = Image.fromarray(scene.animal_mask).convert("L").resize((width, height), Image.Resampling.BOX)
    return (
        torch.from_numpy(np.array(image)).permute(2, 0, 1),
        torch.from_numpy(np.array(animal, dtype=np.float32) / 255),
    )


def logits_of(model: Any, images: Tensor, animal: Tensor, shown: str) -> Tensor:
    """Logits of pictures as they are, with all but the animal in the mean colour, or with its patch tokens alone averaged.

    Args:
        model: from :func:`build_vit`.
        images: (B, 3, H, W) normalised: 0 is the mean colour.
        animal: (B, H, W) in [0, 1].
        shown: ``original``, ``early`` or ``late``.

    Raises:
        ValueError: ``late`` for a network that reads its class token, where it changes nothing.
    """
    if shown != "late":
        return model(images * animal[:, None] if shown == "early" else images)
    if model.global_pool != "avg":
        raise ValueError("late masking: the network reads its class token only")
    tokens = model.forward_features(images)
    weight = F.interpolate(animal[:, None], scale_factor=1 / PATCH, mode="area").flatten(2).transpose(1, 2)
    pooled = (tokens * weight).sum(1) / weight.sum(1).clamp_min(1e-6)
    return model.head(model.head_drop(model.fc_norm(pooled)))


def compare(
    settings: Settings, seed: int, progress: Callable[[str], None] = lambda _what: None
) -> list[dict[str, Any]]:
    """Train both networks in every way and test each in known and in new places.

    Args:
        settings: data and training.
        seed: of the world, the bursts and the weights.
        progress: called after each network.

    Returns:
        Rows: pool, how it was trained, what it is shown, n, accuracy_known (new bursts, with the places and habits of
        training), accuracy_new (the same bursts before places that were never seen, any individual at any).
    """
    habits = make_world(90_000 + seed, n_individuals=settings.n_individuals, n_cameras=settings.n_individuals)
    data = place_pictures(habits, settings, is_test=False, habit=settings.habit, seed=seed)
    known = place_pictures(habits, settings, is_test=True, habit=settings.habit, seed=seed + 1)
    elsewhere = with_new_cameras(habits, 50_000 + seed)
    new = place_pictures(elsewhere, settings, is_test=True, habit=0.0, seed=seed + 1)
    progress(f"{len(data.classes)} scenes to learn from, {len(new.classes)} in new places")
    rows = []
    for pool in POOLS:
        for trained in SHOWN if pool == "gap" else SHOWN[:2]:
            model = _train(pool, trained, data, settings, seed)
            for shown in SHOWN if pool == "gap" else SHOWN[:2]:
                # What a network trained under one mask makes of the other is of no use.
                if trained in ("original", shown):
                    row: dict[str, Any] = {"pool": pool, "trained": trained, "shown": shown, "n": len(new.classes)}
                    row["accuracy_known"] = _accuracy(model, known, shown)
                    row["accuracy_new"] = _accuracy(model, new, shown)
                    rows.append(row)
            progress(f"{pool} trained on {trained}: {rows[-1]['accuracy_new']:.2f} in new places")
    return rows


def _train(pool: str, shown: str, data: Pictures, settings: Settings, seed: int) -> Any:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int.from_bytes(hashlib.sha256(f"{pool} {shown} {seed}".encode()).digest()[:4], "big"))
        model = build_vit(pool, settings).train()
        optimiser = torch.optim.AdamW(model.parameters(), lr=settings.lr, weight_decay=0.05)
        steps = len(data.classes) // settings.batch_size
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimiser, settings.lr, total_steps=steps * settings.epochs, pct_start=0.2
        )
        for _ in range(settings.epochs):
            order = torch.randperm(len(data.classes))
            for step in range(steps):
                rows = order[step * settings.batch_size : (step + 1) * settings.batch_size]
                images, animal = _shifted(data.images[rows], data.animal[rows])
                logits = logits_of(model, images, animal, shown)
                loss = F.cross_entropy(logits, data.classes[rows], label_smoothing=0.05)
                optimiser.zero_grad(set_to_none=True)
                loss.backward()
                nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimiser.step()
                schedule.step()
    return model.eval()


def _shifted(images: Tensor, animal: Tensor) -> tuple[Tensor, Tensor]:
    """Normalised, brighter or darker, moved by a few pixels; never mirrored, since flanks differ."""
    gain = 1 + 0.25 * (2 * torch.rand(len(images), 1, 1, 1) - 1)
    shift = torch.randint(-6, 7, (2,)).tolist()
    return _normalised(images, gain).roll(shift, dims=(2, 3)), animal.roll(shift, dims=(1, 2))


def _normalised(images: Tensor, gain: Tensor | float = 1.0) -> Tensor:
    return ((images.float() / 255 * gain).clamp(0, 1) - 0.4) / 0.2


@torch.inference_mode()
def _accuracy(model: Any, pictures: Pictures, shown: str) -> float:
    parts: Sequence[Tensor] = [
        logits_of(model, _normalised(images), animal, shown).argmax(1)
        for images, animal in zip(pictures.images.split(64), pictures.animal.split(64), strict=True)
    ]
    return float((torch.cat(list(parts)) == pictures.classes).double().mean())
