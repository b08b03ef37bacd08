"""Events, event names, reasons and inclusion probabilities recomputed independently with pandas."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd

from scd_core.config import TriageConfig
from scd_core.media.groups import assign_events, mark_clocks
from scd_core.triage import triage


def _rows(seed: int, count: int = 300) -> list[dict[str, Any]]:
    generator = np.random.default_rng(seed)
    start = datetime(2026, 3, 1)
    # Clocks that run backwards: files in name order are not in the order of time.
    seconds = generator.permutation(np.cumsum(generator.choice([1, 30, 60, 61, 600], count)))
    rows = []
    for number in range(count):
        deployment = f"d{generator.integers(3)}"
        moment = None if generator.random() < 0.05 else start + timedelta(seconds=int(seconds[number]))
        row = {"media_id": f"m{number:03d}", "file": f"c/{deployment}/{number:03d}.jpg", "captured_at": moment}
        rows.append(row | {"camera_id": "c", "deployment_id": deployment})
    return rows


def test_events_are_those_of_pandas_whatever_the_order_of_files() -> None:
    rows = _rows(4)
    found = pd.DataFrame(assign_events(rows, 60.0))
    timed = found[found.captured_at.notna()].sort_values(["deployment_id", "captured_at", "file"])
    gaps = timed.groupby("deployment_id").captured_at.diff().dt.total_seconds()
    expected = (gaps.isna() | (gaps > 60)).cumsum()
    pairs = set(zip(expected, timed.event_id, strict=True))
    assert len(pairs) == expected.nunique() == timed.event_id.nunique()
    untimed = found[found.captured_at.isna()]
    assert (untimed.groupby("deployment_id").event_id.nunique() == 1).all()
    assert untimed.event_id.nunique() == untimed.deployment_id.nunique()
    assert not set(untimed.event_id) & set(timed.event_id)
    backwards = {row["media_id"]: row["event_id"] for row in assign_events(rows[::-1], 60.0)}
    assert backwards == dict(zip(found.media_id, found.event_id, strict=True))


def test_a_clock_that_runs_backwards_is_said_on_the_file_where_it_does() -> None:
    start = datetime(2026, 3, 1, 12)
    # The clock falls by a day at 0004, is put right at 0006, and the numbers start again after 9999.
    minutes = {"0001": 0, "0002": 1, "0003": 1, "0004": -1440, "0005": -1439, "0006": 5, "9999": 99, "0100": 200}
    rows = [
        {
            "media_id": f"m{number}",
            "file": f"C1/d/IMG_{number}.JPG",
            "captured_at": start + timedelta(minutes=minute),
            "captured_at_source": "exif",
        }
        for number, minute in minutes.items()
    ]
    by_name = {"media_id": "n", "file": "C1/d/IMG_0007.JPG", "captured_at": start, "captured_at_source": "filename"}
    unknown = {"media_id": "u", "file": "C1/d/IMG_0008.JPG", "captured_at": None, "captured_at_source": None}
    found = mark_clocks([*rows, by_name, unknown])
    assert [row["media_id"] for row in found] == [row["media_id"] for row in (*rows, by_name, unknown)]
    doubts = {row["file"]: row["clock_doubt"] for row in found if row["clock_doubt"]}
    assert set(doubts) == {"C1/d/IMG_0004.JPG"}
    assert doubts["C1/d/IMG_0004.JPG"].startswith("the clock runs backwards: 1 day, 0:01:00 earlier than")


def _predictions(seed: int, count: int = 200) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    generator = np.random.default_rng(seed)
    names = ["Luna", "Nyx", "Tau", "Mara"]
    predictions, media = [], []
    for number in range(count):
        chances = generator.dirichlet([0.6] * len(names))
        order = np.argsort(-chances)
        media_id = f"m{number:03d}"
        failed = generator.random() < 0.05
        row: dict[str, Any] = {"target_id": media_id, "media_id": media_id, "prediction_status": "failed"}
        if not failed:
            row |= {
                "prediction_status": "ok",
                "predicted_id": names[order[0]] if chances[order[0]] > 0.4 else "unknown",
                "probability": float(chances[order[0]]),
                "margin": float(chances[order[0]] - chances[order[1]]),
                "topk": [{"individual_id": names[k], "probability": float(chances[k])} for k in order[:3]],
            }
        predictions.append(row)
        event = f"e{generator.integers(count // 3)}"
        media.append({"media_id": media_id, "file": f"{media_id}.jpg", "uri": "", "event_id": event})
    return predictions, media


def test_reasons_event_names_and_inclusion_probabilities_by_pandas() -> None:
    predictions, media = _predictions(8)
    config = TriageConfig(budget=40, control_rate=0.1, min_probability=0.55, min_margin=0.15)
    flagged = {"m003.jpg", "m050.jpg"}
    found = pd.DataFrame(triage(predictions, media, 4, config, flagged))
    frame = pd.DataFrame(predictions).merge(pd.DataFrame(media), on="media_id")
    frame = frame[frame.prediction_status == "ok"].copy()
    # Three of four classes are given; the fourth has the rest.
    long = frame[["media_id", "event_id", "topk"]].explode("topk")
    long["name"] = long.topk.str["individual_id"]
    long["log"] = np.log(long.topk.str["probability"].astype(float))
    table = long.pivot(index="media_id", columns="name", values="log")
    rest = np.log(1 - np.exp(table).sum(axis=1))
    table = table.apply(lambda column: column.fillna(rest)).clip(lower=np.log(1e-12))
    by_event = table.groupby(frame.set_index("media_id").event_id).sum()
    sizes = frame.groupby("event_id").size()
    alone = frame.set_index("event_id").predicted_id
    expected = {event: alone[event] if sizes[event] == 1 else by_event.loc[event].idxmax() for event in sizes.index}
    frame["event_name"] = frame.event_id.map(expected)
    merged = frame.merge(found[["media_id", "event_predicted_id"]], on="media_id")
    assert (merged.event_name == merged.event_predicted_id).all()

    reasons = pd.DataFrame(
        {
            "human_flag": frame.file.isin(flagged),
            "event_disagreement": frame.event_name != frame.predicted_id,
            "unknown": frame.predicted_id == "unknown",
            "low_probability": frame.probability < 0.55,
            "small_margin": frame.margin < 0.15,
        }
    ).set_axis(frame.target_id)
    has = reasons.any(axis=1)
    assert has.sum() > 60
    first = pd.Series(reasons.to_numpy().argmax(1), index=reasons.index)[has]
    order = pd.DataFrame({"first": first, "p": frame.set_index("target_id").probability[has]})
    kept = order.rename_axis("t").reset_index().sort_values(["first", "p", "t"]).t[:40]
    wanted = pd.Series(0.1, index=frame.target_id)
    wanted[kept] = 1.0
    by_target = found.set_index("target_id")
    assert (by_target.inclusion_probability[wanted.index] == wanted).all()
    assert (by_target.inclusion_probability[by_target.prediction_status == "failed"] == 0).all()
    for target, row in reasons.iterrows():
        reasons = [reason for reason in by_target.flag_reasons[target] if reason not in ("control", "cut_by_budget")]
        assert reasons == list(row.index[row])
    assert (by_target.is_selected[kept]).all()
    cut = by_target.flag_reasons.map(lambda some: "cut_by_budget" in some)
    assert set(by_target.index[cut]) == set(has.index[has]) - set(kept)


def test_every_row_is_drawn_as_often_as_its_inclusion_probability_says() -> None:
    """Row by row over seeds: what is within the budget always, the rest at the control rate."""
    predictions, media = _predictions(9, 60)
    seeds, rate = 600, 0.15
    drawn = np.zeros(60)
    for seed in range(seeds):
        done = triage(predictions, media, 4, TriageConfig(budget=10, control_rate=rate, seed=seed))
        drawn += [row["is_selected"] for row in done]
    claimed = np.array([row["inclusion_probability"] for row in done])
    assert set(claimed) == {0.0, rate, 1.0}
    assert np.abs(drawn / seeds - claimed).max() < 4.5 * np.sqrt(rate * (1 - rate) / seeds)
