"""When a slice began to err: intervals that hold the planted day, none where the rate is constant, and the words."""

from datetime import datetime, timedelta

import numpy as np
import pytest

from scd_core.audit.slices.onset import find_onset, onset_words
from tests.audit.test_slices import by_values, exposed, slices

FIRST = datetime(2026, 3, 2, 9)
"""A Monday."""


def drawn(seed, before, after, a_day=1.0, days=120):
    """A world of visits whose rate changes on a day that is drawn too: (day, errors, n), the day."""
    rng = np.random.default_rng((16, seed))
    onset = int(rng.integers(30, 91))
    n = rng.poisson(a_day, days)
    day = np.flatnonzero(n)
    return (day, rng.binomial(n[day], np.where(day < onset, before, after)).astype(float), n[day].astype(float)), onset


@pytest.mark.parametrize(("before", "after", "a_day"), [(0.02, 0.9, 0.4), (0.05, 0.4, 1.0), (0.1, 0.3, 3.0)])
def test_the_interval_holds_the_day_of_a_planted_change(before, after, a_day):
    held = []
    for seed in range(40):
        world, onset = drawn(seed, before, after, a_day)
        if found := find_onset(*world):
            held.append(found.low <= onset <= found.high)
            assert found.low <= found.day <= found.high
    assert len(held) >= 30 and np.mean(held) >= 0.9


@pytest.mark.parametrize("rate", [0.05, 0.5, 0.9])
def test_no_change_is_claimed_where_the_rate_is_constant(rate):
    assert sum(find_onset(*drawn(seed, rate, rate)[0]) is not None for seed in range(40)) <= 2


def test_no_change_is_claimed_where_a_rate_falls_or_all_or_none_err():
    day, n = np.arange(60), np.full(60, 2.0)
    assert find_onset(day, np.where(day < 30, 2.0, 0.0), n) is None
    assert find_onset(day, n, n) is None and find_onset(day, 0 * n, n) is None
    assert find_onset(day[:1], n[:1] / 2, n[:1]) is None


def season(camera, onset, days=60):
    """A visit a day, wrong from a day on."""
    for day in range(days):
        yield camera, "A", "B" if day >= onset else "A", {"captured_at": FIRST + timedelta(days=day, hours=day % 5)}


def test_a_camera_that_goes_wrong_has_an_onset_and_one_that_always_was_has_none():
    rows = [*season("C01", 42), *season("C02", 0)]
    rows += [row for camera in range(3, 11) for row in season(f"C{camera:02d}", 60)]
    found = by_values(slices(rows, families=("camera_id", "week")))
    late, always = found[("camera_id", "C01"),], found[("camera_id", "C02"),]
    assert late["is_systematic"] and late["folded_into"] is None
    assert late["onset"] == late["first_seen"] == FIRST + timedelta(days=42, hours=2)
    assert late["onset_low"].date() <= late["onset"].date() <= late["onset_high"].date()
    assert (late["onset_high"] - late["onset_low"]).days <= 7
    assert always["is_systematic"] and always["onset"] is None and always["first_seen"] == FIRST
    weeks = [row for row in found.values() if "week" in dict(row["slice"]) and row["is_systematic"]]
    assert weeks and all(row["folded_into"] in (late["slice_id"], always["slice_id"]) for row in weeks)


def test_a_week_in_which_all_cameras_err_stands():
    rows = []
    for camera in range(6):
        for day in range(56):
            name = "B" if day // 7 == 5 and (day + camera) % 4 else "A"
            rows.append((f"C{camera:02d}", "A", name, {"captured_at": FIRST + timedelta(days=day)}))
    found = by_values(slices(rows, families=("camera_id", "week")))
    row = found[("week", "2026-W15"),]
    assert row["is_systematic"] and row["folded_into"] is None and row["onset"] is None


def test_unlabelled_visits_that_were_looked_at_show_that_it_was_right_before():
    """Six errors in the last weeks, nothing labelled before: an onset only where unflagged visits of before are known."""
    rows = [("C01", "A", "B", {"captured_at": FIRST + timedelta(days=70 + day)}) for day in range(6)]
    rows += [("C02", "A", "A", {"captured_at": FIRST + timedelta(days=day)}) for day in range(80)]
    alone = by_values(slices(rows, families=("camera_id",)))[("camera_id", "C01"),]
    assert alone["is_systematic"] and alone["onset"] is None
    weeks = [exposed([("C01", "A", 3.0)]) for _ in range(10)]
    for number, week in enumerate(weeks):
        place = week.column_names.index("captured_at")
        at = [[FIRST + timedelta(days=7 * number)]]
        weeks[number] = week.set_column(place, week.schema.field(place), at)
    import pyarrow as pa

    row = by_values(slices(rows, pa.concat_tables(weeks), families=("camera_id",)))[("camera_id", "C01"),]
    assert row["is_systematic"] and row["onset"] == FIRST + timedelta(days=70)
    assert row["onset_low"] > FIRST + timedelta(days=60)


def test_words_of_an_onset():
    low, high = datetime(2026, 4, 9), datetime(2026, 4, 17)
    assert (
        onset_words(datetime(2026, 4, 15, 3), low, high, datetime(2026, 4, 15, 3))
        == "wrong since the week of 13 April 2026 (9 April to 17 April)"
    )
    assert onset_words(datetime(2026, 4, 13), low, high, datetime(2026, 3, 1)).startswith("more often wrong since")
