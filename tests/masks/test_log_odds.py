"""The score: exact log-odds, at any confidence."""

from __future__ import annotations

import math

import pytest
import torch

from scd_core.masks.log_odds import log_odds, pairwise_log_odds, target_score


@pytest.mark.parametrize(("probability", "expected"), [(0.5, 0.0), (0.99, 4.595), (0.01, -4.595)])
def test_value_at_known_probabilities(probability: float, expected: float) -> None:
    logits = torch.tensor([[probability, 1 - probability]]).log()
    assert log_odds(logits, torch.tensor([0])).item() == pytest.approx(expected, abs=1e-3)


def test_many_classes_against_the_definition() -> None:
    logits = torch.randn(6, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    targets = torch.tensor([0, 1, 2, 3, 8, 8])
    p = logits.softmax(1).gather(1, targets[:, None])[:, 0]
    torch.testing.assert_close(log_odds(logits, targets), (p / (1 - p)).log())


def test_confidence_beyond_float32_keeps_value_and_gradient() -> None:
    logits = torch.tensor([[60.0, 0.0, -3.0]], requires_grad=True)
    value = log_odds(logits, torch.tensor([0]))
    assert value.item() == pytest.approx(60 - math.log(1 + math.exp(-3)), rel=1e-6)
    (gradient,) = torch.autograd.grad(value.sum(), logits)
    assert gradient[0, 0].item() == 1.0 and gradient[0, 1].item() < -0.9


def test_contrast_is_the_difference_of_two_logits() -> None:
    logits = torch.tensor([[1.0, 5.0, -2.0]])
    first, second = torch.tensor([0]), torch.tensor([2])
    assert pairwise_log_odds(logits, first, second).item() == 3.0
    assert target_score(logits, first, second).item() == 3.0
    assert target_score(logits, first).item() == log_odds(logits, first).item() != 3.0
