"""The score a mask is fitted to: log-odds of the target class, exact at any confidence."""

from __future__ import annotations

import torch

__all__ = ["log_odds", "logit_range", "pairwise_log_odds", "target_score"]

_LEAST_UNIT = 1e-3
"""Least range of logits that a score is counted in (log-odds): a network that gives everything the same."""


def log_odds(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Log-odds of the target class, ``log p_c - log sum_{j != c} p_j``.

    The softmax normaliser cancels, so the value is ``logit_c - logsumexp`` of the others: exact where ``1 - p_c``
    underflows (Chang et al. 2019, eq. 4).

    Args:
        logits: (B, K), K >= 2.
        targets: (B,) int64 in [0, K).

    Returns:
        (B,) in the dtype of `logits`; 0 at p = .5, 4.595 at p = .99.

    Example:
        >>> log_odds(torch.tensor([[0.5, 0.5], [0.99, 0.01]]).log(), torch.tensor([0, 0]))
        tensor([0.0000, 4.5951])
    """
    column = targets.unsqueeze(1)
    others = logits.scatter(1, column, -torch.inf)
    return logits.gather(1, column).squeeze(1) - others.logsumexp(1)


def pairwise_log_odds(logits: torch.Tensor, targets: torch.Tensor, rivals: torch.Tensor) -> torch.Tensor:
    """Log-odds of the target against one rival class, ``logit_target - logit_rival``.

    Args:
        logits: (B, K).
        targets: (B,) int64 in [0, K).
        rivals: (B,) int64 in [0, K).

    Returns:
        (B,) in the dtype of `logits`.
    """
    return logits.gather(1, targets.unsqueeze(1)).squeeze(1) - logits.gather(1, rivals.unsqueeze(1)).squeeze(1)


def target_score(logits: torch.Tensor, targets: torch.Tensor, rivals: torch.Tensor | None = None) -> torch.Tensor:
    """Log-odds against all other classes, or against `rivals` where they are given; shapes as in the two functions."""
    return log_odds(logits, targets) if rivals is None else pairwise_log_odds(logits, targets, rivals)


def logit_range(logits: torch.Tensor) -> torch.Tensor:
    """Largest logit less the mean of the finite ones, at least .001: what scores of an image are counted in.

    Args:
        logits: (B, K); -inf is the logit of a class that the model leaves out.

    Returns:
        (B,) in the dtype of `logits`.
    """
    is_finite = logits.isfinite()
    mean = logits.masked_fill(~is_finite, 0).sum(1) / is_finite.sum(1).clamp(min=1)
    return (logits.amax(1) - mean).clamp(min=_LEAST_UNIT)
