"""Error slices: recomputed by hand, on events, honest in the small, one name for one error."""

import hashlib

import numpy as np
import pyarrow as pa
import pytest
from scipy import stats

from scd_core.audit.slices import derive
from scd_core.audit.slices.data import slice_data, slice_members
from scd_core.audit.slices.derive import find_slices
from scd_core.audit.slices.explain import _Rest
from scd_core.config import SliceConfig
from scd_core.tables.schema import table_schema


def errors_table(rows):
    """Rows of ``errors``: camera, true, predicted, and other columns."""
    whole = []
    for place, row in enumerate(rows):
        camera, true, predicted, *more = row
        extra = more[0] if more else {}
        whole.append(
            {
                "batch_key": "b",
                "model_digest": "m",
                "target_id": f"t{place}",
                "media_id": f"t{place}",
                "event_id": f"e{place}",
                "camera_id": camera,
                "true_id": true,
                "predicted_id": predicted,
                "final_id": predicted,
                "error_type": "correct" if true == predicted else "shift",
                "is_labelled": True,
                "is_current": True,
                "is_masked": False,
                "is_recovered": False,
                "quality": "good",
                "cause": None if true == predicted else "unexplained",
                "event_weight": 1.0,
                "label_probability": 1.0,
            }
            | extra
        )
    return pa.Table.from_pylist(whole, schema=table_schema("errors"))


def slices(rows, exposures=None, **config):
    table = rows if isinstance(rows, pa.Table) else errors_table(rows)
    return find_slices(table, SliceConfig(**config), exposures=exposures).to_pylist()


def exposed(rows):
    """Exposures: camera, name, visits."""
    whole = [
        {
            "camera_id": camera,
            "true_id": name,
            "predicted_id": name,
            "model_digest": "m",
            "quality": "good",
            "exposure": n,
        }
        for camera, name, n in rows
    ]
    schema = table_schema("errors")
    keys = (
        "camera_id",
        "deployment_id",
        "true_id",
        "predicted_id",
        "model_digest",
        "quality",
        "captured_at",
        "is_infrared",
    )
    return pa.Table.from_pylist(
        whole, schema=pa.schema([*(schema.field(key) for key in keys), pa.field("exposure", pa.float64())])
    )


def by_values(found):
    return {tuple(sorted(dict(row["slice"]).items())): row for row in found}


def world(seed=0, n=800, rate=0.05, bad=0.7):
    """At C03 the individual A is called B; a twentieth of the rest is wrong somehow."""
    rng = np.random.default_rng(seed)
    names = np.array(list("ABCDEFGH"))
    for _ in range(n):
        camera, true = f"C{rng.integers(8):02d}", str(rng.choice(names))
        predicted = true
        if rng.random() < rate:
            predicted = str(rng.choice(names[names != true]))
        if camera == "C03" and true == "A" and rng.random() < bad:
            predicted = "B"
        yield camera, true, predicted


def test_a_camera_recomputed_by_hand():
    rows = [("C01", "A", "B")] * 8 + [("C01", "A", "A")] * 12 + [("C02", "A", "A")] * 57 + [("C02", "A", "B")] * 3
    found = by_values(slices(rows, families=("camera_id",), min_errors=1))
    row = found[("camera_id", "C01"),]
    assert (row["n_events"], row["n_errors"], row["n_tests"]) == (20, 8, 2)
    assert row["error_rate"] == pytest.approx(0.4) and row["baseline_rate"] == pytest.approx(0.05)
    assert row["lift"] == pytest.approx(8)
    assert row["n_effective"] == pytest.approx(20)
    interval = stats.binomtest(8, 20).proportion_ci(method="wilson")
    assert (row["ci_low"], row["ci_high"]) == pytest.approx((interval.low, interval.high))
    assert row["p_value"] == pytest.approx(stats.fisher_exact([[8, 12], [3, 57]], "greater").pvalue, rel=1e-4)
    assert row["q_value"] == pytest.approx(2 * row["p_value"])
    assert row["is_systematic"] and row["confused_with"] == "B"


