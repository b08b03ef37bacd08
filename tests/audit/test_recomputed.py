"""The numbers of error_slices recomputed from the tables alone, by other means than the code's, on worlds of a second maker."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from benchmarks.audit.other_worlds import OTHER_KINDS, make_other_world
from benchmarks.audit.worlds import load_world
from scd_core.audit.errors.derive import derive_errors, known_exposures
from scd_core.audit.slices.derive import find_slices
from scd_core.config import AuditConfig

CONFIG = AuditConfig()
PLACES = ("camera_id", "deployment_id", "model_digest", "quality", "hour", "light", "week")


def derived(seed, kinds, shape):
    with load_world(make_other_world(seed, kinds, shape)) as connection:
        errors = derive_errors(connection, CONFIG)
        exposures = known_exposures(connection)
        truth = connection.execute("""
            SELECT p.target_id, p.event_id, m.camera_id, m.deployment_id, m.captured_at, m.is_infrared, l.individual_id,
                p.predicted_id, p.inclusion_probability = 1 AS has_flag
            FROM predictions p JOIN media m USING (media_id)
            LEFT JOIN labels l ON l.media_id = m.media_id OR (l.media_id IS NULL AND l.file = m.file)
        """).df()
    return errors, find_slices(errors, CONFIG.slices, exposures=exposures), truth, exposures


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
    rows["week"] = rows.captured_at.dt.strftime("%G-W%V")
    rows["light"] = np.where(rows.is_infrared, "infrared", np.where((hour >= 6) & (hour < 18), "day", "night"))
    return rows


def first_of_most(values):
    counted = values.dropna().value_counts()
    return None if counted.empty else min(counted.index[counted == counted.max()])


@pytest.fixture(scope="module")
def visits(frame):
    """Labelled visits, one row each."""
    rows = []
    for _, part in frame.groupby("visit_id"):
        errs = (part.groupby("event_id").wrong.mean() >= 0.5).mean() >= 0.5
        row = {key: first_of_most(part[key]) for key in PLACES}
        row |= {"true_id": part.true_id.iloc[0], "wrong": errs, "n": len(part), "weight": part.event_weight.sum()}
        row["wrong_weight"] = part.event_weight[part.wrong].sum()
        row["visit_id"] = part.visit_id.iloc[0]
        row["predicted_id"] = first_of_most(part.predicted_id[part.wrong == errs])
        rows.append(row | {"has_control": not part.has_flag.all()})
    return pd.DataFrame(rows)


@pytest.fixture(scope="module")
def others(world):
    """Exposures, with the keys that slices have."""
    rows = world[3].to_pandas()
    hour = rows.captured_at.dt.hour
    rows["hour"] = hour.map("{:02d}h".format)
    rows["week"] = rows.captured_at.dt.strftime("%G-W%V")
    rows["light"] = np.where(rows.is_infrared, "infrared", np.where((hour >= 6) & (hour < 18), "day", "night"))
    return rows


def inside(frame, values):
    chosen = np.ones(len(frame), bool)
    for key, value in values.items():
        chosen &= (frame[key] == value).to_numpy()
    return chosen


def plain(world):
    """Slices that count every wrong name and that unlabelled visits are part of."""
    for row in world[1].to_pylist():
        values = dict(row["slice"])
        if not {"pair", "predicted_id", "flank", "labelled_by"} & values.keys():
            yield row, values


def test_errors_are_the_disagreements_of_labels_and_raw_names(world):
    errors, _, everything, _ = world
    truth = everything[everything.individual_id.notna()]
    rows = errors.to_pandas().set_index("target_id")
    rows = rows[rows.is_labelled]
    assert len(rows) == len(truth)
    named = np.where(truth.individual_id.str.startswith("stranger"), "unknown", truth.individual_id)
    wrong = dict(zip(truth.target_id, named != truth.predicted_id, strict=True))
    assert (rows.error_type != "correct").to_dict() == wrong
    assert sum(wrong.values()) > 100


def test_weights_are_one_over_frames_and_labelled_share(world):
    errors, _, everything, _ = world
    rows = errors.to_pandas().set_index("target_id")
    n = everything.groupby("event_id").size()
    share = everything.individual_id.notna().groupby(everything.has_flag).mean()
    assert 0 < share[False] < 0.1 < 0.7 < share[True] < 1
    for one in everything[everything.individual_id.notna()].itertuples():
        row = rows.loc[one.target_id]
        assert row.event_weight == pytest.approx(1 / (share[one.has_flag] * n[one.event_id]), rel=1e-9)
        assert row.has_flag == one.has_flag


def test_visits_are_events_within_half_an_hour(world):
    """Recomputed one by one: the individual of an event is that of its labels, else the name of each frame."""
    errors, _, everything, _ = world
    truths = everything.groupby("event_id").individual_id.agg(
        lambda names: names.dropna().iloc[0] if names.any() else None
    )
    everything["who"] = everything.event_id.map(truths).fillna(everything.predicted_id)
    spans = everything.groupby(["camera_id", "who", "event_id"]).captured_at.agg(["min", "max"]).reset_index()
    number, visit_of, last = 0, {}, None
    for one in spans.sort_values(["camera_id", "who", "min", "event_id"]).itertuples():
        if last is None or last[:2] != (one.camera_id, one.who) or one.min - last[2] > pd.Timedelta(minutes=30):
            number, end = number + 1, one.max
        end = max(end, one.max)
        last = one.camera_id, one.who, end
        visit_of[one.event_id, one.who] = number
    rows = errors.to_pandas()
    rows = rows[rows.is_labelled]
    expected = [visit_of[one.event_id, one.true_id] for one in rows.itertuples()]
    pairs = set(zip(expected, rows.visit_id, strict=True))
    assert len(pairs) == len(set(expected)) == rows.visit_id.nunique() < rows.event_id.nunique()


def test_exposures_are_visits_that_nobody_flagged_or_labelled(world, others):
    _, _, everything, _ = world
    truths = everything.groupby("event_id").individual_id.agg(
        lambda names: names.dropna().iloc[0] if names.any() else None
    )
    everything["who"] = everything.event_id.map(truths).fillna(everything.predicted_id)
    everything["has_label"] = everything.individual_id.notna()
    everything = everything.sort_values(["camera_id", "who", "captured_at", "event_id"])
    spans = everything.groupby(["camera_id", "who", "event_id"], sort=False).agg(
        first=("captured_at", "min"), last=("captured_at", "max"), flag=("has_flag", "any"), label=("has_label", "any")
    )
    spans = spans.reset_index().sort_values(["camera_id", "who", "first", "event_id"])
    same = spans.groupby(["camera_id", "who"])
    before = same["last"].cummax().groupby([spans.camera_id, spans.who]).shift()
    spans["visit"] = (before.isna() | (spans["first"] - before > pd.Timedelta(minutes=30))).cumsum()
    whole = spans.groupby("visit").agg(
        camera_id=("camera_id", "first"), who=("who", "first"), flag=("flag", "any"), label=("label", "any")
    )
    of_flagged, of_others = whole[whole.flag], whole[~whole.flag]
    f, u = of_flagged.label.mean(), of_others.label.mean()
    n_checked = 0
    for camera, part in whole.groupby("camera_id"):
        n_flagged, n_rest = part.flag.sum(), (~part.flag).sum()
        here_f = ((part.flag & part.label).sum() + 5 * f) / (n_flagged + 5)
        here_u = ((~part.flag & part.label).sum() + 5 * u) / (n_rest + 5)
        unseen = part[~part.flag & ~part.label]
        one = (here_f - here_u) / (1 - here_u)
        assert 0.7 < one < 1
        exposed = others[others.camera_id == camera].groupby("predicted_id").exposure.sum()
        assert exposed.to_dict() == pytest.approx((unseen.groupby("who").size() * one).to_dict())
        n_checked += len(exposed)
    assert n_checked > 50


def test_counts_rates_baselines_and_lift(world, visits, others):
    n_checked = 0
    for row, values in plain(world):
        chosen, unlabelled = inside(visits, values), inside(others, values)
        known = np.logical_and.reduce([visits[key].notna().to_numpy() for key in values])
        also_known = np.logical_and.reduce([others[key].notna().to_numpy() for key in values])
        part, rest = visits[chosen], visits[known & ~chosen]
        n = len(part) + others.exposure[unlabelled].sum()
        n0 = len(rest) + others.exposure[also_known & ~unlabelled].sum()
        assert (row["n_images"], row["n_events"], row["n_errors"]) == (part.n.sum(), len(part), part.wrong.sum())
        assert row["exposure"] == pytest.approx(n)
        counts = [round(value) for value in (part.wrong.sum(), n, rest.wrong.sum(), n0)]
        p = stats.fisher_exact(
            [[counts[0], counts[1] - counts[0]], [counts[2], counts[3] - counts[2]]], "greater"
        ).pvalue
        assert np.log(row["p_value"]) == pytest.approx(np.log(p), rel=0.05, abs=0.3)
        assert row["is_lower_bound"] == (not part.has_control.any())
        rate = part.wrong_weight.sum() / part.weight.sum() if part.has_control.any() else part.wrong.sum() / n
        base = rest.wrong_weight.sum() / rest.weight.sum() if part.has_control.any() else rest.wrong.sum() / n0
        assert (row["error_rate"], row["baseline_rate"]) == pytest.approx((rate, base), rel=1e-9)
        assert row["lift"] == pytest.approx(rate / base)
        n_checked += 1
    assert n_checked > 10


def test_pairs_are_shares_of_the_true_individuals_visits(world, visits, others):
    n_checked = 0
    for row in world[1].to_pylist():
        values = dict(row["slice"])
        if set(values) == {"pair"} and not row["is_lower_bound"]:
            true, called = values["pair"].split(" -> ")
            part, rest = visits[visits.true_id == true], visits[(visits.true_id != true) & (visits.true_id != called)]
            weight = part.wrong_weight[part.wrong & (part.predicted_id == called)].sum()
            assert row["error_rate"] == pytest.approx(weight / part.weight.sum())
            # outside, being called B counts among all that are not of B
            weight = rest.wrong_weight[rest.wrong & (rest.predicted_id == called)].sum()
            assert row["baseline_rate"] == pytest.approx(weight / rest.weight.sum())
            assert row["n_errors"] == (part.wrong & (part.predicted_id == called)).sum()
            assert row["exposure"] == pytest.approx(len(part) + others.exposure[others.true_id == true].sum())
            n_checked += 1
    assert n_checked > 1


def test_intervals_are_wilsons_on_the_effective_events(world, frame):
    z = stats.norm.ppf(0.975)
    for row in world[1].to_pylist():
        p, n = row["error_rate"], row["n_effective"]
        assert n == row["exposure"] if row["is_lower_bound"] else 0 < n <= row["n_events"] + 1e-9
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
            assert row["is_systematic"] == bool(q < CONFIG.slices.max_q)
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


def test_ghosts_and_losses_are_the_visits_of_those_types(world, frame, visits):
    n_checked = 0
    for row, values in plain(world):
        if row["error_type"] is not None:
            part = frame[frame.visit_id.isin(visits.visit_id[inside(visits, values) & visits.wrong])]
            for error_type, column in (("split", "n_splits"), ("combination", "n_combinations")):
                assert row[column] == part.visit_id[part.error_type == error_type].nunique()
                n_checked += row[column] > 0
    assert n_checked > 3


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
        elif row["announced_at"] is not None and (was is None or was["announced_at"] is None):
            expected = "new"
        elif was is None:
            expected = None
        elif row["error_rate"] > was["ci_high"]:
            expected = "growing"
        else:
            expected = "shrinking" if row["error_rate"] < was["ci_low"] else "steady"
        assert row["trend"] == expected
        seen.add(expected)
    assert old.keys() <= {row["slice_id"] for row in after.to_pylist()}, "nothing that was systematic goes unsaid"
    assert {"new", "steady"} <= seen
