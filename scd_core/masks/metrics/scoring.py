"""What the faithfulness metrics share: the order of a map's pixels, and the target's probability in batches."""

from __future__ import annotations

import torch
from torch import Tensor

from scd_core.masks.preserve import Model, borrowed, run_model

__all__ = ["pixel_ranks", "target_probability"]


def pixel_ranks(maps: Tensor, seed: int) -> Tensor:
    """Rank of each pixel of (N, H, W) maps, 0 for the most important, as (N, H, W) int64.

    Equal values take a random order of the seed: by position, the top rows of a constant map would count as evidence.
    """
    flat = maps.flatten(1)
    generator = torch.Generator().manual_seed(seed)
    shuffle = torch.randperm(flat.shape[1], generator=generator).to(flat.device)
    order = shuffle[flat[:, shuffle].argsort(dim=1, descending=True, stable=True)]
    positions = torch.arange(flat.shape[1], device=flat.device).expand(order.shape)
    return torch.empty_like(order).scatter_(1, order, positions).view(maps.shape)


def target_probability(model: Model, images: Tensor, targets: Tensor, batch_size: int) -> Tensor:
    """Softmax probability of each image's target, without gradients and in eval mode.

    Args:
        model: (B, C, H, W) -> (B, K) logits.
        images: (N, C, H, W).
        targets: (N,) class indices, checked before.
        batch_size: images through the model at once.

    Returns:
        (N,) float64 on the CPU.

    Raises:
        ValueError: the model gives no logits for K >= 2 classes.
    """
    found = []
    with borrowed(model), torch.no_grad():
        for start in range(0, len(images), batch_size):
            part = images[start : start + batch_size]
            logits = run_model(model, part)
            chosen = targets[start : start + batch_size].to(logits.device)
            found.append(logits.double().softmax(dim=1).gather(1, chosen[:, None].long())[:, 0].cpu())
    return torch.cat(found)
