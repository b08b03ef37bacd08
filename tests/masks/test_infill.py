"""Infills, blending and the map's grid."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from scd_core.masks.infill import blend, blur, local_mean, make_infill
from scd_core.masks.resample import bilinear_matrix, gaussian_matrix, resample, total_variation


@pytest.fixture
def images() -> torch.Tensor:
    return (
        torch.randn(3, 3, 40, 56, generator=torch.Generator().manual_seed(1))
        + torch.tensor([5.0, 0.0, -5.0])[:, None, None]
    )


SEEDS = torch.tensor([0, 1, 2])


def test_blend_keeps_and_fills(images: torch.Tensor) -> None:
    keep = torch.zeros(3, 40, 56)
    keep[:, :10] = 1
    mixed = blend(images, keep, torch.zeros_like(images))
    torch.testing.assert_close(mixed[:, :, :10], images[:, :, :10])
    assert mixed[:, :, 10:].abs().max() == 0


def test_blur_is_a_gaussian_that_keeps_the_level(images: torch.Tensor) -> None:
    spike = torch.zeros(1, 3, 41, 41)
    spike[..., 20, 20] = 1
    blurred = blur(spike, 3.0)[0, 0]
    assert blurred.sum().item() == pytest.approx(1, abs=1e-3)
    assert (blurred[20, 23] / blurred[20, 20]).item() == pytest.approx(torch.tensor(-0.5).exp().item(), rel=1e-4)
    flat = torch.ones(1, 3, 20, 30) * 7
    torch.testing.assert_close(blur(flat, 5.0), flat)
    assert (blur(images, 4.0).std() < images.std()).item()


def test_local_mean_is_a_window(images: torch.Tensor) -> None:
    torch.testing.assert_close(local_mean(images, 2)[..., 10, 20], images[..., 8:13, 18:23].mean((-2, -1)))
    torch.testing.assert_close(local_mean(images, 2)[..., 0, 0], images[..., :3, :3].mean((-2, -1)))


def test_mean_infill_is_flat_and_per_image(images: torch.Tensor) -> None:
    filled = make_infill(images, "mean", 10, SEEDS)
    torch.testing.assert_close(filled[..., 3, 4], images.mean((-2, -1)))
    assert filled.std((-2, -1)).max() < 1e-5


def test_noise_infill_has_the_image_s_statistics_and_only_its_seed(images: torch.Tensor) -> None:
    filled = make_infill(images, "noise", 10, SEEDS)
    torch.testing.assert_close(filled.mean((-2, -1)), images.mean((-2, -1)), atol=0.1, rtol=0)
    torch.testing.assert_close(filled.std((-2, -1)), images.std((-2, -1)), atol=0.1, rtol=0)
    torch.testing.assert_close(make_infill(images[1:2], "noise", 10, SEEDS[1:2])[0], filled[1])


def test_background_infill_is_what_was_given(images: torch.Tensor) -> None:
    assert torch.equal(make_infill(images, "background", 10, SEEDS, images.flip(0)), images.flip(0))
    with pytest.raises(ValueError, match="backgrounds"):
        make_infill(images, "background", 10, SEEDS)
    with pytest.raises(ValueError, match="expected one of"):
        make_infill(images, "paint", 10, SEEDS)


@pytest.mark.parametrize(("size", "cells"), [(224, 28), (30, 7), (12, 12), (5, 4)])
def test_bilinear_matrix_is_bilinear_interpolation(size: int, cells: int) -> None:
    values = torch.randn(2, 1, cells, cells, dtype=torch.float64)
    matrix = bilinear_matrix(size, cells)
    torch.testing.assert_close(
        resample(values, matrix, matrix), F.interpolate(values, (size, size), mode="bilinear", align_corners=False)
    )


def test_rows_sum_to_one() -> None:
    for matrix in (bilinear_matrix(50, 9), gaussian_matrix(30, 4.0)):
        torch.testing.assert_close(matrix.sum(1), torch.ones(len(matrix), dtype=torch.float64))


def test_total_variation_does_not_depend_on_the_resolution_of_the_map() -> None:
    coarse = torch.zeros(8, 8)
    coarse[2:5, 3:6] = 1
    fine = coarse.repeat_interleave(4, 0).repeat_interleave(4, 1)
    assert total_variation(coarse, (4.0, 4.0)) == total_variation(fine) == 4 * 3 * 4