def test_frames_and_events_of_one_visit_are_one_proof():
    burst = [
        ("C01", "A", "B", {"event_id": f"burst{n % 6}", "visit_id": f"visit{n % 3}", "event_weight": 1 / 10})
        for n in range(60)
    ]
    rows = [*burst, *[("C01", "A", "A")] * 5, *[("C02", "A", "A")] * 60]
    row = by_values(slices(rows, families=("camera_id",)))[("camera_id", "C01"),]
    assert (row["n_events"], row["n_images"], row["n_errors"]) == (8, 65, 3)
    assert row["error_rate"] == pytest.approx(6 / 11), "six events of eleven"
    assert row["p_value"] == pytest.approx(stats.fisher_exact([[3, 5], [0, 60]], "greater").pvalue, rel=1e-4)


def test_a_visit_errs_where_half_of_its_events_do_and_has_the_name_of_most():
    def visit(number, *names):
        return [
            ("C01", "A", name, {"event_id": f"v{number}e{place}", "visit_id": f"v{number}", "event_weight": 1.0})
            for place, name in enumerate(names)
        ]

    wrong = [row for n in range(4) for row in visit(n, "B", "B", "C", "A", "A")]
    right = [row for n in range(4, 8) for row in visit(n, "B", "A", "A")]
    found = by_values(slices([*wrong, *right, *[("C02", "A", "A")] * 90], max_depth=1))
    row = found[("camera_id", "C01"),]
    assert (row["n_events"], row["n_errors"], row["n_images"]) == (8, 4, 32)
    assert row["error_rate"] == pytest.approx(16 / 32)
    # half of the frames of an event make it err
    burst = [("C03", "A", name, {"event_id": "e", "event_weight": 1 / 4}) for name in "AABC"]
    many = [(*row[:3], {"event_id": f"{n}", "event_weight": 1 / 4}) for n in range(5) for row in burst]
    row = by_values(slices([*many, *[("C02", "A", "A")] * 90], families=("camera_id",)))[("camera_id", "C03"),]
    assert (row["n_events"], row["n_errors"]) == (5, 5)


def test_weights_enter_the_rate_and_not_the_test():
    flag, drawn = {"has_flag": True}, {"event_weight": 20.0, "has_flag": False}
    rows = [("C01", "A", "B", flag)] * 10 + [("C01", "A", "A", drawn)] * 10
    rows += [("C02", "A", "A", drawn)] * 60 + [("C02", "A", "B", flag)] * 10
    row = by_values(slices(rows, families=("camera_id",)))[("camera_id", "C01"),]
    assert row["error_rate"] == pytest.approx(10 / 210) and row["baseline_rate"] == pytest.approx(10 / 1210)
    assert row["lift"] == pytest.approx(row["error_rate"] / row["baseline_rate"])
    assert not row["is_lower_bound"] and row["n_effective"] <= 20
    assert row["p_value"] == pytest.approx(stats.fisher_exact([[10, 10], [10, 60]], "greater").pvalue, rel=1e-4)


def test_without_controls_a_rate_is_the_least_that_it_can_be():
    """Five flagged errors of a camera prove little where twenty of its visits were passed over, as elsewhere."""
    flag = {"has_flag": True}
    rows = [("C01", "A", "B", flag)] * 5 + [("C02", "A", "B", flag)] * 30 + [("C02", "A", "A", flag)] * 10
    config = {"families": ("camera_id",), "min_lift": 1.0}
    row = by_values(slices(rows, exposed([("C01", "A", 20.25), ("C02", "A", 400.0)]), **config))[("camera_id", "C01"),]
    assert row["is_lower_bound"] and (row["n_events"], row["n_errors"]) == (5, 5)
    assert row["exposure"] == row["n_effective"] == pytest.approx(25.25)
    assert row["error_rate"] == pytest.approx(5 / 25.25) and row["baseline_rate"] == pytest.approx(30 / 440)
    assert row["p_value"] == pytest.approx(stats.fisher_exact([[5, 20], [30, 410]], "greater").pvalue, rel=1e-3)
    assert not row["is_systematic"]
    passed = [("C01", "A", 45.0), ("C02", "A", 400.0)]
    assert ("camera_id", "C01") not in {key for row in slices(rows, exposed(passed), **config) for key in row["slice"]}
    alone = by_values(slices(rows, exposed([("C02", "A", 400.0)]), **config))[("camera_id", "C01"),]
    assert alone["is_systematic"], "nothing was passed over there"


