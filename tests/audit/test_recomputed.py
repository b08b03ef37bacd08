"""The numbers of error_slices recomputed from the tables alone, by other means than the code's, on worlds of a second maker."""

import numpy as np
import pytest
from scipy import stats

from benchmarks.audit.other_worlds import OTHER_KINDS, make_other_world
from benchmarks.audit.worlds import load_world
from scd_core.audit.errors.derive import assumed_right, derive_errors
from scd_core.audit.slices.derive import find_slices
from scd_core.config import AuditConfig

CONFIG = AuditConfig()


def derived(seed, kinds, shape):
    with load_world(make_other_world(seed, kinds, shape)) as connection:
        errors = derive_errors(connection, CONFIG)
        assumed = assumed_right(connection, errors)
        truth = connection.execute("""
            SELECT p.target_id, l.individual_id, p.predicted_id, p.inclusion_probability,
                count(*) OVER (PARTITION BY p.event_id) AS n_frames
            FROM predictions p JOIN media m USING (media_id)
            JOIN labels l ON l.media_id = m.media_id OR (l.media_id IS NULL AND l.file = m.file)
        """).df()
        frames = connection.execute("SELECT event_id, count(*) AS n FROM predictions GROUP BY 1").df()
    return errors, find_slices(errors, CONFIG.slices, assumed=assumed), truth, frames


@pytest.fixture(scope="module")
def world():
    return derived(4, ("fog", "ghosts", "night_pair", "post_of_one"), "ordinary")


@pytest.fixture(scope="module")
def frame(world):
    rows = world[0].to_pandas()
    rows = rows[rows.is_labelled & rows.is_current].copy()
    rows["wrong"] = rows.error_type != "correct"
    hour = rows.captured_at.dt.hour
    rows["hour"] = hour.map("{:02d}h".format)
    rows["light"] = np.where(rows.is_infrared, "infrared", np.where((hour >= 6) & (hour < 18), "day", "night"))
    return rows


def inside(frame, values):
    chosen = np.ones(len(frame), bool)
    for key, value in values.items():
        chosen &= (frame[key] == value).to_numpy()
    return chosen


def plain(world):
    """Slices that count every wrong name."""
    for row in world[1].to_pylist():
        values = dict(row["slice"])
        if not {"pair", "predicted_id"} & values.keys():
            yield row, values


def test_errors_are_the_disagreements_of_labels_and_raw_names(world):
    errors, _, truth, _ = world
    rows = errors.to_pandas().set_index("target_id")
    rows = rows[rows.is_labelled]
    assert len(rows) == len(truth)
    named = np.where(truth.individual_id.str.startswith("stranger"), "unknown", truth.individual_id)
    wrong = dict(zip(truth.target_id, named != truth.predicted_id, strict=True))
    assert (rows.error_type != "correct").to_dict() == wrong
    assert sum(wrong.values()) > 100


def test_weights_are_one_over_frames_and_probability(world):
    errors, _, truth, frames = world
    rows = errors.to_pandas().set_index("target_id")
    n = frames.set_index("event_id").n
    for target, pi in zip(truth.target_id, truth.inclusion_probability, strict=True):
        row = rows.loc[target]
        assert row.event_weight == pytest.approx(1 / (pi * n[row.event_id]), rel=1e-9)


def test_rates_baselines_and_lift(world, frame):
    is_known = {key: frame[key].notna().to_numpy() for key in frame.columns}
    weight, wrong = frame.event_weight.to_numpy(), frame.wrong.to_numpy()
    event = frame.event_id.factorize()[0]
    n_checked = 0
    for row, values in plain(world):
        chosen = inside(frame, values)
        rest = ~chosen & np.logical_and.reduce([is_known[key] for key in values])
        rate = weight[chosen & wrong].sum() / weight[chosen].sum()
        base = weight[rest & wrong].sum() / weight[rest].sum()
        of_event = np.bincount(event[chosen], weight[chosen])
        bad = np.bincount(event[chosen & wrong], weight[chosen & wrong], minlength=of_event.size)
        assert (row["n_images"], row["n_events"]) == (chosen.sum(), (of_event > 0).sum())
        assert (row["error_rate"], row["baseline_rate"]) == pytest.approx((rate, base), rel=1e-9)
        assert row["n_errors"] == ((of_event > 0) & (bad >= of_event / 2)).sum()
        assert row["lift"] == pytest.approx(rate / base)
        n_checked += 1
    assert n_checked > 50


