"""The overall rate: by hand, none where labels give none, honest intervals, and narrower ones where errors can be foretold."""

import io
from dataclasses import asdict

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from rich.console import Console

from deployments.cli.run import _print_report as print_report
from scd_core.audit.improvements import create_improvements
from scd_core.audit.report import rates
from scd_core.audit.report.rates import overall_rates
from scd_core.audit.report.sections import cameras
from scd_core.audit.report.totals import report_totals
from scd_core.config import SliceConfig
from scd_core.tables.schema import TABLES, empty_table, table_schema


def database(**tables):
    connection = duckdb.connect(config={"python_enable_replacements": False})
    for name in TABLES:
        schema, given = table_schema(name), tables.get(name)
        if given is None:
            rows = empty_table(name)
        else:
            n = len(next(iter(given.values())))
            columns = [pa.array(given[f.name], f.type) if f.name in given else pa.nulls(n, f.type) for f in schema]
            rows = pa.Table.from_arrays(columns, schema=schema)
        connection.register("rows", rows)
        connection.execute(f'CREATE TABLE "{name}" AS SELECT * FROM rows')
        connection.unregister("rows")
    create_improvements(connection, [])
    return connection


def audit(frames):
    """Frames: dictionaries of equally long arrays: event, wrong, labelled, flagged, probability; labels at random by flag."""
    n = len(frames["wrong"])
    target, event = [f"t{place}" for place in range(n)], [f"e{one}" for one in frames["event"]]
    reasons = [["low_probability"] if one else [] for one in frames["flagged"]]
    predictions = {
        "batch_key": ["b"] * n, "target_id": target, "media_id": target, "event_id": event, "prediction_status": ["ok"] * n,
        "predicted_id": ["A"] * n, "probability": frames["probability"], "margin": frames["probability"] / 2,
        "flag_reasons": reasons, "inclusion_probability": [1.0 if one else 0.05 for one in frames["flagged"]],
        "is_flagged": frames["flagged"],
    }  # fmt: skip
    chosen = np.flatnonzero(frames["labelled"])
    share = {
        flag: frames["labelled"][frames["flagged"] == flag].mean() if (frames["flagged"] == flag).any() else 0.0
        for flag in (True, False)
    }
    size = np.bincount(frames["event"])[frames["event"]]
    label_probability = [share[bool(frames["flagged"][place])] for place in chosen]
    errors = {
        "report_id": ["r"] * chosen.size, "batch_key": ["b"] * chosen.size, "model_digest": ["m"] * chosen.size,
        **{key: [predictions[key][place] for place in chosen] for key in ("target_id", "media_id", "event_id", "predicted_id")},
        "probability": frames["probability"][chosen], "is_labelled": [True] * chosen.size, "is_current": [True] * chosen.size,
        "error_type": ["shift" if frames["wrong"][place] else "correct" for place in chosen],
        "is_recovered": [False] * chosen.size, "is_broken": [False] * chosen.size, "is_masked": [False] * chosen.size,
        "is_suspected": [False] * chosen.size, "has_flag": frames["flagged"][chosen], "label_probability": label_probability,
        "event_weight": [1 / (size[place] * pi) for place, pi in zip(chosen, label_probability, strict=True)],
    }  # fmt: skip
    runs = {"run_id": ["r"], "batch_key": ["b"], "model_digest": ["m"]}
    media = {"batch_key": ["b"] * n, "media_id": target, "camera_id": ["C01"] * n}
    return database(predictions=predictions, errors=errors, runs=runs, media=media)


def drawn(seed, share=0.3, is_known=True, n=1500):
    """Events of one frame; how likely each errs is what the probability is, or nothing is known of it."""
    rng = np.random.default_rng((16, seed))
    p_wrong = rng.beta(0.1, 0.9, n)
    flagged = p_wrong > 0.97
    return {
        "event": np.arange(n), "wrong": rng.random(n) < p_wrong, "flagged": flagged,
        "labelled": (rng.random(n) < share) | (flagged & (rng.random(n) < 0.9)),
        "probability": 1 - p_wrong if is_known else rng.uniform(0.5, 1, n),
    }  # fmt: skip


def test_a_rate_by_hand():
    """40 flagged frames, of 30 labelled 6 are wrong; 160 others, of 20 labelled one is; each an event."""
    flagged = np.arange(200) < 40
    wrong, labelled = np.zeros(200, bool), np.zeros(200, bool)
    labelled[:30] = labelled[40:60] = True
    wrong[[0, 5, 10, 15, 20, 25, 45]] = True
    frames = {"event": np.arange(200), "wrong": wrong, "labelled": labelled, "flagged": flagged}
    found = overall_rates(audit(frames | {"probability": np.full(200, 0.9)}))
    rate = 0.2 * 6 / 30 + 0.8 * 1 / 20
    assert found.share == pytest.approx(1) and found.first.rate == pytest.approx(rate) == pytest.approx(
        found.final.rate
    )
    # The variance of a stratified sample without replacement, Cochran 1977, up to the small-sample terms.
    variance = 0.2**2 * 0.25 * 0.2 * 0.8 / 30 + 0.8**2 * (1 - 1 / 8) * 0.05 * 0.95 / 20
    assert found.first.n_effective == pytest.approx(rate * (1 - rate) / variance, rel=0.1)
    assert found.first.gain == 1, "too few errors to foretell any"


