"""Mask metrics against hand-computed cases, scikit-learn, SciPy and brute force."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import sparse
from scipy.sparse.linalg import spsolve
from scipy.stats import spearmanr
from sklearn.metrics import average_precision_score
from torch import nn

from scd_core.masks import metrics
from scd_core.masks.metrics import (
    average_precision,
    class_sensitivity,
    deletion_insertion,
    energy_in_region,
    linear_imputation,
    pointing_hit,
    rank_correlation,
    road,
    total_variation,
)


class PixelSum(nn.Module):
    """Logits (s, -s) with s a weighted sum of the first channel: every probability can be worked out by hand."""

    def __init__(self, weights: torch.Tensor) -> None:
        super().__init__()
        self.weights = nn.Parameter(weights)
        self.largest_batch = 0

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.largest_batch = max(self.largest_batch, len(images))
        score = (images[:, 0] * self.weights).sum(dim=(1, 2))
        return torch.stack([score, -score], dim=1)


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def disc(size: int, row: int, column: int, radius: int) -> torch.Tensor:
    rows, columns = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    return (rows - row) ** 2 + (columns - column) ** 2 <= radius**2


def test_every_public_name_is_there():
    assert all(callable(getattr(metrics, name)) for name in metrics.__all__)


class TestAveragePrecision:
    @pytest.mark.parametrize("levels", [2, 5, 1000])
    def test_agrees_with_scikit_learn_with_and_without_ties(self, generator, levels):
        maps = torch.randint(levels, (6, 9, 13), generator=generator).float()
        regions = torch.rand(6, 9, 13, generator=generator) < 0.3
        expected = [average_precision_score(region.flatten(), map_.flatten()) for region, map_ in zip(regions, maps)]
        np.testing.assert_allclose(average_precision(maps, regions).numpy(), expected, rtol=1e-12)

    def test_of_a_constant_map_is_the_share_of_the_region(self):
        region = disc(20, 8, 8, 4)[None]
        assert average_precision(torch.full((1, 20, 20), 0.3), region).item() == pytest.approx(region.float().mean())

    def test_resizes_a_coarse_map(self):
        coarse = torch.zeros(1, 4, 4)
        coarse[0, 1, 1] = 1.0
        regions = torch.zeros(2, 32, 32)
        regions[0, 8:16, 8:16] = regions[1, 16:24, 16:24] = 1
        right, wrong = average_precision(coarse.expand(2, 4, 4), regions).tolist()
        assert right > 0.95 and wrong < 0.2


class TestEnergy:
    def test_of_halves(self):
        map_ = torch.ones(1, 4, 4)
        map_[0, :, 2:] = 3.0
        region = torch.zeros(1, 4, 4)
        region[0, :, 2:] = 1
        assert energy_in_region(map_, region).item() == pytest.approx(0.75)

    def test_of_an_empty_map_is_zero(self):
        assert energy_in_region(torch.zeros(1, 4, 4), torch.ones(1, 4, 4)).item() == 0.0

    def test_refuses_a_negative_map(self):
        with pytest.raises(ValueError, match="image 1 is negative"):
            energy_in_region(torch.tensor([[[1.0]], [[-1.0]]]), torch.ones(2, 1, 1))


class TestPointing:
    @pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
    def test_a_constant_map_never_hits_even_a_region_that_is_everywhere(self, value):
        assert not pointing_hit(torch.full((1, 16, 16), value), torch.ones(1, 16, 16)).any()

    def test_a_map_constant_to_rounding_never_hits(self, generator):
        nearly = 0.5 + 1e-8 * torch.rand(1, 16, 16, generator=generator)
        assert not pointing_hit(nearly, torch.ones(1, 16, 16)).any()

    @pytest.mark.parametrize(("tolerance", "expected"), [(0, False), (4.9, False), (5, True), (15, True)])
    def test_tolerance_is_a_euclidean_distance_in_pixels(self, tolerance, expected):
        region, peak = torch.zeros(1, 32, 32), torch.zeros(1, 32, 32)
        region[0, 10, 10] = peak[0, 13, 14] = 1
        assert pointing_hit(peak, region, tolerance).item() is expected

    def test_the_peak_of_a_plateau_is_its_middle(self):
        map_ = disc(40, 20, 20, 8).float()[None]
        assert pointing_hit(map_, disc(40, 20, 20, 1)[None], tolerance=0).item()

    def test_a_lone_pixel_does_not_outweigh_a_plateau_of_the_same_height(self):
        map_ = disc(40, 28, 28, 5).float()[None]
        map_[0, 0, 0] = 1.0
        assert pointing_hit(map_, disc(40, 28, 28, 5)[None], tolerance=0).item()

    def test_refuses_a_negative_tolerance(self):
        with pytest.raises(ValueError, match="tolerance"):
            pointing_hit(torch.rand(1, 4, 4), torch.ones(1, 4, 4), -1)


class TestDeletionInsertion:
    def test_toy_by_hand(self):
        # Pixels are worth 3, 2, 1, 0 logits; the substrate is zero, so p = sigmoid(2 * what is left).
        model = PixelSum(torch.tensor([[3.0, 2.0], [1.0, 0.0]]))
        found = deletion_insertion(
            model, torch.ones(1, 3, 2, 2), torch.tensor([0]), torch.tensor([[[0.9, 0.6], [0.4, 0.1]]]),
            substrate=torch.zeros(1), steps=4,
        )  # fmt: skip
        left = torch.tensor([6.0, 3.0, 1.0, 0.0, 0.0], dtype=torch.float64)
        torch.testing.assert_close(found.deletion_curve[0], torch.sigmoid(2 * left))
        torch.testing.assert_close(found.insertion_curve[0], torch.sigmoid(2 * (6 - left)))
        curve = torch.sigmoid(2 * left)
        assert found.deletion.item() == pytest.approx(((curve[:-1] + curve[1:]) / 2).mean().item())

    def test_the_true_order_beats_the_reverse(self, generator):
        weights = torch.rand(12, 12, generator=generator) - 0.3
        images = torch.ones(2, 1, 12, 12)
        maps = torch.stack([weights, -weights])
        found = deletion_insertion(
            PixelSum(0.1 * weights), images, torch.tensor([0, 0]), maps, substrate=torch.zeros(1)
        )
        assert found.deletion[0] < found.deletion[1] and found.insertion[0] > found.insertion[1]

    def test_memory_is_bounded_and_the_result_does_not_depend_on_the_batch(self, generator):
        model = PixelSum(torch.rand(6, 6, generator=generator) * 0.2)
        images, maps = torch.rand(5, 3, 6, 6, generator=generator), torch.rand(5, 6, 6, generator=generator)
        targets = torch.tensor([0, 1, 0, 1, 0])
        small = deletion_insertion(model, images, targets, maps, steps=7, batch_size=3)
        assert model.largest_batch == 3
        large = deletion_insertion(model, images, targets, maps, steps=7, batch_size=1000)
        torch.testing.assert_close(small.deletion_curve, large.deletion_curve)
        torch.testing.assert_close(small.insertion, large.insertion)

    def test_a_constant_map_is_taken_in_random_order_and_not_from_the_top(self):
        weights = torch.zeros(16, 16)
        weights[:2] = 1.0
        found = deletion_insertion(
            PixelSum(weights), torch.ones(1, 1, 16, 16), torch.tensor([0]), torch.zeros(1, 16, 16),
            substrate=torch.zeros(1), steps=8,
        )  # fmt: skip
        # From the top the evidence would be gone after an eighth.
        assert found.deletion_curve[0, 1] > 0.99 and found.deletion_curve[0, 4] > 0.99

    @pytest.mark.parametrize("substrate", ["blur", "mean", "noise", "local_mean"])
    def test_named_substrates_begin_with_the_image_and_end_with_the_substrate(self, generator, substrate):
        model = PixelSum(torch.rand(8, 8, generator=generator))
        images, maps = torch.randn(2, 3, 8, 8, generator=generator), torch.rand(2, 8, 8, generator=generator)
        found = deletion_insertion(model, images, torch.tensor([0, 1]), maps, substrate=substrate, steps=3)
        torch.testing.assert_close(found.deletion_curve[:, 0], found.insertion_curve[:, -1])
        torch.testing.assert_close(found.deletion_curve[:, -1], found.insertion_curve[:, 0])
        assert not torch.allclose(found.deletion_curve[:, 0], found.deletion_curve[:, -1])

    def test_leaves_the_model_as_it_was(self):
        model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.LazyLinear(2)).train()
        images = torch.rand(2, 3, 6, 6)
        model(images)
        before = {name: value.clone() for name, value in model.state_dict().items()}
        deletion_insertion(model, images, torch.tensor([0, 1]), torch.rand(2, 6, 6), steps=2)
        assert model.training and all(parameter.requires_grad for parameter in model.parameters())
        for name, value in model.state_dict().items():
            torch.testing.assert_close(value, before[name], rtol=0, atol=0)

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"targets": torch.tensor([0, 7])}, "targets: image 1: expected a class from 0 to 1, got 7"),
            ({"targets": torch.tensor([0.0, 1.0])}, "targets: expected integers"),
            ({"maps": torch.rand(3, 4, 4)}, "images: expected float of shape \\(3"),
            ({"maps": torch.full((2, 4, 4), torch.nan)}, "map of image 0 has NaN"),
            ({"images": torch.full((2, 3, 4, 4), torch.inf)}, "image 0 has NaN or infinite"),
            ({"steps": 0}, "steps: expected at least 1"),
            ({"substrate": "snow"}, "infill: expected one of"),
            ({"substrate": torch.zeros(5)}, "substrate: \\(5,\\) does not broadcast"),
        ],
    )
    def test_says_what_is_wrong(self, change, message):
        arguments = {
            "model": PixelSum(torch.ones(4, 4)),
            "images": torch.rand(2, 3, 4, 4),
            "targets": torch.tensor([0, 1]),
            "maps": torch.rand(2, 4, 4),
        }
        with pytest.raises(ValueError, match=message):
            deletion_insertion(**(arguments | change))


class TestRoad:
    def test_imputation_solves_the_published_equations(self, generator):
        height, width = 11, 14
        image = torch.rand(1, 1, height, width, generator=generator, dtype=torch.float64)
        removed = torch.rand(1, 1, height, width, generator=generator) < 0.6
        filled = linear_imputation(image, removed, tolerance=1e-9)[0, 0]
        unknown = {tuple(place): index for index, place in enumerate(removed[0, 0].nonzero().tolist())}
        matrix, right = sparse.lil_matrix((len(unknown), len(unknown))), np.zeros(len(unknown))
        for (row, column), index in unknown.items():
            for down in (-1, 0, 1):
                for across in (-1, 0, 1):
                    place = (row + down, column + across)
                    if (down, across) == (0, 0) or not (0 <= place[0] < height and 0 <= place[1] < width):
                        continue
                    weight = 1 / 6 if 0 in (down, across) else 1 / 12
                    matrix[index, index] += weight
                    if place in unknown:
                        matrix[index, unknown[place]] -= weight
                    else:
                        right[index] += weight * image[0, 0][place].item()
        expected = spsolve(matrix.tocsr(), right)
        found = np.array([filled[place].item() for place in unknown])
        np.testing.assert_allclose(found, expected, atol=1e-6)
        torch.testing.assert_close(filled[~removed[0, 0]], image[0, 0][~removed[0, 0]], rtol=0, atol=0)

    def test_a_large_hole_in_a_ramp_is_filled_with_the_ramp(self):
        ramp = torch.linspace(0, 1, 96).expand(1, 2, 96, 96)
        removed = torch.zeros(1, 1, 96, 96, dtype=torch.bool)
        removed[..., 8:88, 8:88] = True
        torch.testing.assert_close(linear_imputation(ramp, removed, tolerance=1e-4), ramp, atol=5e-3, rtol=0)

    def test_refuses_a_picture_with_nothing_left(self):
        with pytest.raises(ValueError, match="image 1: every pixel is removed"):
            linear_imputation(torch.rand(2, 1, 2, 2), torch.tensor([False, True]).view(2, 1, 1, 1).expand(2, 1, 2, 2))

    def test_the_true_map_scores_above_a_random_one_and_its_reverse_below(self, generator):
        # A fine checkerboard in one corner is what the model counts, and no neighbour can replace it.
        weights = torch.zeros(24, 24)
        weights[4:12, 4:12] = torch.where((torch.arange(8)[:, None] + torch.arange(8)) % 2 == 0, 1.0, -1.0)
        images = weights.expand(3, 1, 24, 24).clone()
        maps = torch.stack([weights.abs(), torch.rand(24, 24, generator=generator), -weights.abs()])
        found = road(PixelSum(0.1 * weights), images, torch.zeros(3, dtype=torch.int64), maps, shares=[0.1, 0.2, 0.3])
        assert found.score[0] > 0.15 and abs(found.score[1]) < 0.1 and found.score[2] < -0.15
        torch.testing.assert_close(found.score, (found.least_first - found.most_first) / 2)

    def test_is_repeatable(self, generator):
        model = PixelSum(torch.rand(8, 8, generator=generator))
        images, maps = torch.randn(2, 3, 8, 8, generator=generator), torch.rand(2, 8, 8, generator=generator)
        first, second = (road(model, images, torch.tensor([0, 1]), maps, noise=0.2, seed=4) for _ in range(2))
        torch.testing.assert_close(first.most_first, second.most_first, rtol=0, atol=0)

    @pytest.mark.parametrize("shares", [[], [0.0], [1.0], [0.5, 1.2]])
    def test_refuses_shares_that_leave_or_take_nothing(self, shares):
        with pytest.raises(ValueError, match="shares"):
            road(
                PixelSum(torch.ones(4, 4)),
                torch.rand(1, 3, 4, 4),
                torch.tensor([0]),
                torch.rand(1, 4, 4),
                shares=shares,
            )


class TestSmoothness:
    def test_of_a_step_edge(self):
        map_ = torch.zeros(1, 10, 20)
        map_[..., 10:] = 1.0
        assert total_variation(map_).item() == pytest.approx(10 / 200)

    def test_of_one_map_at_two_resolutions_is_the_same_at_one_size(self, generator):
        coarse = torch.rand(1, 7, 7, generator=generator)
        fine = nn.functional.interpolate(coarse[None], size=(56, 56), mode="bilinear")[0]
        first, second = total_variation(coarse, (56, 56)), total_variation(fine, (56, 56))
        torch.testing.assert_close(first, second)
        assert total_variation(coarse).item() > 3 * first.item()


class TestSensitivity:
    @pytest.mark.parametrize("levels", [3, 1000])
    def test_agrees_with_scipy(self, generator, levels):
        first, second = (torch.randint(levels, (4, 6, 7), generator=generator).float() for _ in range(2))
        expected = [spearmanr(one.flatten(), other.flatten()).statistic for one, other in zip(first, second)]
        np.testing.assert_allclose(rank_correlation(first, second).numpy(), expected, atol=1e-12)

    def test_of_constant_maps(self):
        flat, steep = torch.ones(1, 2, 2), torch.arange(4.0).view(1, 2, 2)
        assert rank_correlation(flat, flat).item() == 1.0
        assert rank_correlation(flat, steep).item() == 0.0

    def test_tells_a_class_blind_method_from_one_that_listens(self, generator):
        model = PixelSum(torch.rand(6, 6, generator=generator))
        images = torch.rand(3, 3, 6, 6, generator=generator)

        def listens(model, images, targets):
            return (1.0 - 2.0 * targets.float())[:, None, None] * images[:, 0] * model.weights.detach()

        def blind(model, images, targets):
            return images[:, 0]

        assert (class_sensitivity(model, images, listens) < -0.99).all()
        assert (class_sensitivity(model, images, blind) > 0.99).all()


@pytest.mark.parametrize("metric", [average_precision, energy_in_region, pointing_hit])
@pytest.mark.parametrize(
    ("maps", "regions", "message"),
    [
        (torch.rand(4, 4), torch.ones(1, 4, 4), "maps: expected shape"),
        (torch.rand(2, 4, 4), torch.ones(1, 4, 4), "regions: expected shape \\(2"),
        (torch.full((1, 2, 2), torch.inf), torch.ones(1, 2, 2), "map of image 0 has NaN or infinite"),
        (torch.rand(2, 2, 2), torch.tensor([[[1, 0]], [[0, 0]]]), "region of image 1 has no pixel inside"),
    ],
)
def test_region_metrics_name_the_image_at_fault(metric, maps, regions, message):
    with pytest.raises(ValueError, match=message):
        metric(maps, regions)