def test_pairs_are_shares_of_the_true_individuals_events(world, frame):
    n_checked = 0
    for row in world[1].to_pylist():
        values = dict(row["slice"])
        if set(values) == {"pair"}:
            true, called = values["pair"].split(" -> ")
            part, rest = frame[frame.true_id == true], frame[(frame.true_id != true) & (frame.true_id != called)]
            rate = part.event_weight[part.predicted_id == called].sum() / part.event_weight.sum()
            # outside, being called B counts among all that are not of B
            rest = rest[~((called == "unknown") & rest.true_id.str.startswith("stranger"))]
            base = rest.event_weight[rest.predicted_id == called].sum() / rest.event_weight.sum()
            assert row["error_rate"] == pytest.approx(rate)
            if called != "unknown":
                assert row["baseline_rate"] == pytest.approx(base)
            n_checked += 1
    assert n_checked > 3


def test_intervals_are_wilsons_on_the_effective_events(world, frame):
    z = stats.norm.ppf(0.975)
    for row in world[1].to_pylist():
        p, n = row["error_rate"], row["n_effective"]
        assert 0 < n <= row["n_events"] + 1e-9
        centre, half = (p + z**2 / (2 * n)) / (1 + z**2 / n), z * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
        low, high = centre - half / (1 + z**2 / n), centre + half / (1 + z**2 / n)
        assert row["ci_low"] == pytest.approx(low if p > 0 else 0, abs=1e-9)
        assert row["ci_high"] == pytest.approx(high if p < 1 else 1, abs=1e-9)


def test_q_values_are_scipys_over_families_of_equal_share(world):
    tested = {}
    for row in world[1].to_pylist():
        if row["p_value"] is not None:
            tested.setdefault(row["tested_within"], []).append(row)
    wholes = {row["slice_id"]: row["q_value"] for row in tested[None]}
    assert len(tested) > 1, "pairs are tested within their individuals"
    for within, rows in tested.items():
        scaled = np.array([row["p_value"] * row["n_tests"] for row in rows])
        # scipy cuts at 1 before it takes the minimum; twice the bound keeps that from mattering
        expected = 2 * stats.false_discovery_control(np.clip(scaled / len(rows) / 2, 0, 1))
        expected = np.maximum(expected.clip(max=1), wholes.get(within, 0.0))
        assert [row["q_value"] for row in rows] == pytest.approx(expected.tolist(), abs=1e-12)
        for q, row in zip(expected, rows, strict=True):
            assert row["is_systematic"] == bool(q < CONFIG.slices.max_q and row["lift"] >= CONFIG.slices.min_lift)
            if within is not None:
                true = dict(row["slice"])["pair"].split(" -> ")[0]
                whole = next(dict(one["slice"]) for one in tested[None] if one["slice_id"] == within)
                assert whole == {key: value for key, value in row["slice"] if key != "pair"} | {"true_id": true}
                assert wholes[within] < CONFIG.slices.max_q


def reported(slices):
    return [row for row in slices.to_pylist() if row["is_systematic"] and row["folded_into"] is None]


def test_what_is_planted_by_the_second_maker_is_named(world):
    listed = [dict(row["slice"]) for row in reported(world[1])]
    assert any(values.get("quality") == "blurred" for values in listed)
    assert len(listed) <= 8


@pytest.mark.parametrize("shape", ["ordinary", "many", "bursts", "flagged"])
def test_worlds_without_planted_errors_are_quiet_in_every_shape(shape):
    """Nothing but flagged pictures labelled made individuals look bad, and `unknown` was held against the average name."""
    assert reported(derived(6, (), shape)[1]) == []


def test_the_labellers_parts_of_one_place_are_said_once():
    """Where several people label the frames of one burst, its error stands once and not once for each of them."""
    slices = derived(901, ("fog", "ghosts", *OTHER_KINDS[3:4]), "bursts")[1]
    listed = [dict(row["slice"]) for row in reported(slices)]
    assert not any("labelled_by" in values for values in listed)
    assert {"quality": "blurred"} in listed


def test_equal_slices_under_two_names_stand_once(world):
    rows = world[0].to_pandas()
    only = rows[~rows.deployment_id.str.endswith("/b", na=False)]
    import pyarrow as pa

    slices = find_slices(pa.Table.from_pandas(only, schema=world[0].schema, preserve_index=False), CONFIG.slices)
    listed = [dict(row["slice"]) for row in reported(slices)]
    assert any("camera_id" in values for values in listed)
    assert not any("deployment_id" in values for values in listed), "each camera has one deployment"


def test_ghosts_and_losses_are_the_events_of_those_types(world, frame):
    n_checked = 0
    for row, values in plain(world):
        if row["error_type"] is not None:
            part = frame[inside(frame, values)]
            for error_type, column in (("split", "n_splits"), ("combination", "n_combinations")):
                assert row[column] == part.event_id[part.error_type == error_type].nunique()
                n_checked += row[column] > 0
    assert n_checked > 10


