"""Signs of causes: each is seen where it was planted, and not in the world beside it in which its sentence would be false."""

from __future__ import annotations

import csv

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from scipy import stats

from scd_core.audit.errors.derive import derive_errors
from scd_core.audit.errors.labellers import create_labeller_signs
from scd_core.audit.errors.strata import hypergeometric, least_p_value, stratified_p_value
from scd_core.audit.labels.importing import import_labels
from tests.audit.audit_builder import AuditBuilder, minutes


def causes(tmp_path, visits, build=None):
    """(true, name, camera, labeller or flank) -> causes of the wrong names, one row of `visits` each.

    A visit is camera, labelled, named, and other columns: `by`, `flank`, those of the medium.
    """
    builder = AuditBuilder(tmp_path / "out", individuals=list("ABCDEFGH"))
    rows = []
    for place, (camera, true, name, *more) in enumerate(visits):
        extra = dict(more[0]) if more else {}
        by, flank = extra.pop("by", "ana"), extra.pop("flank", "")
        file = f"v{place}.jpg"
        builder.predict(file, name, 0.7, camera=camera, at=minutes(90 * place), **extra)
        rows.append({"file": file, "individual_id": true, "labelled_by": by, "flank": flank})
    out = builder.write()
    path = tmp_path / "labels.csv"
    with path.open("w", newline="") as handle:
        writer = csv.DictWriter(handle, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    import_labels(out, str(path))
    return [row for row in derive_errors(out).to_pylist() if row["error_type"] != "correct"]


def kinds(rows, **where):
    return {row["cause"] for row in rows if all(row[key] == value for key, value in where.items())}


def test_the_exact_test_is_fishers_in_one_stratum_and_adds_over_several():
    rng = np.random.default_rng(0)
    for _ in range(20):
        n, n_others = (int(one) for one in rng.integers(1, 30, 2))
        x, x_others = int(rng.integers(0, n + 1)), int(rng.integers(0, n_others + 1))
        fisher = stats.fisher_exact([[x, n - x], [x_others, n_others - x_others]], "greater").pvalue
        assert stratified_p_value(*np.array([[x], [n], [x_others], [n_others]])) == pytest.approx(fisher)
    drawn = stats.hypergeom(20, 6, 8).rvs(20000, random_state=1) + stats.hypergeom(30, 9, 10).rvs(20000, random_state=2)
    p_value = stratified_p_value(np.array([5, 6]), np.array([8, 10]), np.array([1, 3]), np.array([12, 20]))
    assert p_value == pytest.approx((drawn >= 11).mean(), abs=3e-3)


def test_no_p_value_is_below_the_least_one():
    rng = np.random.default_rng(4)
    for _ in range(100):
        n, n_others = rng.integers(0, 12, 5), rng.integers(0, 12, 5)
        errors = np.minimum(rng.integers(0, 5, 5), n + n_others)
        most = np.minimum(errors, n)
        p_value = stratified_p_value(most, n, errors - most, n_others)
        assert least_p_value(errors, n, np.zeros(5, int), n_others) == pytest.approx(p_value)


def test_no_chance_differs_from_scipys():
    rng = np.random.default_rng(3)
    for n_of, n_others in rng.integers(0, 300, (200, 2)):
        n_err = int(rng.integers(0, n_of + n_others + 1))
        falls = np.arange(min(n_err, n_of) + 1)
        expected = stats.hypergeom.pmf(falls, n_of + n_others, n_err, n_of) if n_of + n_others else np.ones(1)
        assert hypergeometric(n_err, int(n_of), int(n_others)) == pytest.approx(expected, abs=1e-10)


def slips(by, others, camera="C01", camera_of_others="C01"):
    """`by` calls B what the model calls A; the others agree with the model."""
    return (
        [(camera, "B", "A", {"by": by})] * 8
        + [(camera, "A", "A", {"by": by})] * 8
        + [(camera_of_others, "A", "A", {"by": others})] * 16
    )


def test_a_labeller_who_differs_from_the_others_at_the_place(tmp_path):
    rows = causes(tmp_path, slips("ben", "ana"))
    assert kinds(rows) == {"label_suspect"}
    assert "ben calls 8 of 16" in rows[0]["cause_evidence"] and "the others 0 of 16" in rows[0]["cause_evidence"]


@pytest.mark.parametrize(
    "visits",
    [
        slips("ben", "ben"),  # one labeller
        slips("ben", "ana", camera_of_others="C02"),  # each has a place of their own
        [*slips("ben", "ana"), *[("C01", "B", "A", {"by": "ana"})] * 8],  # the other one says so too
        [*slips("ben", "ana")[:8], *[("C01", "D", "D", {"by": "ana"})] * 30],  # the others saw other individuals
        # the others saw A elsewhere only
        [*slips("ben", "ana", camera_of_others="C02"), *[("C01", "D", "D", {"by": "ana"})] * 30],
        [(c, t, p, {**m, "deployment_id": f"C01-{m['by']}"}) for c, t, p, m in slips("ben", "ana")],  # other periods
        [(c, t, p, {**m, "flag_reasons": ["small_margin"] if t == "B" else []}) for c, t, p, m in slips("ben", "ana")],
    ],
    ids=["alone", "own-place", "both", "others", "others-elsewhere", "own-period", "ben-has-the-flagged"],
)
def test_nobody_is_accused_whom_no_other_label_contradicts(tmp_path, visits):
    assert "label_suspect" not in kinds(causes(tmp_path, visits))


@pytest.mark.parametrize(("by", "cause"), [("ben", "label_suspect"), ("ana", "unexplained")])
def test_one_label_is_in_doubt_where_another_person_named_the_same_event(tmp_path, by, cause):
    builder = AuditBuilder(tmp_path / "out", individuals=["A", "B"])
    for number in range(2):
        builder.predict(f"f{number}.jpg", "A", 0.97, event="e", at=minutes(0))
    out = builder.write()
    path = tmp_path / "labels.csv"
    path.write_text(f"file,individual_id,labelled_by\nf0.jpg,B,ana\nf1.jpg,A,{by}\n")
    import_labels(out, str(path))
    assert kinds(derive_errors(out).to_pylist(), target_id="id-f0.jpg") == {cause}


def flanks(camera_of_right, n_left=12, n_right=12):
    return [("C01", "A", "B", {"flank": "left"})] * n_left + [
        (camera_of_right, "A", "A", {"flank": "right"}),
    ] * n_right


def test_a_flank_is_compared_with_the_other_one_at_the_same_camera(tmp_path):
    rows = causes(tmp_path, flanks("C01"))
    assert kinds(rows) == {"flank"}
    assert "in 12 of 12 visits, the other one in 0 of 12" in rows[0]["cause_evidence"]


@pytest.mark.parametrize("visits", [flanks("C02"), flanks("C01", n_right=1), flanks("C01", n_left=3, n_right=3)])
def test_no_flank_is_blamed_for_its_camera_or_for_want_of_the_other(tmp_path, visits):
    """All left flanks pass at C01, or the other flank was hardly seen, or both were: none of it shows anything of flanks."""
    assert "flank" not in kinds(causes(tmp_path, visits))


PASSING = [(f"C{n}", "D", "D", {"flank": side}) for n in range(8) for side in ("left", "right") * 4]
"""What either flank of another animal is seen at, at eight cameras."""


def test_other_animals_show_how_often_each_side_is_seen_where_one_is_misread(tmp_path):
    """A's left flank is misread at eight cameras, once at each, and its right one was seen at three others."""
    visits = [(f"C{n}", "A", "B", {"flank": "left"}) for n in range(8)]
    visits += [(f"E{n}", "A", "A", {"flank": "right"}) for n in range(3)]
    rows = causes(tmp_path, visits + PASSING)
    assert kinds(rows) == {"flank"}
    assert (
        "the left flank of this individual is misread in 8 of 8 visits, the other one in 0 of 3"
        in rows[0]["cause_evidence"]
    )


def test_the_other_side_of_the_individual_itself_counts_where_the_cameras_do_not_explain_it(tmp_path):
    """Six errors may all be left by chance three times in a hundred; that seven visits from the right are right adds to it."""
    visits = [(f"C{n}", "A", "B", {"flank": "left"}) for n in range(6)]
    visits += [(f"E{n}", "A", "A", {"flank": "right"}) for n in range(7)]
    rows = causes(tmp_path, visits + PASSING)
    assert kinds(rows) == {"flank"}


@pytest.mark.parametrize(
    "visits",
    [
        # All pass these cameras from the left.
        [(f"C{n}", "A", "B", {"flank": "left"}) for n in range(8)]
        + [(f"C{n}", "D", "D", {"flank": "left"}) for n in range(8) for _ in range(8)],
        # A passes one camera from the left, and is misnamed there.
        [("C0", "A", "B", {"flank": "left"})] * 8 + PASSING,
    ],
    ids=["all-left", "one-way"],
)
def test_no_flank_is_blamed_for_the_way_that_animals_go(tmp_path, visits):
    visits = [*visits, *[("E0", "A", "A", {"flank": "right"})] * 6]
    assert "flank" not in kinds(causes(tmp_path, visits))


def test_what_else_people_label_shows_how_labels_would_fall(tmp_path):
    """Ben says B eight times, where ana agrees with the model on A five times; both label many others there."""
    slips_of_few = [("C01", "B", "A", {"by": "ben"})] * 8 + [("C01", "A", "A", {"by": "ana"})] * 5
    both = [("C01", "D", "D", {"by": by}) for by in ("ana", "ben") for _ in range(12)]
    rows = causes(tmp_path, slips_of_few + both)
    assert kinds(rows) == {"label_suspect"}
    assert "ben calls 8 of 8" in rows[0]["cause_evidence"] and "the others 0 of 5" in rows[0]["cause_evidence"]


def test_the_flanks_of_all_individuals_are_a_flank_too(tmp_path):
    names = "ABCDEF"
    visits = [
        ("C01", one, other if side == "right" else one, {"flank": side})
        for one, other in zip(names, names[1:] + "A", strict=True)
        for side in ["left", "right"] * 2
    ]
    rows = causes(tmp_path, visits)
    assert kinds(rows) == {"flank"}
    assert "of all individuals" in rows[0]["cause_evidence"]


STATION = [("C01", one, "H") for one in "ABCD" for _ in range(3)] + [
    ("C02", one, one) for one in "ABCDE" for _ in range(8)
]


def test_a_place_where_several_individuals_are_given_one_name(tmp_path):
    rows = causes(tmp_path, STATION)
    assert kinds(rows) == {"place"}
    assert rows[0]["cause_evidence"] == "at this camera 4 individuals are called H, in 12 visits"


@pytest.mark.parametrize(
    "visits",
    [
        [("C01", "A", "H")] * 9 + STATION[12:],  # one individual
        [*STATION[:12], *[("C02", one, "H") for one in "ABCD" for _ in range(3)]],  # wherever they are
        [("C01", one, other) for one in "ABCD" for other in "EFGH"] + STATION[12:],  # a bad camera, any name
        # A looks like H wherever it is, and at C01 B and C were once given that name
        [(camera, "A", "H") for camera in ("C01", "C02") for _ in range(8)]
        + [("C01", "B", "H"), ("C01", "C", "H")]
        + [("C01", one, one) for one in "BCD" for _ in range(15)]
        + [("C02", one, "H" if n == 0 else one) for one in "BCD" for n in range(15)],
    ],
    ids=["one", "everywhere", "any-name", "twin"],
)
def test_no_place_is_blamed_for_what_happens_elsewhere_too_or_to_one(tmp_path, visits):
    assert "place" not in kinds(causes(tmp_path, visits))


def pair(cameras, name="H", true="A"):
    return [(camera, true, name) for camera in cameras for _ in range(4)] + [
        ("C09", one, one) for one in "BC" for _ in range(9)
    ]


def test_a_pair_looks_alike_where_it_recurs_at_several_places(tmp_path):
    rows = causes(tmp_path, pair(("C01", "C02")))
    assert kinds(rows) == {"confusable_pair"}
    assert rows[0]["cause_evidence"] == "this confusion recurs, at 2 cameras"


@pytest.mark.parametrize(
    "visits",
    [
        pair(("C01",)),
        [*pair(("C01", "C01")), ("C02", "A", "H"), *[("C02", "A", "A")] * 20],  # once elsewhere, of 21
        pair(("C01", "C02"), name="unknown"),
        pair(("C01", "C02"), true="unknown"),
    ],
    ids=["one-place", "once-elsewhere", "called-unknown", "an-unknown"],
)
def test_no_pair_looks_alike_at_one_place_and_nothing_looks_like_unknown(tmp_path, visits):
    assert "confusable_pair" not in kinds(causes(tmp_path, visits))


@pytest.mark.parametrize(("n_near", "cause"), [(4, "confusable_pair"), (3, "unexplained"), (2, "unexplained")])
def test_a_pair_that_is_mostly_a_near_miss_looks_alike_in_its_other_pictures_too(tmp_path, n_near, cause):
    """Four near misses of eight are half; three are not, and two visits of three would be too few."""
    n = 8 if n_near > 2 else 3
    builder = AuditBuilder(tmp_path / "out", individuals=["A", "B"])
    for place in range(n):
        topk = [("B", 0.6), ("A", 0.3 if place < n_near else 0.01)]
        builder.predict(f"v{place}.jpg", "B", 0.6, camera="C01", at=minutes(90 * place), topk=topk)
    out = builder.write()
    path = tmp_path / "labels.csv"
    path.write_text("file,individual_id\n" + "".join(f"v{place}.jpg,A\n" for place in range(n)))
    import_labels(out, str(path))
    found = {row["target_id"]: row for row in derive_errors(out).to_pylist()}
    assert found["id-v0.jpg"]["cause"] == "confusable_pair"
    assert found[f"id-v{n - 1}.jpg"]["cause"] == cause
    assert cause == "unexplained" or "in 4 of the 8 pictures" in found[f"id-v{n - 1}.jpg"]["cause_evidence"]


def test_nothing_is_a_near_miss_of_unknown(tmp_path):
    rows = causes(
        tmp_path, [("C01", "A", "unknown", {"runner_up": ("A", 0.4)}), ("C01", "A", "B", {"runner_up": ("A", 0.4)})]
    )
    assert kinds(rows, predicted_id="unknown") == {"unexplained"}
    assert kinds(rows, predicted_id="B") == {"confusable_pair"}


def always(sharpness, n_wrong=6, **medium):
    visits = [("C01", "A", "B" if n < n_wrong else "A", {"sharpness": sharpness} | medium) for n in range(6)]
    return visits + [(f"C0{n}", "A", "A", {"sharpness": 100.0}) for n in range(2, 7) for _ in range(3)]


def test_a_camera_that_is_always_bad_is_bad_against_the_others(tmp_path):
    rows = causes(tmp_path, always(20.0))
    assert kinds(rows) == {"image_quality"}
    assert rows[0]["cause_evidence"] == (
        "pictures of this camera are blurred against those of the others in this light; 6 of 6 visits err, there 0 of 15"
    )


@pytest.mark.parametrize(
    "visits",
    [always(60.0), always(20.0, n_wrong=1), always(20.0, is_infrared=True)],
    ids=["good", "does-not-err", "infrared"],
)
def test_no_camera_is_blamed_for_another_light_or_for_what_does_no_harm(tmp_path, visits):
    """Infrared pictures are less sharp than colour ones: a camera that only works by night is not poor by that."""
    assert "image_quality" not in kinds(causes(tmp_path, visits))


def seen_by_chance(rng, n_visits=6000, slip=0.0):
    """Rows of the table `seen`: three people label alike at twenty cameras; with `slip` one of them calls B what is A."""
    names = np.array([f"N{place:02d}" for place in range(12)])
    true, person = rng.integers(12, size=n_visits), rng.integers(3, size=n_visits)
    is_wrong = rng.random(n_visits) < 0.15
    called = np.where(is_wrong, (true + rng.integers(1, 12, n_visits)) % 12, true)
    slips = (true == 0) & (person == 0) & (rng.random(n_visits) < slip)
    true, is_wrong = np.where(slips, 1, true), is_wrong | slips
    cameras = np.array([f"C{place:02d}" for place in rng.integers(20, size=n_visits)])
    return pa.table(
        {
            "visit": [f"v{place}" for place in range(n_visits)], "true_id": names[true], "predicted_id": names[called],
            "is_wrong": is_wrong, "labelled_by": np.array(["ana", "ben", "eva"])[person], "camera": cameras, "place": cameras,
            # A model that is mostly right has its errors among the flagged.
            "has_reason": is_wrong | (rng.random(n_visits) < 0.1),
        }
    )  # fmt: skip


def accused(rows):
    with duckdb.connect() as connection:
        connection.register("rows", rows)
        connection.execute("CREATE TEMP TABLE seen AS FROM rows")
        create_labeller_signs(connection)
        return set(connection.execute("SELECT true_id, predicted_id, labelled_by FROM labeller_signs").fetchall())


def test_of_many_pairs_and_people_few_are_in_doubt_by_chance():
    """Of 396 pairs and labellers a world, errors fall on nobody more than chance would have it."""
    worlds = [len(accused(seen_by_chance(np.random.default_rng(seed)))) for seed in range(20)]
    assert sum(n > 0 for n in worlds) <= 6


def test_who_slips_is_found_among_many():
    found = [accused(seen_by_chance(np.random.default_rng(seed), slip=0.5)) for seed in range(5)]
    assert all(("N01", "N00", "ana") in of for of in found)
    assert sum(len(of) for of in found) <= 7
