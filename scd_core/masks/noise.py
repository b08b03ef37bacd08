"""Uniform noise as a function of (seed, step, cell): the same on every device and whatever shares the batch."""

from __future__ import annotations

import math

import torch

__all__ = ["paired_uniform", "uniform_field"]

_MASK32 = 0xFFFFFFFF
_GOLDEN = 0x9E3779B9


def uniform_field(seeds: torch.Tensor, step: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
    """Uniform noise from a counter hash: no generator state, no transfer from the host, no order to keep.

    The hash is two rounds of a 32-bit avalanche mix of the cell's number, keyed by seed and step.

    Args:
        seeds: (W,) int64, one seed per image.
        step: (W,) int64, number of the draw of each image.
        shape: shape of one image's noise; at most 2^32 values.

    Returns:
        (W, *shape) float32 in (0, 1), on the device of `seeds`.
    """
    low, high = seeds & _MASK32, (seeds >> 32) & _MASK32
    key = _mix(_mix(_mix(low + _GOLDEN) ^ high) + step * _GOLDEN & _MASK32)
    cell = torch.arange(math.prod(shape), device=seeds.device)
    bits = _mix(_mix(cell ^ key[:, None]) + _GOLDEN + key[:, None] & _MASK32)
    return ((bits >> 8).to(torch.float32) + 0.5).mul_(2.0**-24).view(len(seeds), *shape)


def paired_uniform(
    seeds: torch.Tensor, step: torch.Tensor, samples: int, shape: tuple[int, ...], antithetic: bool
) -> torch.Tensor:
    """Noise of S samples per image; antithetic samples come as pairs (u, 1 - u), whose errors of odd order cancel.

    Args:
        seeds: (W,) int64.
        step: (W,) int64.
        samples: S >= 1; with an odd S the last sample has no partner.
        shape: shape of one sample.
        antithetic: draw pairs rather than independent samples.

    Returns:
        (W, S, *shape) float32 in (0, 1).
    """
    if not antithetic:
        return uniform_field(seeds, step, (samples, *shape))
    first = uniform_field(seeds, step, (math.ceil(samples / 2), *shape))
    return torch.stack((first, 1 - first), dim=2).flatten(1, 2)[:, :samples]


def _mix(value: torch.Tensor) -> torch.Tensor:
    """Avalanche of 32-bit integers held in int64 (xor-shift and odd multipliers; products wrap, low bits are exact)."""
    value = value & _MASK32
    value = ((value ^ (value >> 16)) * 0x7FEB352D) & _MASK32
    value = ((value ^ (value >> 15)) * 0x846CA68B) & _MASK32
    return value ^ (value >> 16)