def test_count_effect_recomputed(world, frame):
    """Ghosts: individuals the model knows that are called unknown somewhere; lost: newcomers only ever given a known name."""
    import duckdb

    from scd_core.audit.query.views import READY_VIEWS

    with duckdb.connect(config={"python_enable_replacements": False}) as connection:
        connection.register("errors", world[0])
        counted = connection.execute(READY_VIEWS["count_effect"]).df().iloc[0]
    known = frame[~frame.true_id.str.startswith("stranger")]
    new = frame[frame.true_id.str.startswith("stranger")]
    ghosts = known[known.predicted_id == "unknown"]
    swallowed = new.assign(is_lost=new.predicted_id != "unknown").groupby("true_id").is_lost.all()
    assert counted.n_individuals_labelled == frame.true_id.nunique()
    assert counted.n_individuals_split == ghosts.true_id.nunique() > 3
    assert counted.n_ghost_events == ghosts.groupby("true_id").event_id.nunique().sum()
    assert counted.n_individuals_lost == swallowed.sum()
    lost_events = new[new.predicted_id != "unknown"].groupby("true_id").event_id.nunique().sum()
    assert counted.n_combined_events == lost_events > 0


def test_trends_follow_from_two_reports(world):
    """Half of the events first, all of them then: every trend is what the two reports' own numbers say."""
    import pyarrow.compute as pc

    half = world[0].filter(pc.less(pc.day_of_year(world[0]["captured_at"]), 200))
    assert 0 < len(half) < len(world[0])
    before = find_slices(half, CONFIG.slices)
    after = find_slices(world[0], CONFIG.slices, before, "second")
    old = {row["slice_id"]: row for row in before.to_pylist() if row["is_systematic"]}
    seen = set()
    for row in after.to_pylist():
        was = old.get(row["slice_id"])
        if not row["is_systematic"]:
            expected = "gone" if was else None
        elif was is None:
            expected = "new"
        elif row["error_rate"] > was["ci_high"]:
            expected = "growing"
        else:
            expected = "shrinking" if row["error_rate"] < was["ci_low"] else "steady"
        assert row["trend"] == expected
        seen.add(expected)
    assert old.keys() <= {row["slice_id"] for row in after.to_pylist()}, "nothing that was systematic goes unsaid"
    assert {"new", "steady"} <= seen


def test_where_only_flags_are_labelled_a_rate_is_errors_per_event():
    """Recomputed from predictions and labels: a camera's rate counts what nobody flagged as right."""
    with load_world(make_other_world(8, ("ghosts",), "flagged")) as connection:
        errors = derive_errors(connection, CONFIG)
        assumed = assumed_right(connection, errors)
        predictions = connection.execute(
            "SELECT target_id, media_id, event_id, predicted_id, inclusion_probability FROM predictions"
        ).df()
        cameras = connection.execute("SELECT media_id, camera_id FROM media").df().set_index("media_id").camera_id
    rows = errors.to_pandas()
    rows = rows[rows.is_labelled].set_index("target_id")
    assert (rows.label_probability == 1).all() and len(assumed) > len(rows)
    n_frames = predictions.groupby("event_id").target_id.transform("size")
    predictions["weight"] = 1 / n_frames
    predictions["camera"] = predictions.media_id.map(cameras)
    labelled = predictions.target_id.isin(rows.index)
    names_of_events = rows.groupby("event_id").apply(
        lambda part: {*part.true_id, *part.predicted_id[part.error_type == "correct"]}, include_groups=False
    )
    names = names_of_events.to_dict()
    agrees = np.array(
        [
            event not in names or name in names[event]
            for event, name in zip(predictions.event_id, predictions.predicted_id, strict=True)
        ]
    )
    counted = labelled | ((predictions.inclusion_probability < 1) & agrees)
    assert set(assumed["target_id"].to_pylist()) == set(predictions.target_id[counted & ~labelled])
    wrong = predictions.target_id.map(rows.error_type).fillna("correct") != "correct"
    n_checked = 0
    for row in find_slices(errors, CONFIG.slices, assumed=assumed).to_pylist():
        if row["family"] == "camera_id":
            here = counted & (predictions.camera == dict(row["slice"])["camera_id"])
            rate = predictions.weight[here & wrong].sum() / predictions.weight[here].sum()
            assert row["error_rate"] == pytest.approx(rate)
            n_checked += 1
    assert n_checked > 3
    # and nothing is assumed where controls are labelled
    with load_world(make_other_world(8, ("ghosts",), "ordinary")) as connection:
        errors = derive_errors(connection, CONFIG)
        assert len(assumed_right(connection, errors)) == 0
