"""Selection of the predictions that get a mask: reasons, control sample, budget."""

from __future__ import annotations

import hashlib
import math
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType

from scd_core.config import TriageConfig
from scd_core.identify.content import draw_name
from scd_core.inputs.taxonomy import Taxonomy
from scd_core.media.groups import is_timed
from scd_core.names import UNKNOWN, FlagReason, PredictionStatus
from scd_core.tables.rows import MediaRow, PredictionRow
from scd_core.triage.outside import is_outside, outside_score
from scd_core.triage.travel import impossible_travel

__all__ = ["control_draw", "event_names", "least_probability", "triage"]

_REASONS = tuple(FlagReason)[: list(FlagReason).index(FlagReason.CONTROL)]
"""Reasons that need a look, most pressing first: the order in which the budget is spent."""
_FEW = 5
"""Masks of a batch for one pair of individuals whose names masks have never changed."""
_UNTRIED = 0.5
"""Share of masks that is expected to show something for a reason that no mask was spent on."""
_OF_A_NAME = 0.9
"""Probability that a name counts with in its event, where the tool gave none."""
_UNSURE = {FlagReason.KNOWN_CONFUSION, FlagReason.LOW_PROBABILITY, FlagReason.SMALL_MARGIN, FlagReason.CONTROL}
"""Reasons that a name of two look-alikes has anyway."""


def triage(
    predictions: Sequence[PredictionRow],
    media: Sequence[MediaRow],
    n_labels: int,
    config: TriageConfig,
    human_flags: Collection[str] = (),
    known_confusions: Collection[tuple[str, str]] = (),
    unknown_threshold: float | None = None,
    outside_limits: Mapping[str, float] = MappingProxyType({}),
    unchanged_confusions: Collection[tuple[str, str]] = (),
    yields: Mapping[str, float] = MappingProxyType({}),
    lineages: Mapping[str, str] = MappingProxyType({}),
) -> list[PredictionRow]:
    """Add event, flags, control and selection to the predictions of a whole batch.

    The budget holds for rows flagged for a reason; the control sample comes on top, because a control that a budget may cut
    has no known probability. So a row's `inclusion_probability` is exact: 1 for a reason within the budget, else
    `control_rate`, whether or not the draw took it.

    What people flagged comes first. What is left of a budget that is too small is shared out among the reasons by what masks
    have shown for each (`yields`), the most pressing of each reason first; without that, the reasons come one after another.

    Args:
        predictions: prediction rows of the batch, with names and top candidates.
        media: media rows of the batch, with `event_id`.
        n_labels: classes of the model, for the probability mass outside the top candidates.
        config: thresholds, budget and control rate.
        human_flags: files, or URIs, flagged by people.
        known_confusions: pairs (true individual, name given to it) that the audit has found; a prediction of the given
            name is flagged where the true one is among its candidates.
        unknown_threshold: of the model, 0-1; what is less probable is called unknown.
        outside_limits: `gradient_region` -> :func:`scd_core.triage.outside.outside_score` from which a name is flagged, as found
            from this OUT's labels; of a region without one, a default.
        unchanged_confusions: those of `known_confusions` of which no mask has changed a name; a few pictures of each are masked.
        yields: first reason of a flag -> share of its masks that showed something in earlier batches, above 0; of a reason
            that is not among them, a half.
        lineages: name -> its place in a taxonomy; a roll-up of the event's name is no other name.

    Returns:
        The rows, in order, with `event_id`, `event_predicted_id`, `is_flagged`, `flag_reasons`, `is_control`,
        `is_selected` and `inclusion_probability`. A row without a name is never selected.
    """
    by_media, taxonomy = {row["media_id"]: row for row in media}, Taxonomy(lineages)
    rows: list[PredictionRow] = [{**row, "event_id": by_media[row["media_id"]].get("event_id")} for row in predictions]
    names = event_names(rows, n_labels)
    least = least_probability(config, unknown_threshold)
    travelled = impossible_travel(rows, by_media, config.max_speed_kmh)
    for row in rows:
        is_named = row["prediction_status"] == PredictionStatus.OK
        row["event_predicted_id"] = names.get(row["event_id"] or "")
        frame = by_media[row["media_id"]]
        together, name = row["event_predicted_id"], row.get("predicted_id")
        given = {
            FlagReason.EVENT_DISAGREEMENT: together not in (None, name)
            and not taxonomy.agree(str(together), str(name)),
            FlagReason.NOT_EXPECTED: row.get("is_expected") is False,
            FlagReason.HUMAN_FLAG: frame["file"] in human_flags or frame["uri"] in human_flags,
            FlagReason.IMPOSSIBLE_TRAVEL: row["target_id"] in travelled,
            FlagReason.EVIDENCE_OUTSIDE: is_outside(row, config.min_outside, outside_limits),
            FlagReason.KNOWN_CONFUSION: _is_known_confusion(row, known_confusions),
        }
        reasons = _reasons(row, config, given, least) if is_named else []
        row["is_control"] = is_named and control_draw(draw_name(row), config.seed) < config.control_rate
        row["flag_reasons"] = [*reasons, FlagReason.CONTROL] if row["is_control"] else reasons
        row["is_flagged"] = bool(row["flag_reasons"])
        row["is_selected"] = row["is_control"]
        row["inclusion_probability"] = config.control_rate if is_named else 0.0
    with_reason = [row for row in rows if set(row["flag_reasons"] or ()) - {FlagReason.CONTROL}]
    left, of_pair = config.budget, Counter[tuple[str, str]]()
    for row in _in_turn(with_reason, yields):
        pairs = _alike(row, unchanged_confusions)
        if left > 0 and all(of_pair[pair] < _FEW for pair in pairs):
            left -= 1
            of_pair.update(pairs)
            row["is_selected"] = True
            row["inclusion_probability"] = 1.0
        else:
            row["flag_reasons"] = [*(row["flag_reasons"] or ()), FlagReason.CUT_BY_BUDGET]
    return rows


