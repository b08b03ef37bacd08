"""How often a network is right, without labels, from how often it agrees with itself (AETTA, Lee et al., CVPR 2024)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from scd_core.identify.classifier import Classifier

__all__ = ["expected_right"]

N_DRAWS = 10
DROPPED = 0.4
"""Share of features that each draw drops; the authors' code has it for 10 classes."""
POWER = 3
_LEAST = 1e-6


def expected_right(classifier: Classifier, features: Tensor, head: nn.Module, seed: int = 0) -> float:
    """Expected share of right names, 0-1.

    ``1 - d / (H / log K)^3``, at least 1 / K: d is the share of names that differ from the network's own when features are
    dropped at random, H the entropy of the mean probabilities over all pictures and draws. A network that gives all pictures one
    name agrees with itself and has H near 0. The running mean of the authors' code is left out: pictures are judged at once.

    Args:
        classifier: gives probabilities of its K names from logits.
        features: (N, D), as the last layer reads them.
        head: the last layer: (N, D) -> logits.
        seed: of the draws.
    """
    draws = torch.Generator().manual_seed(seed)
    own = classifier.probabilities(_logits(head, features)).argmax(1)
    n_names = len(classifier.names)
    n_same, total = 0, torch.zeros(n_names, dtype=torch.float64)
    for _ in range(N_DRAWS):
        kept = torch.rand(features.shape, generator=draws) >= DROPPED
        probabilities = classifier.probabilities(_logits(head, features * kept / (1 - DROPPED)))
        n_same += int((probabilities.argmax(1) == own).sum())
        total += probabilities.sum(0)
    mean = total / (N_DRAWS * len(features))
    entropy = float(-(mean * (mean + _LEAST).log()).sum())
    differs = 1 - n_same / (N_DRAWS * len(features))
    evenness = max(entropy / math.log(n_names), _LEAST)
    return 1 - min(1 - 1 / n_names, differs / evenness**POWER)


@torch.no_grad()
def _logits(head: nn.Module, features: Tensor) -> Tensor:
    parameter = next(head.parameters())
    found: Tensor = head(features.to(parameter.device, parameter.dtype))
    return found.float().cpu()
