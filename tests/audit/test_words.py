"""Sentences of slices: each part is there where a row supports it, and not in the world beside it where it would be false."""

from __future__ import annotations

import hashlib
import re
from datetime import datetime, timedelta

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from scd_core.audit.query.views import READY_VIEWS
from scd_core.audit.slices.data import DAY_HOURS, slice_data, wrong_rows
from scd_core.audit.slices.derive import find_slices
from scd_core.audit.slices.sentence import Common, is_weighted, sentence
from scd_core.audit.slices.tested import TestedSlice
from scd_core.config import SliceConfig
from scd_core.names import Cause
from scd_core.tables.schema import empty_table
from tests.audit.test_slices import errors_table, slices

REST = [(f"C{n % 9 + 10}", one, one) for n in range(30) for one in "LMN"]


def top(rows, **config):
    """The first slice that stands, by errors."""
    found = [row for row in slices(rows, **config) if row["is_systematic"] and row["folded_into"] is None]
    return max(found, key=lambda row: (row["n_errors"], -len(row["slice"])))


def bad_camera(names, **extra):
    """At C01 visits of A are given these names."""
    cause = {"cause": "unexplained"} | extra
    return [("C01", "A", name, {} if name == "A" else cause) for name in names] + REST


def made(**more):
    values = {
        "n_events": 42,
        "n_images": 60,
        "n_errors": 22,
        "exposure": 42.0,
        "n_effective": 30.0,
        "error_rate": 22 / 42,
    }
    values |= {"ci_low": 0.37, "ci_high": 0.67, "baseline_rate": 0.05, "lift": 10.0, "p_value": 1e-9, "n_tests": 100}
    return TestedSlice("5e1f", [("camera_id", "C07")], "camera_id", **(values | more))


def test_mostly_is_more_than_half_of_the_visits():
    assert "mostly as B" in top(bad_camera("B" * 9 + "CDE" + "A" * 4))["sentence"]
    row = top(bad_camera("BBBCCDDEEFFGGHII" + "A" * 4))
    assert "mostly" not in row["sentence"]


def test_one_visit_of_many_pictures_is_no_most():
    burst = [("C01", "A", "B", {"event_id": "one", "event_weight": 0.05})] * 20
    row = top([*burst, *bad_camera("CDEFGHIJKLMNOPQ")])
    assert row["n_errors"] == 16 and "mostly" not in row["sentence"]


def test_no_cause_that_no_row_has():
    """A pair, a flank, a poor picture and a labeller are circumstances; none is a cause by being a key."""
    for key, value in (("flank", "left"), ("quality", "blurred"), ("labelled_by", "ben")):
        other = {"flank": "right", "quality": "good", "labelled_by": "ana"}[key]
        rows = [(f"C{n % 4}", one, "B", {key: value}) for n in range(8) for one in "AC"]
        rows += [(f"C{n % 4}", one, one, {key: other}) for n in range(40) for one in "AC"]
        found = slices(rows)
        assert any(row["is_systematic"] for row in found)
        assert {row["cause"] for row in found if row["cause"]} == {Cause.UNEXPLAINED}
        assert not re.search("look alike|flank is|poor|other people", " ".join(row["sentence"] or "" for row in found))


def test_a_cause_needs_half_of_the_errors_and_its_share_stands_beside():
    few = bad_camera("A" * 4) + [("C01", "A", "B", {"cause": "place" if n < 3 else "unexplained"}) for n in range(12)]
    assert top(few)["cause"] == Cause.UNEXPLAINED
    many = bad_camera("A" * 4) + [("C01", "A", "B", {"cause": "place" if n < 8 else "unexplained"}) for n in range(12)]
    row = top(many)
    assert (row["cause"], row["n_of_cause"], row["n_error_images"]) == (Cause.PLACE, 8, 12)
    assert "in 8 of 12 pictures it is a name that several individuals are given at that place" in row["sentence"]


@pytest.mark.parametrize(("n_masked", "cause"), [(1, Cause.UNEXPLAINED), (2, Cause.BACKGROUND)])
def test_one_mask_of_many_pictures_shows_nothing_of_the_rest(n_masked, cause):
    rows = bad_camera("A" * 4)
    for n in range(12):
        rows.append(
            ("C01", "A", "B", {"is_masked": n < n_masked, "cause": "background" if n < n_masked else "unexplained"})
        )
    assert top(rows)["cause"] == cause