def test_one_person_is_compared_with_others_on_the_same_individual_at_the_same_place():
    """X labels the bad camera and Y the others; both are blameless. Z labels beside them and calls A what is B."""

    def by(who, camera, true, predicted, n):
        cause = {} if true == predicted else {"cause": "label_suspect" if who == "Z" else "unexplained"}
        return [(camera, true, predicted, {"labelled_by": who} | cause)] * n

    rows = by("X", "C01", "A", "B", 30) + by("X", "C01", "A", "A", 30) + by("Y", "C02", "A", "A", 200)
    rows += by("Y", "C02", "A", "B", 6) + by("X", "C01", "B", "B", 40)
    assert not any("labelled_by" in dict(row["slice"]) and row["is_systematic"] for row in slices(rows))
    rows += by("Z", "C02", "A", "B", 25) + by("Z", "C02", "A", "A", 5) + by("Z", "C03", "B", "B", 9)
    row = by_values(slices(rows, families=("camera_id", "true_id", "labelled_by")))[("labelled_by", "Z"),]
    assert row["is_systematic"] and row["n_events"] == 39
    assert row["exposure"] == 30, "nobody else labelled B at C03"
    assert row["p_value"] == pytest.approx(stats.fisher_exact([[25, 5], [6, 200]], "greater").pvalue, rel=1e-3)


@pytest.mark.parametrize("seed", range(3))
def test_one_error_gets_one_name(seed):
    found = slices(world(seed))
    reported = [row for row in found if row["is_systematic"] and row["folded_into"] is None]
    assert [dict(row["slice"]) for row in reported] == [{"camera_id": "C03", "true_id": "A"}]
    folded = {row["folded_into"] for row in found if row["is_systematic"] and row["folded_into"]}
    assert folded == {reported[0]["slice_id"]}


def test_a_bad_camera_is_a_camera_whoever_comes():
    rng = np.random.default_rng(1)
    rows = []
    for _ in range(800):
        camera, true = f"C{rng.integers(6):02d}", str(rng.choice(list("ABCDE")))
        wrong = rng.random() < (0.5 if camera == "C02" else 0.04)
        rows.append((camera, true, str(rng.choice([name for name in "ABCDE" if name != true])) if wrong else true))
    reported = [dict(row["slice"]) for row in slices(rows) if row["is_systematic"] and row["folded_into"] is None]
    assert reported == [{"camera_id": "C02"}]


def test_twins_are_a_pair_wherever_they_are():
    n_others = 0
    for seed in range(7, 11):
        rng = np.random.default_rng(seed)
        rows = []
        for _ in range(1000):
            camera, true = f"C{rng.integers(6):02d}", str(rng.choice(list("ABCDEF")))
            other = str(rng.choice([name for name in "ABCDEF" if name != true]))
            predicted = "B" if true == "A" and rng.random() < 0.5 else other if rng.random() < 0.04 else true
            rows.append((camera, true, predicted, {"cause": None if predicted == true else "confusable_pair"}))
        reported = [row for row in slices(rows) if row["is_systematic"] and row["folded_into"] is None]
        twins = [row for row in reported if dict(row["slice"]) in ({"pair": "A -> B"}, {"true_id": "A"})]
        assert [(row["confused_with"], row["cause"]) for row in twins] == [("B", "confusable_pair")]
        n_others += len(reported) - 1
    assert n_others <= 1


def test_a_rare_individual_is_no_attractor_by_being_rare():
    """Ordinary confusion names the rare one wrongly more often than rightly; that is no systematic error."""
    rng = np.random.default_rng(3)
    names = list("ABCDEFGHIJ")
    rows = []
    for _ in range(3000):
        true = names[0] if rng.random() < 0.003 else str(rng.choice(names[1:]))
        predicted = str(rng.choice([name for name in names if name != true])) if rng.random() < 0.08 else true
        rows.append((f"C{rng.integers(5):02d}", true, predicted))
    called = [true for _, true, predicted in rows if predicted == "A"]
    assert sum(true != "A" for true in called) > len(called) / 2
    assert not any(row["is_systematic"] for row in slices(rows, families=("predicted_id", "pair", "true_id")))


def test_empty_worlds_are_quiet():
    n_reported = sum(row["is_systematic"] for seed in range(6) for row in slices(world(seed, bad=0)))
    assert n_reported <= 1


def test_no_labels_one_label_all_right_all_wrong():
    assert slices([]) == []
    assert slices([("C01", "A", "B")]) == []
    assert slices([(f"C{n % 3}", "A", "A") for n in range(60)]) == []
    wrong = slices([(f"C{n % 3}", "A", "B") for n in range(60)])
    assert not any(row["is_systematic"] for row in wrong)
    assert all(row["error_rate"] == 1 for row in wrong)


