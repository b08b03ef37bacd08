"""All slices of a family are counted at once: the same as each by itself, visit by visit."""

import numpy as np
import pytest

from scd_core.audit.slices.cells import Sparse, slice_codes
from scd_core.audit.slices.codes import most
from scd_core.audit.slices.counts import Counts, in_kind_counts
from scd_core.audit.slices.data import slice_data
from scd_core.audit.slices.rates import slice_rates
from tests.audit.test_slices import errors_table, exposed

FAMILIES = [
    ("labelled_by",), ("flank",), ("camera_id", "labelled_by"), ("true_id", "labelled_by"), ("pair", "labelled_by"),
    ("predicted_id", "labelled_by"), ("pair", "flank"), ("predicted_id", "flank"), ("flank", "labelled_by"),
]  # fmt: skip
ALIKE = {"labelled_by": ("camera_id", "true_id"), "flank": ()}


def drawn_visits(seed):
    """Labelled visits of one picture each, as rows, and their data; some exposures beside."""
    rng = np.random.default_rng(seed)
    rows = []
    for _ in range(700):
        true, camera = str(rng.choice(list("ABCDU"))), f"C{rng.integers(4)}"
        given = str(rng.choice(list("ABCE"))) if rng.random() < 0.4 else true
        more = {
            "labelled_by": [None, "x", "y", "z"][rng.integers(4)],
            "flank": [None, "left", "right"][rng.integers(3)],
            "event_weight": float(rng.uniform(0.5, 9)),
            "has_flag": bool(rng.random() < 0.7),
        }
        rows.append((camera, true, given, more))
    data = slice_data(errors_table(rows), exposed([("C1", "A", 3.0), ("C2", "B", 2.5), ("C1", None, 1.0)]))
    return [
        {"camera_id": camera, "true_id": true, "predicted_id": given, **more} for camera, true, given, more in rows
    ], data


def each_slice(data, family):
    """Values of every slice of a family that a visit is in."""
    found = {
        tuple(data.values[key][data.codes[key][visit]] for key in family)
        for visit in range(data.n_visits)
        if all(data.codes[key][visit] >= 0 for key in family)
    }
    return [dict(zip(family, values, strict=True)) for values in sorted(found)]


def has(row, values):
    pair = values.get("pair")
    return all(row[key] == value for key, value in values.items() if key not in ("pair", "predicted_id")) and (
        pair is None or row["true_id"] == pair.split(" -> ")[0]
    )


def called(values):
    return values["pair"].split(" -> ")[1] if "pair" in values else values.get("predicted_id")


def errs(row, name):
    return row["predicted_id"] != row["true_id"] and (name is None or row["predicted_id"] == name)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("part", ["all", "left"])
def test_slices_of_labels_are_compared_with_visits_of_their_kind(family, part):
    rows, data = drawn_visits(3)
    is_left = np.ones(data.exposure.size, bool)
    if part == "left":
        is_left = np.random.default_rng(4).random(data.exposure.size) < 0.6
    visit_of = data.visit
    each = each_slice(data, family)
    codes = np.concatenate([slice_codes(data, values)[1] for values in each])
    found = in_kind_counts(data, family, codes, None if part == "all" else is_left)
    keys = [key for key in family if key not in ("pair", "predicted_id")]
    alike = {key for key in keys if key not in ALIKE} | {one for key in keys for one in ALIKE.get(key, ())}
    for place, values in enumerate(each):
        name = called(values)
        cells = {}
        for row, visit in zip(rows, visit_of, strict=True):
            is_known = all(row[key] is not None for key in keys if key in ALIKE)
            if is_left[visit] and is_known and (name is None or row["true_id"] != name):
                cell = cells.setdefault(tuple(row[key] for key in sorted(alike)), [0, 0, 0, 0])
                side = 0 if has(row, values) else 2
                cell[side] += errs(row, name)
                cell[side + 1] += 1
        both = np.array([cell for cell in cells.values() if cell[1] and cell[3]], float).reshape(-1, 4)
        x, n, x0, n0 = both.T
        spread = (n**2 / n0).sum()
        base_n = n.sum() ** 2 / spread if spread else 0.0
        base = (n * x0 / n0).sum() / n.sum() if n.sum() else 0.0
        one = [getattr(found, key)[place] for key in ("errors", "n", "base_errors", "base_n")]
        assert one == pytest.approx([x.sum(), n.sum(), base * base_n, base_n]), values


