"""Concrete dropout in both forms: the traps that the design names."""

from __future__ import annotations

import pytest
import torch

from scd_core.masks.concrete import keep_probability, logistic, original_concrete, simplified_concrete
from scd_core.masks.noise import paired_uniform, uniform_field


def _noise(count: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return uniform_field(torch.tensor([3]), torch.tensor([0]), (count,))[0].to(dtype)


def test_samples_and_deterministic_keep_agree_in_sign() -> None:
    logits = torch.linspace(-6, 6, 25)
    samples = simplified_concrete(logits[:, None], _noise(20_000), 1.0).mean(1)
    assert ((samples > 0.5) == (keep_probability(logits) > 0.5))[logits != 0].all()
    assert torch.corrcoef(torch.stack((samples, keep_probability(logits))))[0, 1] > 0.99
    assert (simplified_concrete(torch.tensor([5.0, -5.0]), torch.tensor(0.5)) > 0.5).tolist() == [True, False]


@pytest.mark.parametrize("temperature", [0.1, 0.5, 1.0, 2.0])
@pytest.mark.parametrize("logit", [-2.0, 0.0, 0.7, 3.0])
def test_chance_of_a_kept_sample_is_the_keep_probability(temperature: float, logit: float) -> None:
    samples = simplified_concrete(torch.tensor(logit), _noise(40_000), temperature)
    assert (samples > 0.5).float().mean().item() == pytest.approx(
        keep_probability(torch.tensor(logit)).item(), abs=0.01
    )


@pytest.mark.parametrize("logit", [-40.0, -17.0, 17.0, 30.0, 40.0])
def test_simplified_gradient_survives_in_float32_to_forty(logit: float) -> None:
    logits = torch.full((2001,), logit, requires_grad=True)
    uniform = _noise(2001)
    (gradient,) = torch.autograd.grad(simplified_concrete(logits, uniform, 1.0).sum(), logits)
    exact = torch.full((2001,), logit, dtype=torch.float64, requires_grad=True)
    argument = exact + torch.logit(uniform.double().clamp(1e-7, 1 - 1e-7))
    truth = (torch.sigmoid(argument) * torch.sigmoid(-argument)).detach()
    assert (gradient > 0).all()
    torch.testing.assert_close(gradient.double(), truth, rtol=2e-4, atol=0)


@pytest.mark.parametrize("logit", [-18.0, 18.0])
def test_original_gradient_is_lost_in_float32_where_the_simplified_is_not(logit: float) -> None:
    # Noise that meets the logit, where the gradient is largest.
    uniform = torch.sigmoid(torch.tensor(-logit)).clamp(1e-7, 1 - 1e-7)
    gradients = []
    for form in (original_concrete, simplified_concrete):
        logits = torch.tensor(logit, requires_grad=True)
        gradients.append(torch.autograd.grad(form(logits, uniform, 0.1), logits)[0].item())
    assert gradients[0] == 0.0 < gradients[1]


def test_original_gradient_is_there_below_the_loss() -> None:
    logits = torch.tensor(14.0, requires_grad=True)
    value = original_concrete(logits, torch.sigmoid(torch.tensor(-14.0)), 0.1)
    assert torch.autograd.grad(value, logits)[0] > 0


@pytest.mark.parametrize("temperature", [0.1, 1.0])
def test_both_forms_are_one_function_at_equal_temperature(temperature: float) -> None:
    uniform = _noise(401, torch.float64)
    results = []
    for form in (original_concrete, simplified_concrete):
        logits = torch.linspace(-12, 12, 401, dtype=torch.float64, requires_grad=True)
        value = form(logits, uniform, temperature)
        results.append((value.detach(), torch.autograd.grad(value.sum(), logits)[0]))
    torch.testing.assert_close(results[0][0], results[1][0], rtol=1e-7, atol=1e-9)
    torch.testing.assert_close(results[0][1], results[1][1], rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("form", [simplified_concrete, original_concrete])
def test_gradcheck(form) -> None:
    logits = torch.linspace(-3, 3, 12, dtype=torch.float64, requires_grad=True)
    uniform = _noise(12, torch.float64)
    assert torch.autograd.gradcheck(lambda values: form(values, uniform, 0.7), (logits,))


def test_logistic_is_the_sigmoid() -> None:
    values = torch.linspace(-30, 30, 61)
    torch.testing.assert_close(logistic(values), torch.sigmoid(values), rtol=1e-5, atol=0)


def test_noise_depends_on_seed_and_step_and_on_nothing_else() -> None:
    seeds, step = torch.tensor([7, 2**40, -5]), torch.tensor([0, 3, 9])
    together = uniform_field(seeds, step, (2, 5, 5))
    for row in range(3):
        assert torch.equal(together[row], uniform_field(seeds[row : row + 1], step[row : row + 1], (2, 5, 5))[0])
    assert not torch.equal(uniform_field(seeds, step + 1, (25,)), together.flatten(1)[:, :25])
    assert (
        len(
            {
                tuple(row.flatten().tolist())
                for row in uniform_field(torch.tensor([0, 1, 2**32]), torch.zeros(3).long(), (9,))
            }
        )
        == 3
    )


def test_noise_is_uniform_and_uncorrelated() -> None:
    values = uniform_field(torch.arange(4), torch.arange(4), (50_000,))
    assert values.min() > 0 and values.max() <= 1
    counts = torch.histc(values, 20, 0, 1)
    assert ((counts - 10_000).abs() < 500).all()
    assert (torch.corrcoef(values) - torch.eye(4)).abs().max() < 0.02
    assert torch.corrcoef(torch.stack((values[0, :-1], values[0, 1:])))[0, 1].abs() < 0.02


def test_antithetic_samples_are_pairs_and_lower_the_variance_of_the_gradient() -> None:
    seeds, step = torch.zeros(4000, dtype=torch.int64), torch.arange(4000)
    pair = paired_uniform(seeds, step, 2, (1,), antithetic=True)[..., 0]
    torch.testing.assert_close(pair.sum(1), torch.ones(4000))
    independent = paired_uniform(seeds, step, 2, (1,), antithetic=False)[..., 0]

    def spread(uniform: torch.Tensor) -> float:
        return simplified_concrete(torch.tensor(0.3), uniform).mean(1).var().item()

    assert spread(pair) < 0.2 * spread(independent)
    assert paired_uniform(seeds[:1], step[:1], 3, (2,), antithetic=True).shape == (1, 3, 2)