@pytest.mark.parametrize(("right", "cause"), [("right", Cause.FLANK), ("left", Cause.UNEXPLAINED)])
def test_a_flank_is_a_cause_where_the_flanks_differ_inside_the_slice(right, cause):
    """Rows may have the cause by what the individual does everywhere; at this camera only one flank was seen."""
    rows = bad_camera("") + [("C01", "A", "B", {"cause": "flank", "flank": "left"})] * 10
    rows += [("C01", "A", "A", {"flank": right})] * 8
    row = top(rows, families=("camera_id", "true_id"))
    assert row["cause"] == cause
    assert ("the left flank is misread in 10 of 10 visits, the other one in 0 of 8" in row["sentence"]) == (
        cause == Cause.FLANK
    )


@pytest.mark.parametrize(("cause", "is_printed"), [("unexplained", False), ("label_suspect", True)])
def test_a_labeller_is_named_only_where_other_labels_contradict(cause, is_printed):
    """Ben's pictures of a camera are misnamed and ana's are not, but these may be of other weeks: the rows know."""
    rows = [("C01", one, "B", {"labelled_by": "ben", "cause": cause}) for one in "ACDE" for _ in range(5)]
    rows += [
        (camera, one, one, {"labelled_by": "ana"}) for camera in ("C01", "C02") for one in "ACDE" for _ in range(9)
    ]
    named = [row for row in slices(rows) if "labelled_by" in dict(row["slice"])]
    assert bool(named) == is_printed
    assert is_printed or not any("ben" in (row["sentence"] or "") for row in slices(rows))


def test_a_flank_that_is_not_known_does_not_count():
    rows = bad_camera("") + [("C01", "A", "B", {"cause": "flank", "flank": "left"})] * 10
    rows += [("C01", "A", "A", {"flank": "right"})] * 8 + [("C01", "A", "B", {"cause": "unexplained"})] * 12
    row = top(rows, families=("camera_id", "true_id"))
    assert (row["cause"], row["n_of_cause"], row["n_cause_seen"], row["n_error_images"]) == (Cause.FLANK, 10, 10, 22)


def test_lift_is_the_ratio_of_the_rates_beside_it():
    for row in slices([*bad_camera("B" * 9 + "A" * 4), ("C12", "L", "B"), ("C13", "M", "B"), ("C13", "M", "N")]):
        if row["baseline_rate"]:
            assert row["lift"] == pytest.approx(row["error_rate"] / row["baseline_rate"])
        assert row["sentence"] is None or " times as often" not in row["sentence"]


def test_a_rate_that_is_not_that_of_the_counts_says_why():
    assert not is_weighted(22, 42, 22 / 42)
    plain = sentence(made(), Common(Cause.UNEXPLAINED))
    assert plain == "At camera C07, 22 of 42 visits are misnamed: 52 % (37-67 %) against 5 % of the others."
    weighted = sentence(made(error_rate=0.32, ci_low=0.2, ci_high=0.46), Common(Cause.UNEXPLAINED))
    assert (
        "; with each picture weighted by its chance to be labelled, that is 32 % (20-46 %) of all such events"
        in weighted
    )
    least = sentence(made(error_rate=0.1, is_lower_bound=True), Common(Cause.UNEXPLAINED))
    assert "only flagged ones are labelled, so that is at least 10 % of all such visits" in least and "(" not in least


def test_the_two_look_alike_only_where_there_are_two():
    pair = TestedSlice(**(vars(made()) | {"slice": [("pair", "Luna -> Nyx")]}))
    assert "; the two look alike to the model in 9 of 10 pictures" in sentence(
        pair, Common(Cause.CONFUSABLE_PAIR, 9, 10)
    )
    assert "; the individuals look alike" in sentence(made(), Common(Cause.CONFUSABLE_PAIR, 9, 10))


def test_examples_are_drawn_at_random_and_stay_when_errors_are_added():
    """Corrected pictures came first once: a slice of which masks correct 2 of 12 showed these two."""
    rows = bad_camera("A" * 4) + [("C01", "A", "B", {"is_masked": True, "is_recovered": n < 2}) for n in range(12)]
    row = top(rows, examples=4)
    first = len(bad_camera("A" * 4))
    media = [f"t{first + n}" for n in range(12)]
    drawn = sorted(media, key=lambda one: hashlib.sha256(f"{row['slice_id']}:{one}".encode()).digest())
    assert row["example_media_ids"] == drawn[:4]
    assert (row["n_masked_errors"], row["n_recovered_errors"]) == (12, 2)
    more = top([*rows, ("C01", "A", "B")], examples=4)
    assert len(set(more["example_media_ids"]) & set(row["example_media_ids"])) >= 3