@pytest.mark.parametrize("family", [*FAMILIES, ("camera_id",), ("predicted_id",), ("pair",), ("camera_id", "pair")])
def test_rates_are_those_of_each_slice_alone(family):
    rows, data = drawn_visits(5)
    each = each_slice(data, family)
    codes = np.concatenate([slice_codes(data, values)[1] for values in each])
    counts = Counts(*(np.arange(len(each)) + more for more in (1.0, 40.0, 7.0, 300.0)))
    keys = [key for key in family if key not in ("pair", "predicted_id")]
    wrong_rows = [row for row in rows if errs(row, None)]
    n_names = len(data.values["predicted_id"])
    kinds = {}
    for flag in (True, False):
        some = [row for row in rows if row["has_flag"] == flag]
        kinds[flag] = sum(row["event_weight"] * errs(row, None) for row in some) / sum(
            row["event_weight"] for row in some
        )
    assert any(rate.is_lower_bound for rate in slice_rates(data, family, codes, counts, 0.9)) == ("pair" in family)
    for place, (values, rate) in enumerate(zip(each, slice_rates(data, family, codes, counts, 0.9), strict=True)):
        name = called(values)
        could = [row for row in rows if all(row[key] is not None for key in keys) and row["true_id"] != name]
        inside = [row for row in could if has(row, values)]
        outside = [row for row in could if not has(row, values)]
        assert rate.n_events == rate.n_images == len(inside)
        assert rate.n_errors == sum(errs(row, name) for row in inside)
        if rate.is_lower_bound:
            assert all(row["has_flag"] for row in inside)
            assert (rate.error_rate, rate.n_effective) == (counts.rate[place], counts.n[place])
            continue

        def weighted(some, name=name):
            weight = sum(row["event_weight"] for row in some)
            return sum(row["event_weight"] * errs(row, name) for row in some) / weight if weight else 0.0

        p = weighted(inside)
        variance = 0.0
        for flag in (True, False):
            w = np.array([row["event_weight"] for row in inside if row["has_flag"] == flag])
            if w.size:
                n = w.sum() ** 2 / (w**2).sum()
                q = (weighted([row for row in inside if row["has_flag"] == flag]) * n + 2 * kinds[flag]) / (n + 2)
                variance += (q * (1 - 2 * p) + p**2) * (w**2).sum()
        w = np.array([row["event_weight"] for row in inside])
        n = p * (1 - p) * w.sum() ** 2 / variance if 0 < p < 1 else w.sum() ** 2 / (w**2).sum()
        if not outside and name is not None:  # a name alone: the average of the other names
            of_others = sum(row["event_weight"] for row in wrong_rows if row["predicted_id"] != name)
            base = of_others / (n_names - 1) / w.sum()
        else:
            base = weighted(outside) if outside else counts.base_rate[place]
        assert [rate.error_rate, rate.n_effective, rate.baseline_rate] == pytest.approx([p, min(n, len(inside)), base])


def test_no_slice_and_no_visit_give_nothing():
    _, data = drawn_visits(5)
    nothing = np.zeros((0, 1), np.int64)
    assert in_kind_counts(data, ("flank",), nothing).n.size == 0
    assert slice_rates(data, ("camera_id",), nothing, Counts(*(np.zeros(0),) * 4), 0.95) == []


@pytest.mark.parametrize("largest", [30, 10**12])
def test_sums_by_number_are_those_of_each_row_however_large_the_numbers_are(largest):
    rng = np.random.default_rng(3)
    keys = rng.choice([0, 1, 5, 7, largest], 40)
    values = rng.integers(0, 9, 40).astype(float)
    wanted = np.array([-1, 0, 1, 2, 5, 7, 8, largest, largest + 1])
    found = Sparse(keys)
    assert found.sums(wanted, values).tolist() == [values[keys == one].sum() for one in wanted]
    assert found.sums(wanted).tolist() == [(keys == one).sum() for one in wanted]
    assert Sparse(keys[:0]).sums(wanted).tolist() == [0] * len(wanted)


def test_most_of_a_visit_is_what_one_row_has_or_the_first_of_equally_many():
    # Visit 0 has one row, 1 three, 2 two of which one counts, 3 one that is not known, 4 none.
    visit, codes = np.array([1, 0, 1, 2, 1, 2, 3]), np.array([4, 9, 2, 7, 4, 5, -1])
    counts = np.array([True, True, True, False, True, True, True])
    assert most(visit, codes, 5).tolist() == [9, 4, 5, -1, -1]
    assert most(visit, codes, 5, counts).tolist() == [9, 4, 5, -1, -1]
    assert most(visit, np.array([4, 9, 2, 7, 3, 7, -1]), 5, ~counts).tolist() == [-1, -1, 7, -1, -1]
