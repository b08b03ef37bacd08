"""fit_masks on networks of other kinds and on real photographs."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image
from torch import nn

from scd_core.identify import load_model
from scd_core.masks import fit_masks
from scd_core.masks.grid import cells_for
from scd_core.masks.settings import SCDConfig

JAGUAR = 290


def _vit(layers: int, heads: int, width: int, classes: int) -> nn.Module:
    model = torchvision.models.VisionTransformer(
        64, 16, num_layers=layers, num_heads=heads, hidden_dim=width, mlp_dim=4 * width, num_classes=classes
    )
    nn.init.normal_(model.heads[0].weight, std=0.02)  # torchvision starts the head at zero, and all gradients with it
    return model


NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, int]]] = {
    # As wide as vit_b_16, whose other ten layers repeat these two.
    "wide vit": (lambda: _vit(2, 12, 768, 1000), (64, 64)),
    "swin_t": (torchvision.models.swin_t, (64, 96)),
    "resnet18": (torchvision.models.resnet18, (64, 80)),
    "small vit": (lambda: _vit(2, 2, 32, 5), (64, 64)),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_any_classifier(name: str) -> None:
    build, size = NETWORKS[name]
    torch.manual_seed(0)
    model = build()
    model.train()
    images = torch.randn(2, 3, *size)
    masks = fit_masks(model, images, torch.tensor([1, 3]), SCDConfig(steps=2))
    assert masks.joint.shape == (2, *size) and masks.joint.isfinite().all() and not masks.failures
    # Untrained, but the maps are no longer where they started.
    assert (masks.sufficient - 0.5).abs().max() > 1e-3
    assert model.training and all(parameter.requires_grad for parameter in model.parameters())


def test_cells_follow_the_network_s_last_feature_map() -> None:
    def cells(model: nn.Module, height: int, width: int, config: SCDConfig | None = None) -> int:
        model.eval()
        return cells_for(model, height, width, config or SCDConfig(), torch.device("cpu"), torch.float32)

    torch.manual_seed(0)
    assert cells(torchvision.models.mobilenet_v2(), 224, 224) == 35
    assert cells(torchvision.models.mobilenet_v2(), 224, 320) == 35
    shallow = nn.Sequential(nn.Conv2d(3, 4, 8, 8), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))
    assert cells(shallow, 120, 160) == 75
    assert cells(nn.Sequential(nn.Flatten(), nn.Linear(3 * 160 * 160, 2)), 160, 160) == 20
    assert cells(shallow, 120, 160, SCDConfig(mask_size=None)) == 120
    assert cells(shallow, 24, 24, SCDConfig(mask_size=100)) == 24


def test_jaguars_masked_and_cropped_are_named_better_than_whole(photographs: Path, mobilenet: Path) -> None:
    """The night's real case on four frames: whole frames are named cheetah or leopard, the mask's crop is named jaguar."""
    from benchmarks.masks.crops import grow_box
    from scd_core.reclassify.crops import evidence_box

    model = load_model(str(mobilenet)).model
    chosen = ["RL 10_20051029_0045.jpg", "RL 5_20051029_0045.jpg", "RL 8_20051009_2329.jpg", "RL 7_20051015_0143.jpg"]
    with (photographs / "jaguar" / "detections.csv").open() as handle:
        boxes = {
            row["file"]: [float(row[key]) for key in ("x_min", "y_min", "width", "height")]
            for row in csv.DictReader(handle)
        }

    def tensor(picture: Image.Image) -> torch.Tensor:
        values = np.asarray(picture.resize((224, 224), Image.Resampling.BILINEAR), dtype=np.float32) / 255
        return torch.from_numpy((values - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]).float().permute(2, 0, 1)

    pictures = [Image.open(photographs / "jaguar" / name).convert("RGB") for name in chosen]
    images = torch.stack([tensor(picture) for picture in pictures])
    with torch.no_grad():
        whole = model(images).argmax(1)
    masks = fit_masks(model, images, whole)
    crops, energy = [], []
    for picture, name, joint in zip(pictures, chosen, masks.joint, strict=True):
        x, y, width, height = grow_box(evidence_box(joint.numpy(), 0.8), 0.15, 0.75)
        w, h = picture.size
        crops.append(tensor(picture.crop((int(x * w), int(y * h), int((x + width) * w), int((y + height) * h)))))
        x, y, width, height = (round(224 * side) for side in boxes[name])
        energy.append((joint[y : y + height, x : x + width].sum() / joint.sum()).item())
    with torch.no_grad():
        cropped = model(torch.stack(crops)).argmax(1)
    assert (whole == JAGUAR).sum() == 0
    assert (cropped == JAGUAR).sum() >= 2
    assert np.mean(energy) > 0.5
    assert masks.evaluations.max() <= 100


def test_mask_does_not_depend_on_the_network_s_temperature() -> None:
    class Scaled(nn.Module):
        def __init__(self, model: nn.Module) -> None:
            super().__init__()
            self.model = model

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            # Two classes: their log-odds scale with the logits, as those of many classes do at the confident end.
            return 4 * self.model(images)

    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 8, 4, 4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 2)
    ).double()
    images, targets = 3 * torch.randn(2, 3, 32, 32, dtype=torch.float64), torch.tensor([0, 1])
    config = SCDConfig(mask_size=8)
    masks, scaled = fit_masks(model, images, targets, config), fit_masks(Scaled(model), images, targets, config)
    torch.testing.assert_close(masks.joint, scaled.joint)
    published = config.model_copy(update={"score_unit": "log_odds"})
    different = fit_masks(Scaled(model), images, targets, published).joint
    assert not torch.allclose(fit_masks(model, images, targets, published).joint, different, atol=1e-3)
