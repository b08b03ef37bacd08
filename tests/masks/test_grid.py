"""A finished map laid over the pixels."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from scd_core.masks.grid import Grid
from scd_core.masks.settings import SCDConfig

LOGITS = torch.linspace(-30, 30, 2 * 4 * 5).view(2, 4, 5)[:, :, [3, 0, 4, 1, 2]].contiguous()


def _grid(cells: int = 4) -> Grid:
    return Grid(12, 15, cells, SCDConfig(), torch.device("cpu"), torch.float32)


@pytest.mark.parametrize("temperature", [0.7, 1.0, 4.0, 1e4])
def test_a_cell_keeps_its_value_at_its_centre(temperature: float) -> None:
    spread = _grid().spread_map(LOGITS, temperature)
    torch.testing.assert_close(spread[:, 1::3, 1::3], LOGITS.sigmoid(), rtol=1e-3, atol=1e-6)
    assert spread.min() >= 0 and spread.max() <= 1


def test_between_centres_it_goes_from_probabilities_to_logits() -> None:
    bilinear = {"size": (12, 15), "mode": "bilinear", "align_corners": False}
    of_probabilities = F.interpolate(LOGITS.sigmoid()[None], **bilinear)[0]
    of_logits = F.interpolate(LOGITS[None], **bilinear)[0].sigmoid()
    torch.testing.assert_close(_grid().spread_map(LOGITS, 1.0), of_probabilities)
    torch.testing.assert_close(_grid().spread_map(LOGITS.double().float(), 300.0), of_logits, rtol=0, atol=2e-2)


def test_a_pixel_beside_evidence_ranks_by_its_own_cell_as_well() -> None:
    """A faint cell beside evidence stays behind a middling cell far off; interpolated probabilities turn that round."""
    logits = torch.full((1, 4, 5), -25.0)
    logits[0, 0, 0], logits[0, 3, 4] = 12.0, -2.5
    halo, far = (slice(0, 1), 0, 3), (slice(0, 1), 10, 13)
    ones, fours = (_grid().spread_map(logits, temperature) for temperature in (1.0, 4.0))
    assert ones[halo] > ones[far]
    assert fours[halo] < fours[far]


def test_extreme_logits_are_finite() -> None:
    extreme = torch.tensor([[[-1e4, 1e4], [1e4, -1e4]]])
    spread = Grid(6, 6, 2, SCDConfig(), torch.device("cpu"), torch.float32).spread_map(extreme, 4.0)
    assert spread.isfinite().all()
    assert spread[0, 0, 0] == 0 and spread[0, 0, -1] == 1


def test_one_cell_a_pixel_is_left_alone() -> None:
    torch.testing.assert_close(
        Grid(4, 5, 4, SCDConfig(), torch.device("cpu"), torch.float32).spread_map(LOGITS, 4.0), LOGITS.sigmoid()
    )
