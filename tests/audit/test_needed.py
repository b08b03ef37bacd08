"""How many more labels a slice needs: against scipy's Fisher test, simulation, and the formula of Wilson's interval."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize, stats

from scd_core.audit.slices.needed import labels_to_measure, labels_to_prove


def power(x: int, n: int, x0: int, n0: int, level: float, more: int) -> float:
    """Share of 4000 futures with `more` visits in which scipy's Fisher test passes."""
    further = np.random.default_rng(1).binomial(more, x / n, 4000)
    p_of = {
        k: stats.fisher_exact([[x + k, n + more - x - k], [x0, n0 - x0]], "greater").pvalue
        for k in set(further.tolist())
    }
    return float(np.mean([p_of[k] <= level for k in further.tolist()]))


@pytest.mark.parametrize(
    ("x", "n", "x0", "n0", "level"), [(3, 10, 20, 400, 1e-3), (4, 6, 30, 900, 1e-6), (5, 25, 40, 800, 1e-4)]
)
def test_after_so_many_labels_the_test_passes_four_times_in_five(
    x: int, n: int, x0: int, n0: int, level: float
) -> None:
    needed = int(labels_to_prove(x, n, x0, n0, level))
    assert 0 < needed < 500
    assert power(x, n, x0, n0, level, needed) > 0.77
    assert power(x, n, x0, n0, level, needed // 2) < 0.7, "and not long before"


def test_a_slice_that_passes_needs_none_and_one_like_its_baseline_never_passes() -> None:
    needed = labels_to_prove([9, 2, 0], [10, 40, 10], 50, 1000, 1e-4)
    assert needed[0] == 0 and np.isnan(needed[1:]).all()


def test_a_stricter_level_and_a_baseline_of_fewer_visits_need_more() -> None:
    base = labels_to_prove(3, 10, 20, 400, [1e-2, 1e-3, 1e-5, 1e-8])
    assert (np.diff(base) > 0).all()
    assert labels_to_prove(3, 10, 2, 40, 1e-3) > labels_to_prove(3, 10, 20, 400, 1e-3)


def test_shapes_follow_the_arguments() -> None:
    assert labels_to_prove([[1, 2]], [[5], [6]], 5, 100, 0.01).shape == (2, 2)
    assert labels_to_measure([], [], []).shape == (0,)


@pytest.mark.parametrize("rate", [0.02, 0.3, 0.5, 0.95])
def test_wilsons_interval_is_narrow_after_so_many_labels(rate: float) -> None:
    """The half-width as the textbook writes it, solved for n by scipy."""
    z = stats.norm.ppf(0.975)

    def half(n: float) -> float:
        return float(z * np.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n)) / (1 + z * z / n))

    wanted = optimize.brentq(lambda n: half(n) - 0.1, 5, 1e4)
    assert float(labels_to_measure(rate, 10, 10)) == pytest.approx(max(0, wanted - 10), abs=1)
    assert float(labels_to_measure(rate, 10, 40)) == pytest.approx(4 * max(0, wanted - 10), abs=4)
    assert float(labels_to_measure(rate, 200, 200)) == 0


def test_labels_that_count_for_next_to_nothing_never_suffice() -> None:
    assert np.isnan(labels_to_measure(0.5, 0.01, 100))
