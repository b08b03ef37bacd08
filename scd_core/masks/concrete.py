"""Concrete dropout: relaxed Bernoulli samples of a keep-map, in the simplified and in the original form."""

from __future__ import annotations

import torch
import torch.nn.functional as F

__all__ = ["keep_probability", "logistic", "original_concrete", "simplified_concrete"]

NOISE_CLAMP = 1e-7
"""Uniform noise and, in the original form, probabilities are kept this far from 0 and 1."""


def logistic(value: torch.Tensor) -> torch.Tensor:
    """The sigmoid, with a gradient that does not vanish in float32 where the value has rounded to 1.

    ``torch.sigmoid`` derives its gradient ``y (1 - y)`` from its rounded value, which is 0 beyond an argument of 17;
    through the log-sigmoid the gradient is ``y sigmoid(-value)``, right to an argument of about 87 on both sides.

    Args:
        value: any shape.

    Returns:
        Same shape, in [0, 1].
    """
    return F.logsigmoid(value).exp()


def keep_probability(logits: torch.Tensor) -> torch.Tensor:
    """Probability that a cell is kept, ``sigmoid(k)``; also ``P(z > .5)`` of its samples at any temperature.

    Args:
        logits: map logits k, any shape.

    Returns:
        Same shape, in [0, 1].
    """
    return logistic(logits)


def simplified_concrete(logits: torch.Tensor, uniform: torch.Tensor, temperature: float = 1.0) -> torch.Tensor:
    """Sample a keep-map by simplified concrete dropout, ``z = sigmoid((k + log u - log(1 - u)) / t)``.

    Korsch, Shadaydeh, Denzler 2023 (arXiv 2307.14825): ``log p - log(1 - p)`` of ``p = sigmoid(k)`` is k itself, so
    the detour through p and its logs, which loses the gradient in float32, is left out. z rises with k: a cell that
    is kept on the whole is kept in most samples.

    Args:
        logits: map logits k, broadcastable with `uniform`.
        uniform: noise in (0, 1), clamped to [1e-7, 1 - 1e-7].
        temperature: t > 0; small values push z to 0 or 1.

    Returns:
        Samples in [0, 1], in the broadcast shape.
    """
    noise = uniform.clamp(NOISE_CLAMP, 1 - NOISE_CLAMP)
    return logistic((logits + noise.log() - torch.log1p(-noise)) / temperature)


def original_concrete(logits: torch.Tensor, uniform: torch.Tensor, temperature: float = 0.1) -> torch.Tensor:
    """Sample a keep-map by concrete dropout in its original form, through p and clamped logs.

    ``z = sigmoid((log p - log(1 - p) + log u - log(1 - u)) / t)`` with ``p = sigmoid(k)`` clamped to
    [1e-7, 1 - 1e-7] (Gal, Hron, Kendall 2017; Chang et al. 2019). At equal t it is the same function as
    :func:`simplified_concrete`; in float32 its gradient is 0 beyond a \\|k\\| of about 16.

    Args:
        logits: map logits k, broadcastable with `uniform`.
        uniform: noise in (0, 1), clamped to [1e-7, 1 - 1e-7].
        temperature: t > 0.

    Returns:
        Samples in [0, 1], in the broadcast shape.
    """
    noise = uniform.clamp(NOISE_CLAMP, 1 - NOISE_CLAMP)
    probability = torch.sigmoid(logits).clamp(NOISE_CLAMP, 1 - NOISE_CLAMP)
    keep = probability.log() - torch.log(1 - probability)
    return torch.sigmoid((keep + noise.log() - torch.log1p(-noise)) / temperature)
