"""What became of one target of a picture as lines of text: its name, flags, mask, views, decision, error and slices."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from deployments.cli.printable import printable
from scd_core.audit.query.picture import TargetStory
from scd_core.audit.wording import (
    CAUSE_WORDS,
    ERROR_WORDS,
    PREDICTION_WORDS,
    RELATION_WORDS,
    STRATEGY_WORDS,
    named_words,
    number,
    percent,
    reason,
    slice_title,
)
from scd_core.boxes import box_from_row
from scd_core.names import ErrorType, FlagReason, GradientRegion, MaskStatus, PredictionStatus, StrategyStatus

__all__ = ["Line", "Row", "box_text", "listed", "spaced", "target_lines"]

Row = Mapping[str, Any]
Line = tuple[str, "str | RenderableType"]
"""Name at the left, and what stands beside it."""
_MOST_SLICES = 5
"""Slices without proof that are named; the rest is counted."""


def target_lines(target: TargetStory, n_frames: int | None) -> Iterator[Line]:
    """The lines about one target, each with its name.

    Args:
        target: the whole picture, or a box in it.
        n_frames: frames of the picture's event.
    """
    prediction = target.prediction
    box = box_from_row(prediction)
    if box is not None:
        sure = prediction["detection_confidence"]
        yield "box", box_text(*box) + (f", detector {percent(sure)} sure" if sure is not None else "")
    status = prediction["prediction_status"]
    if status == PredictionStatus.OK:
        yield "name", named_words(prediction["predicted_id"], prediction["probability"])
        others = [
            f"{one['individual_id']} {percent(one['probability'])}"
            for one in prediction["topk"] or ()
            if one["individual_id"] != prediction["predicted_id"]
        ]
        if others:
            yield "next", listed(others[:4])
    else:
        why = prediction["failure_reason"]
        yield "name", f"no name: {why}" if why else PREDICTION_WORDS.get(status, f"no name: {spaced(status)}")
    if prediction["event_predicted_id"] and n_frames != 1:
        yield "event", f"all frames together: {prediction['event_predicted_id']}"
    if prediction["candidate_id"]:
        rank = f", place {prediction['review_rank']} in review" if prediction["review_rank"] else ""
        yield "unknown", f"may be a new individual: group {prediction['candidate_id']}{rank}"
    yield from _flags(prediction)
    if (outside := prediction["gradient_outside"]) is not None:
        of = (
            "the animal"
            if prediction["gradient_region"] == GradientRegion.BOX
            else "the quarter of the picture with most of it"
        )
        yield "gradient", f"{percent(outside)} of what raises the name lies outside {of}"
    for mask in target.masks:
        yield "mask", _mask(mask, prediction)
    yield from _views(target.views)
    if target.decision:
        yield "decision", _decision(target.decision, prediction)
    yield from _error(target)
    yield from _slices(target.slices)


def _flags(prediction: Row) -> Iterator[Line]:
    reasons = prediction["flag_reasons"] or []
    words = [reason(name) for name in reasons if name != FlagReason.CONTROL]
    yield "flags", "; ".join(words) or "none"
    if prediction["inclusion_probability"] is None:
        return
    is_control = "a random control" if prediction["is_control"] else "no"
    chosen = "chosen" if prediction["is_selected"] else "not chosen"
    yield (
        "control",
        f"{is_control}; {chosen} for a mask, the probability of that was {prediction['inclusion_probability']:.3g}",
    )


def _mask(mask: Row, prediction: Row) -> str:
    contrast = f" against {mask['contrast_id']}" if mask["contrast_id"] else ""
    if mask["mask_status"] != MaskStatus.OK:
        return f"{mask['method']}{contrast}: {spaced(mask['mask_status'])}" + (
            f": {mask['failure_reason']}" if mask["failure_reason"] else ""
        )
    background = "how much of it is outside the animal is not known: no box"
    if prediction["detection_id"] is not None:
        background = "all of it in the animal's box, which is what the model saw"
        if prediction.get("frame_logits") is not None:
            background = "all of it in the animal's box; the whole frame has a part in the name too, and has no mask"
    if mask["background_reliance"] is not None:
        background = f"{percent(mask['background_reliance'])} of it outside the animal"
        background += _drop(mask["background_log_odds_drop"])
    overlay = None
    if mask["overlay_reliance"] is not None:
        overlay = f"{percent(mask['overlay_reliance'])} on burned-in strips" + _drop(mask["overlay_log_odds_drop"])
    area = f"the evidence for {mask['predicted_id']} covers {percent(mask['area'])} of the picture"
    return f"{mask['method']}{contrast}: " + "; ".join(part for part in (area, background, overlay) if part)


def _drop(value: float | None) -> str:
    """What the name loses without that part."""
    if value is None:
        return ""
    return f" (without, the log-odds {'fall' if value >= 0 else 'rise'} by {number(abs(value), 1)})"


def _views(views: Sequence[Row]) -> Iterator[Line]:
    """The views that gave a name, one line each; the others by the reason why they did not."""
    table = Table.grid(padding=(0, 2))
    for is_folded in (False, True, False, True):
        table.add_column(no_wrap=not is_folded, overflow="fold")
    table.columns[2].justify = "right"
    without: dict[str, list[str]] = {}
    for view in views:
        why = f": {view['reason']}" if view["reason"] else ""
        if view["strategy_status"] != StrategyStatus.OK:
            without.setdefault(spaced(view["strategy_status"]) + why, []).append(view["strategy"])
            continue
        note = STRATEGY_WORDS.get(view["strategy"], spaced(view["strategy"]))
        note += ("; another name" if view["is_flip"] else "") + why
        cells = (view["strategy"], view["predicted_id"] or "–", percent(view["probability"]), note)
        table.add_row(*(Text(printable(text)) for text in cells))
    if table.row_count:
        yield "views", table
    for why, strategies in without.items():
        yield "views", f"{', '.join(strategies)}: {why}"


def _decision(decision: Row, prediction: Row) -> str:
    why = f": {decision['reason']}" if decision["reason"] else ""
    if decision["strategy_status"] != StrategyStatus.OK or not decision["predicted_id"]:
        return f"{prediction['predicted_id'] or 'no name'} stays, {spaced(decision['strategy_status'])}{why}"
    change = "another name" if decision["is_flip"] else "the name stays"
    return f"{named_words(decision['predicted_id'], decision['probability'])}, {change}{why}"


def _suggestion(row: Row) -> str:
    """A name that is suggested and not certified, in words."""
    is_suggested = row["suggested_id"] is not None and not row["is_certified"]
    return f"; {row['suggested_id']} is suggested" if is_suggested else ""


def _error(target: TargetStory) -> Iterator[Line]:
    row = target.error
    if row is None:
        return
    if row["error_type"]:
        name, meaning = ERROR_WORDS.get(row["error_type"], (spaced(row["error_type"]), ""))
        text = f"{name}: {meaning}"
        related = RELATION_WORDS.get(row["relation"])
        if related and row["error_type"] == ErrorType.CORRECT:
            text = f"{name}: {row['predicted_id']} is {related}, {row['true_id']}"
        if row["error_type"] != ErrorType.CORRECT:
            text = f"{name} ({meaning}): {row['true_id']} is called {row['predicted_id'] or 'nothing'}"
            text += f"; the two are {related}" if related else ""
        after = "; the decision corrects it" if row["is_recovered"] else _suggestion(row)
        yield "error", text + (f"; the decision makes it wrong: {row['final_id']}" if row["is_broken"] else after)
    if row["cause"]:
        name, meaning = CAUSE_WORDS.get(row["cause"], (spaced(row["cause"]), ""))
        yield "cause", f"{name}: {row['cause_evidence'] or meaning}"
    if row["suspicion_reasons"]:
        yield "doubt", "; ".join(reason(name) for name in row["suspicion_reasons"])
    if row["is_current"] is False:
        yield "", "a newer run has named it again, so slices do not count this one"


def _slices(slices: Sequence[Row]) -> Iterator[Line]:
    systematic = [row for row in slices if row["is_systematic"]]
    explained = [_title(row) for row in systematic if row["folded_into"] is not None]
    others = [_title(row) for row in slices if not row["is_systematic"]]
    for row in systematic:
        if row["folded_into"] is None:
            yield "slices", f"systematic: {row['sentence'] or _title(row)}"
            if row["what_to_do"]:
                yield "", f"what to do: {row['what_to_do'].replace('`', '')}"
    if explained:
        yield "slices", f"{len(explained)} more, explained by a simpler one: {_some(explained)}"
    if others:
        yield "slices", f"{len(others)} without proof: {_some(others)}"


def _title(row: Row) -> str:
    return slice_title(row["slice"])


def _some(titles: Sequence[str]) -> str:
    return "; ".join(titles[:_MOST_SLICES]) + ("; ..." if len(titles) > _MOST_SLICES else "")


def box_text(x: float, y: float, width: float, height: float) -> str:
    """A box in words, as shares of the picture."""
    return f"x {x:.3f}, y {y:.3f}, width {width:.3f}, height {height:.3f}"


def spaced(name: str) -> str:
    """A value of a table as words, where it has no better ones."""
    return name.replace("_", " ")


def listed(parts: Iterable[str | None]) -> str:
    """Those parts that there are, with commas."""
    return ", ".join(part for part in parts if part)
