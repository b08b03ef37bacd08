"""The margin loss of the benchmark of galleries, and the masks of the one that trains with them."""

from __future__ import annotations

import pytest
import torch

from benchmarks.improve.margin import margin_logits


def cosines(own: float, others: float) -> tuple[torch.Tensor, torch.Tensor]:
    draws = torch.Generator().manual_seed(0)
    truth = torch.randint(0, 6, (9,), generator=draws)
    found = others * torch.rand(9, 6, generator=draws)
    return found.scatter(1, truth[:, None], own + 0.3 * torch.rand(9, 1, generator=draws)), truth


def test_the_median_sample_has_its_own_name_with_a_tenth() -> None:
    found, truth = cosines(0.5, 0.3)
    logits = margin_logits(found, truth)
    place = found.gather(1, truth[:, None])[:, 0].median(0)[1]
    assert float(torch.softmax(logits[place], 0)[truth[place]]) == pytest.approx(0.1, abs=1e-3)


def test_without_a_median_above_the_others_there_is_no_margin() -> None:
    found, truth = cosines(-0.3, 0.9)
    logits = margin_logits(found, truth)
    torch.testing.assert_close(logits / logits[0, 0], found / found[0, 0])


def test_the_scale_grows_with_the_median_cosine() -> None:
    scales = [
        float((logits / found).max())
        for found, truth in (cosines(0.0, 0.1), cosines(0.65, 0.1))
        for logits in (margin_logits(found, truth),)
    ]
    assert scales[0] == pytest.approx(32, rel=1e-3) and scales[1] > 40