ADVICE = {
    "overlay": "Switch the info strip of camera C01 off, or mask it",
    "background": "Move what the evidence lies on, such as a feeder, or the view of camera C01",
    "place": "Move what these pictures share, such as a feeder, or the view of camera C01",
    "image_quality": "Clean and focus the lens of camera C01",
    "label_suspect": "Look at the 12 wrong pictures again and label them anew (`trapaudit labels import OUT FILE`)",
    "confusable_pair": "Retrain with the 12 wrong pictures",
    "unexplained": "Nothing yet: no cause shows",
}


@pytest.mark.parametrize("cause", ADVICE)
def test_each_card_ends_with_what_to_do_and_a_command(cause):
    is_masked = cause in ("overlay", "background")
    rows = [(f"C0{n % 3 + 2}", "A", "A") for n in range(20)] + [("C01", one, one) for one in "LM" for _ in range(2)]
    rows += [("C01", one, "B", {"cause": cause, "is_masked": is_masked}) for one in "ACD" for _ in range(4)] + REST
    row = next(row for row in slices(rows, families=("camera_id",)) if row["is_systematic"])
    assert row["what_to_do"].startswith(ADVICE[cause])
    assert (
        f"`trapaudit sql OUT \"select * from slice_pictures where slice_id = '{row['slice_id']}'\"`"
        in row["what_to_do"]
    )


def test_the_listed_pictures_are_those_that_the_card_counts():
    """The view `slice_pictures` and the words about a slice's pictures follow one rule, for every key."""
    rng = np.random.default_rng(0)
    rows = []
    for n in range(600):
        true, camera, by = str(rng.choice(list("ABC"))), f"C0{rng.integers(4)}", str(rng.choice(["ana", "ben"]))
        is_infrared = bool(rng.random() < 0.4)
        is_wrong = rng.random() < (0.8 if camera == "C01" and is_infrared else 0.05)
        described = {
            "captured_at": datetime(2026, 3, 1) + timedelta(hours=7 * n),
            "is_infrared": is_infrared,
            "deployment_id": f"{camera}/{n // 300}",
            "flank": [None, "left", "right"][n % 3],
            "quality": ["good", "dark"][n % 7 == 0],
            "labelled_by": by,
            "model_digest": f"m{n // 400}",
        }
        rows.append((camera, true, "D" if is_wrong else true, described))
    errors = errors_table(rows)
    data = slice_data(errors)
    found = find_slices(errors, SliceConfig(min_lift=1.0)).to_pylist()
    assert {key for row in found for key, _ in row["slice"]} >= {
        "camera_id",
        "light",
        "pair",
        "predicted_id",
        "hour",
        "week",
    }
    for row in found:
        row |= {"is_systematic": True, "folded_into": None}  # the view lists what stands
    connection = duckdb.connect()
    connection.register("errors", errors)
    connection.register("media", empty_table("media"))
    connection.register("error_slices", pa.Table.from_pylist(found, schema=empty_table("error_slices").schema))
    listed = {}
    for slice_id, target_id in connection.execute(
        f"SELECT slice_id, target_id FROM ({READY_VIEWS['slice_pictures']})"
    ).fetchall():
        listed.setdefault(slice_id, set()).add(target_id)
    targets = np.array(data.rows["target_id"].to_pylist())
    for row in found:
        assert listed[row["slice_id"]] == set(targets[wrong_rows(data, dict(row["slice"]))])
    assert DAY_HOURS == (6, 18), "the view has these hours too"


def test_counted_twice_is_who_was_seen_under_both_names():
    split = {"error_type": "split"}
    rows = [("C01", "A", "unknown", split)] * 3 + [("C01", "B", "unknown", split), ("C01", "B", "B")]
    rows += [("C01", "blank", "unknown", split), ("C01", "new", "B", {"error_type": "combination"})]
    rows += [("C01", "other", "B", {"error_type": "combination"})]
    rows += [("C01", "other", "unknown", {"error_type": "correct"})]
    connection = duckdb.connect()
    connection.register("errors", errors_table(rows))
    answer = connection.execute(READY_VIEWS["count_effect"])
    found = dict(zip([column[0] for column in answer.description], answer.fetchone(), strict=True))
    assert (found["n_individuals_split"], found["n_individuals_twice"]) == (2, 1), "A was never seen by its name"
    assert found["n_individuals_lost"] == 1, "the other newcomer was called unknown once, so it is counted"