def test_a_name_that_hardly_anybody_is_given_needs_no_rate():
    """Seven events of A at C01 were flagged as B, whom nobody else is called; one drawn control stands for twenty."""
    control = {"event_weight": 20.0, "label_probability": 0.05}
    names = [f"N{n:02d}" for n in range(60)]
    ordinary = [(f"C{n % 9:02d}", names[n % 60], names[n % 60], control) for n in range(300)]
    flagged = [(f"C{n % 9:02d}", names[n % 60], names[n * 7 % 60]) for n in range(300)]
    planted = [("C01", "A", "B")] * 7 + [("C01", "A", "A", control)] + [("C05", "A", "A", control)] * 4
    seven = by_values(slices([*ordinary, *flagged, *planted]))[("camera_id", "C01"), ("pair", "A -> B")]
    assert seven["is_systematic"] and seven["q_value"] < 1e-3
    few = [("C01", "A", "B")] * 3 + [("C01", "A", "A", control)] * 2 + [("C05", "A", "A", control)] * 4
    row = by_values(slices([*ordinary, *flagged, *few]))[("camera_id", "C01"), ("pair", "A -> B")]
    assert row["p_value"] > 1e6 * seven["p_value"], "three are not seven"


def test_a_pair_is_asked_for_within_the_individual_that_errs():
    """At C03, A is given a dozen names, N01 three times: too few among all pairs at all cameras, not among A's names there."""
    rng = np.random.default_rng(5)
    names = [f"N{n:02d}" for n in range(40)]
    rows = []
    for _ in range(3000):
        true = str(rng.choice(names))
        rows.append((f"C{rng.integers(12):02d}", true, str(rng.choice(names)) if rng.random() < 0.15 else true))
    rows += (
        [("C03", "A", "N01")] * 3
        + [("C03", "A", names[n]) for n in range(2, 14)]
        + [("C03", "A", "A")] * 6
        + [("C05", "A", "A")] * 40
    )
    found = by_values(slices(rows))
    whole, pair = found[("camera_id", "C03"), ("true_id", "A")], found[("camera_id", "C03"), ("pair", "A -> N01")]
    assert whole["is_systematic"] and whole["tested_within"] is None
    assert pair["tested_within"] == whole["slice_id"] and pair["is_systematic"]
    assert pair["n_tests"] == 2 * 40 and pair["q_value"] >= whole["q_value"]
    for row in found.values():
        if row["tested_within"] is not None:
            assert "pair" in dict(row["slice"])


def test_unlabelled_and_superseded_rows_do_not_count():
    rows = [("C01", "A", "B", {"is_current": False})] * 20 + [("C01", "A", "A")] * 20 + [("C02", "A", "A")] * 20
    rows += [("C01", None, "B", {"is_labelled": False, "error_type": None})] * 20
    assert slices(rows, min_errors=1) == []


def test_ten_thousand_individuals_each_seen_once():
    rng = np.random.default_rng(4)
    rows = []
    for n in range(10_000):
        wrong = rng.random() < 0.05
        rows.append((f"C{n % 50:02d}", f"ind{n}", f"ind{rng.integers(10_000)}" if wrong else f"ind{n}"))
    assert not any(row["is_systematic"] for row in slices(rows))


def test_the_order_of_rows_does_not_matter():
    table = errors_table(world(5))
    shuffled = table.take(np.random.default_rng(0).permutation(len(table)))
    drop = ("example_media_ids",)
    first, second = (
        [{key: value for key, value in row.items() if key not in drop} for row in slices(rows)]
        for rows in (table, shuffled)
    )
    assert len(first) == len(second)
    for one, two in zip(first, second, strict=True):
        assert one["slice_id"] == two["slice_id"] and one["folded_into"] == two["folded_into"]
        assert one["p_value"] == pytest.approx(two["p_value"])


