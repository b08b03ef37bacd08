"""Early against late masking in training, a CNN against a small ViT, on real cats in places where they were not learnt.

``python -m benchmarks.improve.masking --json FILE``. Early: all but the animal's box is the picture's mean colour, grey, or
blurred. Late: the whole picture is shown, and features are averaged inside the box only. Both networks stand on the first 14
blocks of mobilenet_v2 with ImageNet's weights, which do not learn; the CNN learns its last five blocks, the ViT (timm's, from
weights of chance) two layers over the 14 x 14 patches that those blocks give, answering from their average (gap) or from a class
token (cls).
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models import mobilenet_v2

from benchmarks.common import Report
from benchmarks.improve.start import begun, seeds_of, set_options
from benchmarks.real.sets import ARCHITECTURE, RealSet, find_weights, make_set
from scd_core.audit.slices.statistics import wilson_interval
from scd_core.boxes import Box
from scd_core.identify import InputSpec
from scd_core.identify.architectures import default_input
from scd_core.identify.preprocess import preprocess
from scd_core.masks.infill import blend, make_infill
from scd_core.masks.reliance import animal_mask
from scd_core.reclassify.strategies import BLUR_SIGMA

__all__ = ["main"]

EARLY = ("mean", "grey", "blur")
SHOWN = ("whole", *EARLY)
_FROZEN = 14
_BATCH = 32
EPOCHS = {"cnn": 6, "vit_gap": 10, "vit_cls": 10}
TRAINED = {
    "cnn": ("whole", "mean", "late", "blur", "grey"),
    "vit_gap": ("whole", "mean", "late"),
    "vit_cls": ("whole", "mean"),
}
"""Network -> how it is trained, one after the other."""


@dataclass(frozen=True)
class Part:
    """Pictures as the frozen blocks give them."""

    features: dict[str, Tensor]
    """How they are shown -> (N, 96, 14, 14)."""
    keep: Tensor
    """(N, 224, 224): 1 on the animal."""
    truth: Tensor
    """(N,) individual."""
    is_new: Tensor
    """(N,) at another's place."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark; see the module."""
    parser = set_options(__doc__, [3, 4])
    args = parser.parse_args(arguments)
    report = begun("improve_masking", args)
    weights = find_weights()
    if report is None or weights is None:
        return None
    for seed in seeds_of(args):
        learnt, test = _parts(make_set(args.work, "place", seed), weights)
        report.progress(f"set {seed}: {len(learnt.truth)} pictures to learn from, {len(test.truth)} to name")
        for kind, ways in TRAINED.items():
            for trained in ways:
                network = _trained(kind, trained, learnt, seed, weights)
                for shown in (*SHOWN, "late") if trained == "whole" else (trained,):
                    if kind == "vit_cls" and shown == "late":
                        continue  # a class token does not know of it
                    right = _right(network, test, shown)
                    report.rows.append(
                        {
                            "seed": seed, "network": kind, "trained": trained, "shown": shown, "n": int(test.is_new.sum()),
                            "new": int(right[test.is_new].sum()), "home": int(right[~test.is_new].sum()),
                        }
                    )  # fmt: skip
                    report.progress(str(report.rows[-1]))
    _summarise(report)
    report.finish(args.json)


def _summarise(report: Report) -> None:
    """Right of all seeds together, with Wilson's interval."""
    for kind, trained, shown in dict.fromkeys((row["network"], row["trained"], row["shown"]) for row in report.rows):
        rows = [row for row in report.rows if (row["network"], row["trained"], row["shown"]) == (kind, trained, shown)]
        n = sum(row["n"] for row in rows)
        for place in ("new", "home"):
            right = sum(row[place] for row in rows)
            low, high = wilson_interval(right / n, n)
            key = f"{kind}_{trained}_{shown}_{place}"
            report.summary |= {key: right, f"{key}_low": float(low), f"{key}_high": float(high)}
        report.summary["n"] = n


def _parts(found: RealSet, weights: Path) -> tuple[Part, Part]:
    """Training and test pictures of a set."""
    first = _mobilenet(weights).features[:_FROZEN].eval()
    names: list[str] = []
    parts = []
    for folder, table in ((found.folder / "set" / "train", "train.csv"), (found.pictures, "truth.csv")):
        with found.file(table).open(newline="") as handle:
            rows = list(csv.DictReader(handle))
        names = names or sorted({row["individual_id"] for row in rows})
        features: dict[str, list[Tensor]] = {shown: [] for shown in SHOWN}
        keeps = []
        for start in range(0, len(rows), 16):
            some = rows[start : start + 16]
            images, keep = _read(folder, some)
            keeps.append(keep)
            for shown in SHOWN:
                with torch.inference_mode():
                    features[shown].append(first(_shown(images, keep, shown)))
        parts.append(
            Part(
                {shown: torch.cat(one).clone() for shown, one in features.items()},
                torch.cat(keeps),
                torch.tensor([names.index(row["individual_id"]) for row in rows]),
                torch.tensor([row.get("is_shifted") == "true" for row in rows]),
            )
        )
    return parts[0], parts[1]


