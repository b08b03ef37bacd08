"""fit_masks against the method written out again: loops, float64, autograd from end to end, torch's own parts."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from scd_core.masks import fit_masks
from scd_core.masks.infill import blur
from scd_core.masks.noise import uniform_field
from scd_core.masks.settings import SCDConfig


def _network(kind: str) -> nn.Module:
    torch.manual_seed(4)
    if kind == "transformer":
        layer = nn.TransformerEncoderLayer(12, 2, 24, dropout=0.0, batch_first=True)
        return nn.Sequential(
            nn.Conv2d(3, 12, 6, 6), nn.Flatten(2), _Transpose(), layer, _MeanOverTokens(), nn.Linear(12, 5)
        ).double()
    return nn.Sequential(
        nn.Conv2d(3, 8, 5, 3), nn.BatchNorm2d(8), nn.Tanh(), nn.Conv2d(8, 8, 3), nn.SiLU(), nn.AdaptiveAvgPool2d(1),
        nn.Flatten(), nn.Linear(8, 5),
    ).double()  # fmt: skip


class _Transpose(nn.Module):
    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return values.transpose(1, 2)


class _MeanOverTokens(nn.Module):
    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return values.mean(1)


def _by_hand(model: nn.Module, image: torch.Tensor, target: int, seed: int, config: SCDConfig) -> torch.Tensor:
    """(2, H, W) sufficient and destroying map of one image; nothing of the engine but its noise and its blur."""
    model.eval()
    height, width = image.shape[1:]
    short = min(height, width)
    cells = (round(height * config.mask_size / short), round(width * config.mask_size / short))
    frame = 224 * 224 if config.pixel_unit == "frame_224" else height * width
    pixels = frame / (cells[0] * cells[1])
    infill = blur(image[None], config.infill_sigma * short / 224)[0]
    logits = model(image[None])[0].detach()
    unit = (logits.max() - logits.mean()).item() if config.score_unit == "logit_range" else 1.0
    k = nn.Parameter(torch.zeros(2, *cells, dtype=torch.float64))
    optimiser = torch.optim.AdamW(
        [k], lr=config.learning_rate, eps=config.eps * pixels, betas=config.betas, weight_decay=config.weight_decay
    )
    path = []
    for step in range(config.steps):
        draws = (config.samples + 1) // 2 if config.antithetic else config.samples
        u = uniform_field(torch.tensor([seed]), torch.tensor([step]), (draws, 2, *cells))[0]
        if config.antithetic:
            u = torch.cat([torch.stack((one, 1 - one)) for one in u])[: config.samples]
        u = u.double().clamp(1e-7, 1 - 1e-7)
        loss = torch.zeros((), dtype=torch.float64)
        for sample in range(config.samples):
            for region in (0, 1):
                z = torch.sigmoid(
                    (k[region] + (u[sample, region] / (1 - u[sample, region])).log()) / config.temperature
                )
                z = F.interpolate(z[None, None], size=(height, width), mode="bilinear", align_corners=False)[0]
                keep = z if region == 0 else 1 - z
                p = model((keep * image + (1 - keep) * infill)[None]).softmax(1)[0, target]
                odds = (p / (1 - p)).log() / (unit * config.samples)
                loss = loss - odds if region == 0 else loss + odds
        p = k.sigmoid()
        area = p.mean((1, 2)).sum() * frame
        variation = (p.diff(dim=1).abs().sum() + p.diff(dim=2).abs().sum()) * pixels
        ramp = min(1.0, (step + 1) / config.ramp_steps)
        loss = loss + ramp * (config.area_weight * area + config.variation_weight * variation)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        path.append(k.detach().clone())
    if config.average:
        final = sum((step + 1) * one for step, one in enumerate(path)) / sum(range(1, len(path) + 1))
    else:
        final = path[-1]
    of_cells = (final / config.spread_temperature).sigmoid()
    spread = F.interpolate(of_cells[None], size=(height, width), mode="bilinear", align_corners=False)[0]
    return (config.spread_temperature * torch.special.logit(spread.clamp(0, 1))).sigmoid()


@pytest.mark.parametrize("kind", ["convolutions", "transformer"])
@pytest.mark.parametrize("setting", ["default", "reference", "no averaging, t = .5, odd samples"])
def test_course_of_the_optimisation(kind: str, setting: str) -> None:
    config = {
        "default": SCDConfig(mask_size=8, steps=4, tolerance=0.0),
        "reference": SCDConfig.reference().model_copy(update={"steps": 3, "mask_size": 24}),
        "no averaging, t = .5, odd samples": SCDConfig(
            mask_size=6, steps=4, samples=3, temperature=0.5, average=False, tolerance=0.0, learning_rate=3.0
        ),
    }[setting]
    model = _network(kind)
    images = torch.randn(2, 3, 24, 36, dtype=torch.float64, generator=torch.Generator().manual_seed(8))
    targets, seeds = torch.tensor([3, 1]), torch.tensor([21, 22])
    masks = fit_masks(model, images, targets, config, seeds)
    for index in range(2):
        expected = _by_hand(model, images[index], int(targets[index]), int(seeds[index]), config)
        found = torch.stack((masks.sufficient[index], masks.destroying[index]))
        # The maps are returned in float32.
        torch.testing.assert_close(found.double(), expected.clamp(0, 1), rtol=0, atol=2e-5)
        assert (expected - 0.5).abs().max() > 0.05, "the fixture: the map has moved"