def test_trend_against_the_report_before():
    config = SliceConfig(families=("camera_id", "true_id"))
    none = find_slices(errors_table(world(0, bad=0)), config)
    assert not any(none["is_systematic"].to_pylist())
    some = find_slices(errors_table(world(0, n=1600, bad=0.6)), config, none)
    trends = {row["trend"] for row in some.to_pylist() if row["is_systematic"]}
    assert "new" in trends and trends <= {"new", None}, "what is not announced is not new yet"
    same = find_slices(errors_table(world(0, n=1600, bad=0.6)), config, some)
    assert {row["trend"] for row in same.to_pylist() if row["is_systematic"]} == {"steady"}
    gone = find_slices(errors_table(world(0, bad=0)), config, some)
    assert "gone" in {row["trend"] for row in gone.to_pylist()}
    assert not any(row["is_systematic"] for row in gone.to_pylist())
    first = find_slices(errors_table(world(0)), config)
    assert {row["trend"] for row in first.to_pylist()} == {None}


def test_growing_and_shrinking():
    def camera(n_wrong):
        return [("C01", "A", "B")] * n_wrong + [("C01", "A", "A")] * (100 - n_wrong) + [("C02", "A", "A")] * 300

    config = SliceConfig(families=("camera_id",))
    few = find_slices(errors_table(camera(20)), config)
    many = find_slices(errors_table(camera(60)), config, few)
    fewer = find_slices(errors_table(camera(20)), config, many)
    assert [row["trend"] for row in many.to_pylist() if row["is_systematic"]] == ["growing"]
    assert [row["trend"] for row in fewer.to_pylist() if row["is_systematic"]] == ["shrinking"]


def test_recovery_examples_and_the_sentence():
    rows = (
        [
            (
                "C07",
                "Luna",
                "Nyx",
                {
                    "is_masked": True,
                    "is_recovered": n < 30,
                    "background_reliance": 0.8,
                    "cause": "background",
                    "is_infrared": True,
                },
            )
            for n in range(41)
        ]
        + [("C07", "Luna", "Luna", {"is_infrared": True})] * 11
        + [("C01", "Tom", "Tom")] * 200
        + [("C01", "Tom", "Luna")] * 8
    )
    found = slices(rows, examples=3)
    (row,) = [row for row in found if row["is_systematic"] and row["folded_into"] is None]
    assert row["cause"] == "background" and row["background_reliance"] == pytest.approx(0.8)
    assert row["recovered_rate"] == pytest.approx(30 / 41)
    assert ("41 of 52 visits" in row["sentence"] and "called" in row["sentence"]) or "mostly as Nyx" in row["sentence"]
    assert row["sentence"].endswith(
        "the evidence lies on the background in 41 of 41 masked pictures; masks correct 30 of 41 pictures."
    )
    assert (row["n_error_images"], row["n_masked_errors"], row["n_recovered_errors"], row["n_of_cause"]) == (
        41,
        41,
        30,
        41,
    )
    # The pictures are drawn by a hash of the slice's id, whatever became of them.
    drawn = sorted(range(41), key=lambda n: hashlib.sha256(f"{row['slice_id']}:t{n}".encode()).digest())
    assert row["example_media_ids"] == [f"t{n}" for n in drawn[:3]]


def test_what_is_left_of_slices_is_tested_together_as_alone():
    table = errors_table(list(world(1, n=1500)))
    data = slice_data(table)
    rows = [row for row in derive.tested_slices(data, SliceConfig())[0] if row.is_systematic]
    members = [slice_members(data, dict(row.slice)) for row in rows]
    is_left = np.random.default_rng(2).random(data.exposure.size) < 0.5
    cuts = [row.p_value**0.5 for row in rows]
    together = _Rest(data, is_left).differ(rows, members, cuts, SliceConfig())
    alone = [
        _Rest(data, is_left).differ([row], [of_row], [cut], SliceConfig())[0]
        for row, of_row, cut in zip(rows, members, cuts, strict=True)
    ]
    assert together == alone and {*together} == {True, False}
    assert _Rest(data, is_left).differ([], [], [], SliceConfig()) == []


def test_no_slice_is_of_good_pictures():
    """Forty poor pictures are all right, and a fifth of the good ones is wrong: what is normal is no circumstance."""
    poor = {"quality": "blurred"}
    rows = [("C01", "A", "A", poor)] * 40 + [("C01", "A", "A")] * 80 + [("C02", "B", "B")] * 40
    rows += [("C01", "A", "C")] * 20 + [("C02", "B", "A")] * 10
    found = slices(rows, min_errors=1)
    assert found and not any(dict(row["slice"]).get("quality") == "good" for row in found)
    turned = [(*row[:3], {"quality": "good" if len(row) > 3 else "blurred"}) for row in rows]
    assert ("quality", "blurred") in {pair for row in slices(turned, min_errors=1) for pair in row["slice"]}
