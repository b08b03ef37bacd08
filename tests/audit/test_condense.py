"""Exposures condensed for some slices count in these as before."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from scd_core.audit.slices.announce import _daily, _looked
from scd_core.audit.slices.condense import condensed
from scd_core.audit.slices.data import slice_data, slice_errors, slice_members
from tests.audit.test_slices import errors_table, exposed, world

DAY = datetime(2026, 4, 1, 12, tzinfo=UTC)
SLICES = [
    {"camera_id": "C03"}, {"pair": "A -> B"}, {"camera_id": "C01", "pair": "C -> D"}, {"predicted_id": "B"},
    {"camera_id": "C03", "predicted_id": "B"}, {"true_id": "A", "quality": "good"}, {"true_id": "A", "labelled_by": "x"},
]  # fmt: skip


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    rows = [(f"C{rng.integers(8):02d}", str(rng.choice(list("ABCDEFGH"))), float(rng.random())) for _ in range(400)]
    labelled = [
        (*row, {"labelled_by": "xyz"[n % 3], "known_at": DAY + timedelta(days=n % 4)}) for n, row in enumerate(world(2))
    ]
    return slice_data(errors_table(labelled), exposed([*rows, ("C03", None, 2.0)]))


def test_what_is_asked_counts_as_before(data):
    few = condensed(data, SLICES)
    assert few.exposure.size < data.exposure.size - 300
    assert few.exposure.sum() == pytest.approx(data.exposure.sum())
    for values in SLICES:
        before, after = slice_members(data, values), slice_members(few, values)
        n = data.exposure[before.rows].sum()
        assert n > 0 and few.exposure[after.rows].sum() == pytest.approx(n)
        assert (after.errors == before.errors).all()
        labelled = before.rows[before.rows < data.n_visits]
        assert (after.rows[after.rows < few.n_visits] == labelled).all()


def test_errors_and_days_of_slices_together_are_those_of_each_alone(data):
    looked = _looked(data)
    days = _daily(data, looked, SLICES)
    members = [slice_members(data, values) for values in SLICES]
    for values, of_slice, n in zip(SLICES, members, days, strict=True):
        assert slice_errors(data, values).tolist() == of_slice.errors.tolist()
        if "labelled_by" not in values:
            assert n == pytest.approx(looked.daily(of_slice.rows, data.exposure))
    assert sum(of_slice.errors.size > 0 for of_slice in members) > 4
    assert days.shape[1] == 4 and (days > 0).any(axis=0).all()


def test_with_nothing_asked_or_nothing_exposed(data):
    none = condensed(data, [])
    assert none.exposure.size <= data.n_visits + 2
    bare = slice_data(errors_table(world(2)))
    assert condensed(bare, SLICES).exposure.size == bare.exposure.size
    nothing = slice_data(errors_table([]))
    assert isinstance(nothing.rows, pa.Table) and condensed(nothing, []).exposure.size == 0
