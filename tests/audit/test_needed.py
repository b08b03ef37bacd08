"""How many more labels a slice needs: against scipy's Fisher test, simulation, and the formula of Wilson's interval."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from scipy import optimize, stats

from scd_core.audit.slices.derive import find_slices
from scd_core.audit.slices.needed import labels_to_measure, labels_to_prove
from scd_core.config import SliceConfig
from scd_core.tables.schema import table_from_rows


def power(x: int, n: int, x0: int, n0: int, level: float, more: int) -> float:
    """Share of 4000 futures with `more` visits, at the rate drawn towards the baseline, in which scipy's Fisher test passes."""
    further = np.random.default_rng(1).binomial(more, (x + 2 * x0 / n0) / (n + 2), 4000)
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
    assert power(x, n, x0, n0, level, needed // 2) < 0.75, "and not long before"


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


def slices(n_labelled: int, p_wrong: float = 0.6, seed: int = 3, first: Sequence[bool] = ()) -> list[dict]:
    """Slices of a report in which camera C01 errs, with so many visits of it labelled among 300 of six others.

    `first` holds whether each of its first visits errs.
    """
    rng = np.random.default_rng(seed)
    tables = []
    for visit in range(300 + n_labelled):
        camera = f"C{2 + visit % 6}" if visit < 300 else "C01"
        is_wrong = rng.random() < (0.2 if visit < 300 else p_wrong)
        if 300 <= visit < 300 + len(first):
            is_wrong = first[visit - 300]
        tables.append(
            {
                "report_id": "r", "batch_key": "b", "model_digest": "m", "target_id": str(visit), "media_id": str(visit),
                "event_id": str(visit), "visit_id": str(visit), "camera_id": camera, "true_id": f"i{visit % 5}",
                "predicted_id": f"i{(visit + is_wrong) % 5}", "error_type": "shift" if is_wrong else "correct",
                "is_labelled": True, "is_suspected": False, "is_current": True, "has_flag": bool(visit % 2),
                "label_probability": 1.0, "event_weight": 1.0, "suspicion_reasons": [],
                "cause": "unexplained" if is_wrong else None,
            }
        )  # fmt: skip
    found = find_slices(table_from_rows("errors", tables), SliceConfig(families=("camera_id", "true_id"))).to_pylist()
    return found


def of_camera(rows: list[dict]) -> dict:
    return next(row for row in rows if dict(row["slice"]) == {"camera_id": "C01"})


def test_a_slice_is_proved_by_about_as_many_labels_as_it_was_said_to_need() -> None:
    early = of_camera(slices(8))
    assert not early["is_systematic"] and 0 < early["labels_needed"] < 40
    rate = (early["n_errors"] + 2 * 0.2) / (early["n_events"] + 2)
    first = [place < early["n_errors"] for place in range(8)]
    proved = [of_camera(slices(8 + early["labels_needed"], rate, seed, first))["is_systematic"] for seed in range(20)]
    assert sum(proved) >= 11, "four in five are expected; 11 of 20 or more with a probability of .999"


def test_a_systematic_slice_needs_labels_until_its_interval_is_narrow() -> None:
    found = of_camera(slices(30))
    assert found["is_systematic"] and found["labels_needed"] > 0 and found["ci_high"] - found["ci_low"] > 0.2
    found = of_camera(slices(120))
    assert found["labels_needed"] == 0 and found["ci_high"] - found["ci_low"] < 0.2
