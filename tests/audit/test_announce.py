"""Evidence over many looks: e-values by hand, an e-process that is fair where nothing is wrong, what is announced and when."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from scd_core.audit.slices.announce import LIFTS, e_process, first_announced
from scd_core.audit.slices.derive import find_slices
from scd_core.config import SliceConfig
from scd_core.names import Trend
from tests.audit.test_slices import by_values, errors_table, exposed, slices

DAY = datetime(2026, 4, 1, 12, tzinfo=UTC)
CONFIG = SliceConfig(families=("camera_id",), max_depth=1)


def night(number, camera, n, n_wrong):
    """Labels of one camera that came in on one day."""
    at = DAY + timedelta(days=number)
    return [(camera, "A", "B" if place < n_wrong else "A", {"known_at": at, "has_flag": False}) for place in range(n)]


def test_an_e_value_by_hand():
    """Two days: 3 of 4 errors inside with a share of .2, then 1 of 1 with a share of .5."""
    day, errors, total, share = np.array([0, 1]), np.array([3.0, 1.0]), np.array([4.0, 1.0]), np.array([0.2, 0.5])
    first = np.mean([lift**3 / (1 + 0.2 * (lift - 1)) ** 4 for lift in LIFTS])
    both = np.mean([lift**3 / (1 + 0.2 * (lift - 1)) ** 4 * lift / (1 + 0.5 * (lift - 1)) for lift in LIFTS])
    assert e_process(day, errors, total, share, 2) == pytest.approx([first, both])
    # what everybody looked at is there proves nothing
    assert e_process(np.array([0]), np.array([5.0]), np.array([5.0]), np.array([1.0]), 1) == pytest.approx([1.0])


@pytest.mark.parametrize("lift", [1.0, 0.5])
def test_the_mean_of_an_e_process_is_at_most_one_where_a_slice_errs_no_more(lift):
    """Exactly, by summing over all counts that can be, drawn without replacement."""
    from scipy import stats

    n_all, n, total = 40, 10, 5
    x = np.arange(total + 1)
    chance = stats.nchypergeom_fisher.pmf(x, n_all, n, total, lift)
    values = [e_process(np.array([0]), np.array([one]), np.array([5.0]), np.array([n / n_all]), 1)[0] for one in x]
    assert chance @ np.array(values) <= 1 + 1e-12


def test_announced_is_the_first_day_on_which_e_bh_rejects():
    e_values = np.array([[1, 30, 90, 10], [1, 1, 50, 5], [1, 1, 2, 2], [0, 50, 1, 1]], float)
    # of 3 hypotheses at .05: one alone needs 60, two need 30 each
    found = first_announced(e_values, np.full(4, 1 / 3), 0.05)
    assert found.tolist() == [1, 2, -1, 1]


def test_a_camera_is_announced_when_the_labels_suffice_and_is_new_once():
    rows = [row for day in range(12) for camera in ("C01", "C02", "C03", "C04") for row in night(day, camera, 6, 0)]
    rows += [row for day in range(6, 12) for row in night(day, "C05", 6, 2)]
    reports = []
    for last in range(5, 12):
        seen = errors_table([row for row in rows if row[3]["known_at"] <= DAY + timedelta(days=last)])
        reports.append(find_slices(seen, CONFIG, reports[-1] if reports else None))
    found = [by_values(report.to_pylist()).get((("camera_id", "C05"),)) for report in reports]
    systematic = [place for place, row in enumerate(found) if row and row["is_systematic"]]
    new = [place for place, row in enumerate(found) if row and row["trend"] == Trend.NEW]
    assert len(new) == 1 and systematic[0] <= new[0] < 5
    on = found[new[0]]["announced_at"]
    assert on == DAY + timedelta(days=5 + new[0]), "the last label of the night that sufficed"
    assert all(row["announced_at"] == on for row in found[new[0] :]), "no report needs the one before it to know when"
    assert all(row["e_value"] is None or row["announced_at"] is None for row in found[: new[0]] if row)
    assert all(row["trend"] is None for row in found[: new[0]] if row), "seen by a look, and not announced: not new"


def test_labels_of_a_day_are_compared_with_what_was_looked_at_that_day():
    """C01 has all errors because only its labels came in on the days with errors."""
    rows = [row for day in range(10) for row in night(day, "C01", 10, 4)]
    rows += [row for day in range(10, 20) for row in night(day, "C02", 10, 0)]
    row = by_values(slices(rows, families=("camera_id",), max_depth=1))[("camera_id", "C01"),]
    assert row["is_systematic"] and row["e_value"] == pytest.approx(1.0) and row["announced_at"] is None


def test_unlabelled_visits_count_on_the_days_of_their_cameras_flagged_labels():
    flagged = {"has_flag": True, "batch_key": "b"}
    rows = [
        (*row[:3], row[3] | flagged) for row in night(0, "C01", 4, 4) + night(1, "C02", 4, 0) + night(0, "C02", 4, 0)
    ]
    seen = exposed([("C01", "A", 16.0), ("C02", "A", 32.0)])
    seen = seen.append_column("batch_key", [["b"] * seen.num_rows])
    row = by_values(slices(rows, seen, families=("camera_id",), max_depth=1))[("camera_id", "C01"),]
    # On the first day: 4 labelled and 16 others of C01; 4 labelled and half of 32 of C02.
    expected = e_process(np.array([0]), np.array([4.0]), np.array([4.0]), np.array([20 / 40]), 1)
    assert row["e_value"] == pytest.approx(expected[0])


def test_few_seasons_without_anything_wrong_announce_anything():
    """20 small worlds of 90 nights; at most one may, and the benchmark has a hundred (`benchmarks.audit.season`)."""
    config = SliceConfig(families=("camera_id", "true_id", "predicted_id", "pair", "week"))
    n_false = 0
    for seed in range(20):
        rng = np.random.default_rng((16, seed))
        rows = []
        for place in range(700):
            true, at = str(rng.choice(list("ABCDEFGH"))), DAY + timedelta(days=int(rng.integers(90)))
            called = str(rng.choice([name for name in "ABCDEFGH" if name != true])) if rng.random() < 0.1 else true
            more = {"known_at": at, "has_flag": False, "captured_at": at.replace(tzinfo=None) - timedelta(days=3)}
            rows.append((f"C{rng.integers(8):02d}", true, called, more | {"event_id": f"e{place}"}))
        found = find_slices(errors_table(rows), config)
        n_false += any(row["announced_at"] is not None for row in found.to_pylist())
    assert n_false <= 1
