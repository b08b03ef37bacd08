"""Triage: reasons, budget, control sample and its probability, event names."""

from __future__ import annotations

import math
from typing import Any

import pytest

from scd_core.config import TriageConfig
from scd_core.triage import triage
from scd_core.triage.select import control_draw, event_names


def prediction(number: int, name: str = "Luna", probability: float = 0.9, **more: Any) -> dict[str, Any]:
    rest = 1.0 - probability
    return {
        "target_id": f"t{number}",
        "media_id": f"m{number}",
        "detection_id": None,
        "prediction_status": "ok",
        "predicted_id": name,
        "probability": probability,
        "margin": probability - rest,
        "topk": [{"individual_id": name, "probability": probability}, {"individual_id": "Nyx", "probability": rest}],
        "event_id": f"e{number}",
    } | more


def media_of(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {"media_id": r["media_id"], "file": f"{r['media_id']}.jpg", "uri": "", "event_id": r["event_id"]} for r in rows
    ]


def run(rows: list[dict[str, Any]], flags: set[str] = frozenset(), **settings: Any) -> list[dict[str, Any]]:  # type: ignore[assignment]
    return triage(rows, media_of(rows), 3, TriageConfig(**({"control_rate": 0.0} | settings)), flags)


def test_thresholds_flag_what_lies_below_them_and_nothing_else() -> None:
    rows = run([prediction(0, probability=0.59), prediction(1, probability=0.61), prediction(2, probability=0.95)],
               min_probability=0.6, min_margin=0.3)  # fmt: skip
    assert [row["flag_reasons"] for row in rows] == [["low_probability", "small_margin"], ["small_margin"], []]
    assert [row["is_selected"] for row in rows] == [True, True, False]


def test_the_budget_goes_to_the_most_pressing_and_what_it_cut_stays_flagged() -> None:
    rows = [prediction(0, probability=0.5), prediction(1, probability=0.3), prediction(2, probability=0.99)]
    done = run(rows, flags={"m2.jpg"}, budget=2)
    assert [row["is_selected"] for row in done] == [False, True, True]
    assert done[0]["is_flagged"]
    assert done[0]["inclusion_probability"] == 0.0
    assert done[2]["flag_reasons"] == ["human_flag"]


def test_a_roll_up_of_the_events_name_is_no_other_name() -> None:
    lineages = {
        "leopard": "mammalia;carnivora;felidae;panthera;pardus", "lion": "mammalia;carnivora;felidae;panthera;leo",
        "cat family": "mammalia;carnivora;felidae;;",
    }  # fmt: skip
    names = ["leopard", "leopard", "cat family", "lion"]
    rows = [prediction(number, name, event_id="e") for number, name in enumerate(names)]
    for row in rows:
        row["topk"] = row["topk"][:1]
    for known, flagged in ((lineages, ["lion"]), ({}, ["cat family", "lion"])):
        done = triage(rows, media_of(rows), 3, TriageConfig(control_rate=0.0), lineages=known)
        assert [row["predicted_id"] for row in done if "event_disagreement" in row["flag_reasons"]] == flagged


def test_inclusion_probability_is_exact_whatever_the_draw() -> None:
    """Over many seeds a row without a reason is selected as often as its inclusion probability is."""
    rows = [prediction(number) for number in range(40)]
    rate, seeds, selected = 0.2, 200, 0
    for seed in range(seeds):
        done = run(rows, control_rate=rate, seed=seed)
        assert {row["inclusion_probability"] for row in done} == {rate}
        selected += sum(row["is_selected"] for row in done)
    n = seeds * len(rows)
    assert abs(selected / n - rate) < 4 * math.sqrt(rate * (1 - rate) / n)


def test_the_control_sample_does_not_depend_on_the_other_rows() -> None:
    rows = [prediction(number) for number in range(50)]
    together = {row["target_id"] for row in run(rows, control_rate=0.3) if row["is_control"]}
    apart = {
        row["target_id"] for half in (rows[:20], rows[20:]) for row in run(half, control_rate=0.3) if row["is_control"]
    }
    assert together == apart
    assert 0 < len(together) < 50
    assert control_draw("t1", 0) == control_draw("t1", 0) != control_draw("t1", 1)


def test_a_frame_that_disagrees_with_its_event_is_flagged() -> None:
    rows = [
        prediction(n, name, p, event_id="burst")
        for n, (name, p) in enumerate([("Luna", 0.9), ("Luna", 0.8), ("Nyx", 0.7)])
    ]
    rows[2]["topk"] = [{"individual_id": "Nyx", "probability": 0.7}, {"individual_id": "Luna", "probability": 0.3}]
    done = run(rows, min_probability=0.0, min_margin=0.0)
    assert {row["event_predicted_id"] for row in done} == {"Luna"}
    assert [row["flag_reasons"] for row in done] == [[], [], ["event_disagreement"]]


def test_event_name_is_the_largest_sum_of_log_probabilities() -> None:
    """One sure frame outweighs two unsure ones: .98/.02 against .45/.55 twice."""
    rows = [prediction(0, "Luna", 0.98, event_id="e"), prediction(1, event_id="e"), prediction(2, event_id="e")]
    for row in rows[1:]:
        row |= {"predicted_id": "Nyx", "probability": 0.55}
        row["topk"] = [{"individual_id": "Nyx", "probability": 0.55}, {"individual_id": "Luna", "probability": 0.45}]
    assert math.log(0.98) + 2 * math.log(0.45) > math.log(0.02) + 2 * math.log(0.55)
    assert event_names(rows, 3) == {"e": "Luna"}


def test_two_animals_in_one_frame_have_no_common_name() -> None:
    rows = [prediction(0, "Luna", event_id="e"), prediction(1, "Nyx", event_id="e", media_id="m0", target_id="m0:1")]
    assert event_names(rows, 3) == {}


def test_low_probability_means_something_where_the_model_calls_more_of_them_unknown() -> None:
    """A threshold of .69 left nothing below the .6 of triage but what was called unknown: 0 of 12 errors were flagged."""
    rows = [prediction(n, "Luna", p) for n, p in enumerate([0.7, 0.8, 0.9])]
    for row in rows:
        row["margin"] = 0.5

    def flagged(threshold: float | None) -> list[list[str]]:
        config = TriageConfig(control_rate=0.0)
        media = [{"media_id": row["media_id"], "file": f"{row['media_id']}.jpg", "uri": ""} for row in rows]
        return [row["flag_reasons"] for row in triage(rows, media, 3, config, unknown_threshold=threshold)]

    assert flagged(None) == flagged(0.5) == [[], [], []]
    assert flagged(0.69) == [["low_probability"], ["low_probability"], []]


@pytest.mark.parametrize("status", ["failed", "no_animal"])
def test_a_row_without_a_name_is_never_selected(status: str) -> None:
    row = prediction(0) | {"prediction_status": status, "predicted_id": None, "probability": None, "margin": None}
    done = run([row], flags={"m0.jpg"}, control_rate=1.0)
    assert (done[0]["is_selected"], done[0]["flag_reasons"], done[0]["inclusion_probability"]) == (False, [], 0.0)