def test_the_interval_is_that_of_the_strata():
    """40 flagged frames, all labelled, half of them wrong; of 160 others 20 are labelled, and none of these is wrong."""
    flagged = np.arange(200) < 40
    frames = {
        "event": np.arange(200),
        "wrong": np.arange(200) < 20,
        "labelled": np.arange(200) < 60,
        "flagged": flagged,
    }
    found = overall_rates(audit(frames | {"probability": np.full(200, 0.9)})).first
    # Wilson's upper end of none in n is z^2 / (n + z^2); seven eighths of the others are not labelled.
    n, z2 = 20 / (1 - 1 / 8), 1.959964**2
    assert found.rate == pytest.approx(0.1) and found.low == pytest.approx(0.1, abs=1e-4), (
        "what is labelled whole is known"
    )
    assert found.high == pytest.approx(0.1 + 0.8 * z2 / (n + z2))


def test_many_labels_give_the_same_rate_without_a_look_at_the_other_pictures(monkeypatch):
    frames = drawn(4, is_known=False)
    with audit(frames) as connection:
        connection.execute("UPDATE errors SET stratum = CASE WHEN has_flag THEN 'low_probability' ELSE 'unflagged' END")
        few = overall_rates(connection)
        monkeypatch.setattr(rates, "_MAX_VISITS", 10)
        connection.execute("DROP TABLE masks")  # not read
        many = overall_rates(connection)
    assert few.first.gain == 1 and few.share == many.share
    for one, other in ((few.first, many.first), (few.final, many.final)):
        assert asdict(other) == pytest.approx(asdict(one))


def test_frames_of_an_event_count_as_one():
    """Ten frames of one event are wrong, and 30 events of one frame are right."""
    event = np.concatenate([np.zeros(10, int), np.arange(1, 31)])
    frames = {"event": event, "wrong": event == 0, "labelled": np.ones(40, bool), "flagged": np.zeros(40, bool)}
    assert overall_rates(audit(frames | {"probability": np.full(40, 0.9)})).first.rate == pytest.approx(1 / 31)


def test_no_rate_where_only_flagged_ones_are_labelled():
    frames = drawn(0)
    with audit(frames | {"labelled": frames["labelled"] & frames["flagged"]}) as connection:
        totals = report_totals(connection)
    n, wrong = (
        (frames["labelled"] & frames["flagged"]).sum(),
        (frames["labelled"] & frames["flagged"] & frames["wrong"]).sum(),
    )
    assert totals.error_rate is totals.final_error_rate is totals.error_low is None
    assert totals.rate_words == (
        f"{wrong} of {n} flagged names that were checked are wrong; how many of the others are wrong is not known: "
        "label some of the list"
    )


def test_a_reason_without_labels_is_left_out_in_words():
    frames = drawn(1)
    with audit(frames | {"labelled": frames["labelled"] & ~frames["flagged"]}) as connection:
        rates, totals = overall_rates(connection), report_totals(connection)
    assert rates.share == pytest.approx(1 - frames["flagged"].mean())
    truth = frames["wrong"][~frames["flagged"]].mean()
    assert rates.first.low <= truth <= rates.first.high
    assert "of the names: of the flags on the others, no picture is labelled" in totals.rate_words
    with audit(frames) as connection:
        assert "of the names" not in report_totals(connection).rate_words


def test_no_label_no_rate():
    frames = drawn(2)
    with audit(frames | {"labelled": np.zeros(1500, bool)}) as connection:
        assert overall_rates(connection).first is None and report_totals(connection).rate_words == "no labels yet"


def test_few_right_ones_are_not_taken_for_all():
    """Fifteen unflagged ones are labelled, all right: that none of the others is wrong does not follow."""
    flagged = np.arange(300) < 20
    labelled = flagged | (np.arange(300) >= 285)
    frames = {
        "event": np.arange(300),
        "wrong": flagged & (np.arange(300) < 12),
        "labelled": labelled,
        "flagged": flagged,
    }
    found = overall_rates(audit(frames | {"probability": np.full(300, 0.9)})).first
    assert found.rate == pytest.approx(0.04) and found.high > 0.07


@pytest.mark.parametrize("is_known", [True, False])
def test_intervals_hold_the_rate_and_are_narrower_where_errors_can_be_foretold(is_known):
    held, gains, biases = [], [], []
    for seed in range(16):
        frames = drawn(100 + seed, is_known=is_known)
        with audit(frames) as connection:
            found = overall_rates(connection).first
        truth = frames["wrong"].mean()
        held.append(found.low <= truth <= found.high)
        gains.append(found.gain)
        biases.append(found.rate - truth)
    assert np.mean(held) >= 0.87 and abs(np.mean(biases)) < 0.008
    assert np.mean(gains) > 1.4 if is_known else np.median(gains) == 1


def test_a_camera_has_a_rate_only_where_something_that_nobody_flagged_is_labelled():
    def row(camera, n_unflagged):
        counts = {"n_events": 10, "n_errors": 5, "wrong_weight": 6.0, "weight": 60.0, "squares": 500.0}
        return {"camera_id": camera, "light": "day", "n_unflagged": n_unflagged, **counts}

    found = {name: cell for name, _, cell in cameras([row("C01", 0), row("C02", 4)], 9, SliceConfig()).rows}
    assert not found["C01"].is_weighted and found["C01"].rate == 0.5, "of those labelled"
    assert found["C02"].is_weighted and found["C02"].rate == pytest.approx(0.1)


def test_the_command_line_has_the_rate_or_what_is_known_in_place_of_one():
    frames = drawn(3)
    for labelled, words in (
        (frames["labelled"], "% of events ("),
        (frames["flagged"], "is not known: label some of the list"),
    ):
        with audit(frames | {"labelled": labelled}) as connection:
            derived = asdict(report_totals(connection)) | {"report": "index.html"}
        console = Console(file=io.StringIO(), width=500)
        print_report(console, derived)
        assert f"wrong names: {derived['rate_words']}" in console.file.getvalue() and words in derived["rate_words"]