def _in_turn(rows: Sequence[PredictionRow], yields: Mapping[str, float]) -> list[PredictionRow]:
    """Flagged rows in the order in which the budget is spent on them."""
    order = sorted(rows, key=_pressing)
    if not yields:
        return order
    turns: Counter[str] = Counter()
    place: dict[str, float] = {}
    for row in order:
        reason = (row["flag_reasons"] or [])[0]
        turns[reason] += 1
        # So far down the list each reason has masks in proportion to what its masks show.
        is_human = reason == FlagReason.HUMAN_FLAG
        place[row["target_id"]] = -1.0 if is_human else (turns[reason] - 0.5) / yields.get(reason, _UNTRIED)
    return sorted(order, key=lambda row: place[row["target_id"]])


def least_probability(config: TriageConfig, unknown_threshold: float | None) -> float:
    """Probability below which a name is flagged, 0-1.

    It is `min_probability`; but where a model calls `unknown` all that is less probable than a threshold at or above it, no
    name would ever be flagged, and it is half-way from that threshold to 1.

    Example:
        >>> [round(least_probability(TriageConfig(), threshold), 3) for threshold in (None, 0.5, 0.69)]
        [0.6, 0.6, 0.845]
    """
    if unknown_threshold is None or unknown_threshold < config.min_probability:
        return config.min_probability
    return (1 + unknown_threshold) / 2


def control_draw(name: str, seed: int) -> float:
    """Uniform number in [0, 1) that depends on nothing but what the target is drawn by (:func:`draw_name`) and the seed."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{name}".encode()).digest()[:8], "big") / 2**64


def event_names(rows: Sequence[PredictionRow], n_labels: int) -> dict[str, str]:
    """Individual that all frames of an event name together, by summed log-probability.

    The mass outside a frame's top candidates is spread evenly over the other classes. Two boxes of one frame may be two
    animals, so an event with several boxes in one frame has no common name; nor have frames whose time is unknown.
    """
    events: dict[str, list[PredictionRow]] = defaultdict(list)
    for row in rows:
        event = row["event_id"]
        if row["prediction_status"] == PredictionStatus.OK and event is not None and is_timed(event):
            events[event].append(row)
    return {
        event: _common_name(frames, n_labels)
        for event, frames in events.items()
        if len({frame["media_id"] for frame in frames}) == len(frames)
    }


def _common_name(frames: Sequence[PredictionRow], n_labels: int) -> str:
    if len(frames) == 1:
        return str(frames[0]["predicted_id"])
    named = [_probabilities(frame) for frame in frames]
    totals = dict.fromkeys(sorted(set().union(*named)), 0.0)
    for probabilities in named:
        rest = max(1e-12, 1.0 - sum(probabilities.values())) / max(1, n_labels - len(probabilities))
        for candidate in totals:
            totals[candidate] += math.log(max(1e-12, probabilities.get(candidate, rest)))
    return max(totals, key=lambda candidate: totals[candidate])


def _probabilities(row: PredictionRow) -> dict[str, float]:
    """Candidate -> its probability; of a name without one, the same for every frame, so that an event's name is that of most."""
    if row.get("probability") is None and (name := row.get("predicted_id")) is not None:
        return {name: _OF_A_NAME}
    return {candidate["individual_id"]: candidate["probability"] for candidate in row.get("topk") or ()}


def _reasons(
    row: PredictionRow, config: TriageConfig, given: Mapping[FlagReason, bool], least_probability: float
) -> list[str]:
    """Reasons to look at a named row, most pressing first; `given` holds for some of them whether they apply."""
    applies = {
        **given,
        FlagReason.UNKNOWN: row["predicted_id"] == UNKNOWN,
        # What a tool does not give is not known to be small.
        FlagReason.LOW_PROBABILITY: row["probability"] is not None and row["probability"] < least_probability,
        FlagReason.SMALL_MARGIN: row["margin"] is not None and row["margin"] < config.min_margin,
    }
    return [reason for reason in _REASONS if applies[reason]]


def _is_known_confusion(row: PredictionRow, pairs: Collection[tuple[str, str]]) -> bool:
    return bool(_confusions(row, pairs))


def _confusions(row: PredictionRow, pairs: Collection[tuple[str, str]]) -> list[tuple[str, str]]:
    """Of some pairs (true individual, name given to it), those that a row may be one of."""
    others = _probabilities(row)
    return [(true, given) for true, given in pairs if given == row["predicted_id"] and true in others]


def _alike(row: PredictionRow, pairs: Collection[tuple[str, str]]) -> list[tuple[str, str]]:
    """The pairs that a row may be one of, where nothing but that or an unsure name is a reason to look."""
    return _confusions(row, pairs) if set(row["flag_reasons"] or ()) <= _UNSURE else []


def _pressing(row: PredictionRow) -> tuple[int, float, str]:
    first = FlagReason((row["flag_reasons"] or [])[0])
    value = row["probability"] or 0.0
    if first == FlagReason.EVIDENCE_OUTSIDE:
        value = -outside_score(row["gradient_outside"] or 0.0, value)
    return _REASONS.index(first), value, draw_name(row)
