"""Exposures condensed for some slices count in these as before."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from scd_core.audit.slices.announce import _e_values, _looked, e_process
from scd_core.audit.slices.condense import condensed
from scd_core.audit.slices.data import has_keys, is_error, is_of, slice_data, slice_errors, slice_members
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


def evidence_alone(data, looked, values):
    """The e-values of a slice after each day, from its own rows and those of all others."""
    n_days = len(looked.moments)
    members = slice_members(data, values)
    others = np.flatnonzero(has_keys(data, members.keys))
    if members.name is not None:
        others = others[~is_of(data, members.name, others)]
    wrong = others[is_error(data, others, members.name)]
    n, n_all = (looked.grouped(rows, np.zeros_like(rows), 1, data.exposure)[0] for rows in (members.rows, others))
    errors, total = (looked.counted(rows, np.zeros_like(rows), 1)[0] for rows in (members.errors, wrong))
    if list(values) == ["predicted_id"]:  # against the average of the other names
        wrong = np.flatnonzero(data.is_wrong & (data.codes["predicted_id"] >= 0))
        total, n_all = looked.counted(wrong, np.zeros_like(wrong), 1)[0], n * len(data.values["predicted_id"])
    return e_process(np.arange(n_days), errors, total, np.minimum(n / n_all, 1), n_days)


def test_slices_of_a_family_together_have_the_evidence_of_each_alone(data):
    looked = _looked(data)
    together = _e_values(data, looked, SLICES)
    assert together.shape == (len(SLICES), 4) and (together.max(axis=1) > 1).sum() > 3
    for values, path in zip(SLICES, together, strict=True):
        assert slice_errors(data, values).tolist() == slice_members(data, values).errors.tolist()
        if "labelled_by" not in values:
            assert path == pytest.approx(evidence_alone(data, looked, values))


def test_visits_are_added_up_alike_where_groups_are_few_and_where_they_are_many(data):
    looked = _looked(data)
    rows = np.arange(data.exposure.size)
    few = looked.grouped(rows, rows % 3, 3, data.exposure)
    many = looked.grouped(rows, 5000 * (rows % 3), 10001, data.exposure)
    assert many[[0, 5000, 10000]] == pytest.approx(few) and few.sum() == pytest.approx(data.exposure.sum())


def test_with_nothing_asked_or_nothing_exposed(data):
    none = condensed(data, [])
    assert none.exposure.size <= data.n_visits + 2
    bare = slice_data(errors_table(world(2)))
    assert condensed(bare, SLICES).exposure.size == bare.exposure.size
    nothing = slice_data(errors_table([]))
    assert isinstance(nothing.rows, pa.Table) and condensed(nothing, []).exposure.size == 0