def _read(folder: Path, rows: Sequence[dict[str, str]]) -> tuple[Tensor, Tensor]:
    """(B, 3, 224, 224) normalised pictures, and (B, 224, 224) where the animal is."""
    spec = InputSpec(**default_input(ARCHITECTURE))
    images, keeps = [], []
    for row in rows:
        with Image.open(folder / row["file"]) as opened:
            images.append(preprocess(opened.convert("RGB"), spec))
        x, y, width, height = (float(row[name]) for name in ("x_min", "y_min", "width", "height"))
        box: Box = x, y, width, height
        keeps.append(animal_mask(box, images[-1].shape))
    return torch.stack(images), torch.stack(keeps)


def _shown(images: Tensor, keep: Tensor, shown: str) -> Tensor:
    if shown == "whole":
        return images
    if shown == "grey":
        return blend(images, keep, torch.zeros_like(images))
    return blend(images, keep, make_infill(images, shown, BLUR_SIGMA, torch.zeros(len(images), dtype=torch.int64)))


class _Cnn(nn.Module):
    """The last blocks of mobilenet_v2, averaged, and a linear layer."""

    def __init__(self, n_classes: int, weights: Path) -> None:
        super().__init__()
        self.blocks = _mobilenet(weights).features[_FROZEN:]
        self.head = nn.Sequential(nn.Dropout(0.2), nn.Linear(1280, n_classes))

    def forward(self, x: Tensor, keep: Tensor | None) -> Tensor:
        found = self.blocks(x)
        weight = torch.ones_like(found[:, :1]) if keep is None else _pooled(keep, found.shape[-1])
        logits: Tensor = self.head((found * weight).sum((2, 3)) / weight.sum((2, 3)))
        return logits


class _Vit(nn.Module):
    """timm's layers over the patches of the frozen blocks."""

    def __init__(self, n_classes: int, pool: str) -> None:
        import timm

        super().__init__()
        network: Any = timm.models.VisionTransformer(
            img_size=14, patch_size=1, in_chans=96, num_classes=n_classes, embed_dim=128, depth=2, num_heads=4,
            mlp_ratio=2.0, global_pool="avg" if pool == "gap" else "token", class_token=pool == "cls",
        )  # fmt: skip
        self.network = network

    def forward(self, x: Tensor, keep: Tensor | None) -> Tensor:
        network = self.network
        if keep is None:
            found: Tensor = network(x)
            return found
        weight = _pooled(keep, 14).flatten(2).transpose(1, 2)
        pooled = (network.forward_features(x) * weight).sum(1) / weight.sum(1)
        logits: Tensor = network.head(network.fc_norm(pooled))
        return logits


def _pooled(keep: Tensor, side: int) -> Tensor:
    """(B, 1, side, side): share of each cell that is animal, never quite 0."""
    return F.adaptive_avg_pool2d(keep[:, None], side).clamp_min(1e-6)


def _mobilenet(weights: Path) -> Any:
    network = mobilenet_v2()
    network.load_state_dict(torch.load(weights, weights_only=True))
    return network


def _trained(kind: str, trained: str, learnt: Part, seed: int, weights: Path) -> nn.Module:
    torch.manual_seed(seed)
    n_classes = int(learnt.truth.max()) + 1
    epochs, n = EPOCHS[kind], len(learnt.truth)
    steps = epochs * -(-n // _BATCH)
    network: nn.Module
    optimizer: torch.optim.Optimizer
    if kind == "cnn":
        network = _Cnn(n_classes, weights)
        optimizer = torch.optim.SGD(network.parameters(), 0.01, momentum=0.9, weight_decay=5e-4)
    else:
        network = _Vit(n_classes, kind.removeprefix("vit_"))
        optimizer = torch.optim.AdamW(network.parameters(), 1e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    network.train()
    for _ in range(epochs):
        for some in torch.randperm(n).split(_BATCH):
            loss = F.cross_entropy(_logits(network, learnt, trained)(some), learnt.truth[some])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return network.eval()


def _logits(network: nn.Module, part: Part, shown: str) -> Callable[[Tensor], Tensor]:
    """Rows -> logits."""
    is_late = shown == "late"
    features = part.features["whole" if is_late else shown]
    return lambda rows: network(features[rows], part.keep[rows] if is_late else None)


@torch.inference_mode()
def _right(network: nn.Module, test: Part, shown: str) -> Tensor:
    """(N,) bool."""
    parts: Iterator[Tensor] = (_logits(network, test, shown)(rows) for rows in torch.arange(len(test.truth)).split(64))
    return torch.cat([part.argmax(1) for part in parts]) == test.truth


if __name__ == "__main__":
    main()
