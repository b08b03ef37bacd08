"""Selection of the predictions that get a mask: reasons, control sample, budget."""

from __future__ import annotations

import hashlib
import math
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from scd_core.config import TriageConfig
from scd_core.triage.travel import impossible_travel

__all__ = ["CUT", "PRIORITY", "control_draw", "event_names", "triage"]

PRIORITY = (
    "human_flag",
    "impossible_travel",
    "known_confusion",
    "event_disagreement",
    "unknown",
    "low_probability",
    "small_margin",
)
"""Reasons, most pressing first: the order in which the budget is spent."""

CUT = "cut_by_budget"
"""Stands last among a row's reasons when they were not enough for the batch's budget."""


def triage(
    predictions: Sequence[Mapping[str, Any]],
    media: Sequence[Mapping[str, Any]],
    n_labels: int,
    config: TriageConfig,
    human_flags: Collection[str] = (),
    known_confusions: Collection[tuple[str, str]] = (),
) -> list[dict[str, Any]]:
    """Add event, flags, control and selection to the predictions of a whole batch.

    The budget holds for rows flagged for a reason; the control sample comes on top, because a control that a budget may cut
    has no known probability. So a row's `inclusion_probability` is exact: 1 for a reason within the budget, else
    `control_rate`, whether or not the draw took it.

    Args:
        predictions: prediction rows of the batch, with names and top candidates.
        media: media rows of the batch, with `event_id`.
        n_labels: classes of the model, for the probability mass outside the top candidates.
        config: thresholds, budget and control rate.
        human_flags: files, or URIs, flagged by people.
        known_confusions: pairs (true individual, name given to it) that the audit has found; a prediction of the given
            name is flagged where the true one is among its candidates.

    Returns:
        The rows, in order, with `event_id`, `event_predicted_id`, `is_flagged`, `flag_reasons`, `is_control`,
        `is_selected` and `inclusion_probability`. A row without a name is never selected.
    """
    by_media = {row["media_id"]: row for row in media}
    rows = [{**row, "event_id": by_media[row["media_id"]].get("event_id")} for row in predictions]
    names = event_names(rows, n_labels)
    travelled = impossible_travel(rows, by_media, config.max_speed_kmh)
    for row in rows:
        row["event_predicted_id"] = names.get(row["event_id"])
        described = by_media[row["media_id"]]
        is_human = described["file"] in human_flags or described["uri"] in human_flags
        noted = {
            "human_flag": is_human,
            "impossible_travel": row["target_id"] in travelled,
            "known_confusion": _is_known_confusion(row, known_confusions),
        }
        reasons = _reasons(row, config, noted) if row["prediction_status"] == "ok" else []
        is_control = (
            row["prediction_status"] == "ok" and control_draw(row["target_id"], config.seed) < config.control_rate
        )
        row["is_control"] = is_control
        row["flag_reasons"] = [*reasons, "control"] if is_control else reasons
        row["is_flagged"] = bool(row["flag_reasons"])
        row["is_selected"] = is_control
        row["inclusion_probability"] = config.control_rate if row["prediction_status"] == "ok" else 0.0
    with_reason = [row for row in rows if set(row["flag_reasons"]) - {"control"}]
    for place, row in enumerate(sorted(with_reason, key=_pressing)):
        if place < config.budget:
            row["is_selected"] = True
            row["inclusion_probability"] = 1.0
        else:
            row["flag_reasons"] = [*row["flag_reasons"], CUT]
    return rows


def control_draw(target: str, seed: int) -> float:
    """Uniform number in [0, 1) that depends on nothing but the target and the seed."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{target}".encode()).digest()[:8], "big") / 2**64


def event_names(rows: Sequence[Mapping[str, Any]], n_labels: int) -> dict[str, str]:
    """Individual that all frames of an event name together, by summed log-probability.

    The mass outside a frame's top candidates is spread evenly over the other classes. Two boxes of one frame may be two
    animals, so an event with several boxes in one frame has no common name.
    """
    events: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        if row["prediction_status"] == "ok" and row["event_id"] is not None:
            events[row["event_id"]].append(row)
    names = {}
    for event, frames in events.items():
        if len({frame["media_id"] for frame in frames}) < len(frames):
            continue
        names[event] = _common_name(frames, n_labels)
    return names


def _common_name(frames: Sequence[Mapping[str, Any]], n_labels: int) -> str:
    if len(frames) == 1:
        return frames[0]["predicted_id"]
    candidates = sorted({candidate["individual_id"] for frame in frames for candidate in frame["topk"]})
    totals = dict.fromkeys(candidates, 0.0)
    for frame in frames:
        named = {candidate["individual_id"]: candidate["probability"] for candidate in frame["topk"]}
        rest = max(1e-12, 1.0 - sum(named.values())) / max(1, n_labels - len(named))
        for candidate in candidates:
            totals[candidate] += math.log(max(1e-12, named.get(candidate, rest)))
    return max(candidates, key=lambda candidate: totals[candidate])


def _reasons(row: Mapping[str, Any], config: TriageConfig, noted: Mapping[str, bool]) -> list[str]:
    applies = {
        **noted,
        "event_disagreement": row["event_predicted_id"] not in (None, row["predicted_id"]),
        "unknown": row["predicted_id"] == "unknown",
        "low_probability": row["probability"] < config.min_probability,
        "small_margin": row["margin"] < config.min_margin,
    }
    return [reason for reason in PRIORITY if applies[reason]]


def _is_known_confusion(row: Mapping[str, Any], pairs: Collection[tuple[str, str]]) -> bool:
    others = {candidate["individual_id"] for candidate in row.get("topk") or ()}
    return any(given == row["predicted_id"] and true in others for true, given in pairs)


def _pressing(row: Mapping[str, Any]) -> tuple[int, float, str]:
    return PRIORITY.index(row["flag_reasons"][0]), row["probability"], row["target_id"]
