"""One picture's story as text for a screen: what happened to it, in the words of the report."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from deployments.cli.printable import printable
from scd_core.audit.query.picture import PictureStory, TargetStory
from scd_core.audit.wording import (
    CAUSE_WORDS,
    ERROR_WORDS,
    LABEL_WORDS,
    PREDICTION_WORDS,
    STATUS_WORDS,
    STRATEGY_WORDS,
    TIME_WORDS,
    moment,
    number,
    percent,
    plural,
    reason,
    slice_title,
)
from scd_core.boxes import WHOLE, box_from_row
from scd_core.names import ErrorType, FlagReason, LabelStatus, MaskStatus, MediaStatus, PredictionStatus, StrategyStatus

__all__ = ["story_view"]

Row = Mapping[str, Any]
_MOST_SLICES = 5
"""Slices without proof that are named; the rest is counted."""
_MOST_RUNS = 10


def story_view(story: PictureStory, out: str) -> RenderableType:
    """The whole story, to be printed by rich; nothing in it is read as markup.

    Args:
        story: the picture's story.
        out: OUT as the user wrote it, for the commands that are advised.
    """
    parts: list[RenderableType] = [Text(printable(story.media["file"]), style="bold"), _lines(_media(story, out))]
    n = len(story.targets)
    for place, target in enumerate(story.targets, 1):
        box = target.prediction["detection_id"]
        title = "The whole picture" if box is None else f"Box {printable(str(box))}" + f" ({place} of {n})" * (n > 1)
        parts += [Text(""), Text(title, style="bold"), _lines(_target(target, story.n_frames))]
    parts += [Text(""), Text("Labels, run", style="bold"), _lines([*_labels(story, out), *_runs(story)])]
    return Group(*parts)


Line = tuple[str, "str | RenderableType"]


def _lines(lines: Iterable[Line]) -> Table:
    """Names at the left, each once where several lines follow; values wrapped beside them."""
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True, min_width=10, style="cyan")
    table.add_column(overflow="fold")
    last = ""
    for name, value in lines:
        table.add_row("" if name == last else f"  {name}", Text(printable(value)) if isinstance(value, str) else value)
        last = name
    return table


def _media(story: PictureStory, out: str) -> Iterator[Line]:
    media = story.media
    yield "media", media["media_id"]
    yield "address", media["uri"]
    status = STATUS_WORDS.get(media["status"], _words(media["status"]))
    if media["status"] in (MediaStatus.OK, MediaStatus.DUPLICATE):
        size = f"{media['width']} × {media['height']} pixels" if media["width"] else None
        yield "state", _listed([status, media["format"], size, _size(media["size_bytes"])])
    else:
        stage = f" (at {media['failure_stage']})" if media["failure_stage"] else ""
        yield "state", f"{status}{stage}" + (f": {media['failure_reason']}" if media["failure_reason"] else "")
    if media["duplicate_of"] is not None:
        first = story.original["file"] if story.original else "a picture that is not in OUT"
        yield "", f"its names and labels are those of {first}: trapaudit show {out} {media['duplicate_of']}"
    yield "taken", _taken(media)
    if media["clock_doubt"]:
        yield "clock", f"in doubt: {media['clock_doubt']}"
    place = [f"{name} {media[f'{name}_id']}" for name in ("camera", "deployment", "site") if media[f"{name}_id"]]
    if media["latitude"] is not None and media["longitude"] is not None:
        place.append(f"{media['latitude']:.5f}, {media['longitude']:.5f}")
    yield "place", _listed(place) or "unknown"
    if media["event_id"]:
        frames = f", {story.n_frames} {plural(story.n_frames, 'frame', 'frames')}" if story.n_frames else ""
        yield "event", f"{media['event_id']}{frames}"
    yield from _hidden(story.targets)


def _taken(media: Row) -> str:
    if media["captured_at"] is None:
        found = media["time_not_understood"]
        return f"unknown: EXIF has {found!r}, which is not understood" if found else "unknown"
    source = media["captured_at_source"]
    offset = media["utc_offset_minutes"]
    zone = None
    if offset is not None:
        zone = f"UTC{'-' if offset < 0 else '+'}{abs(offset) // 60:02d}:{abs(offset) % 60:02d}"
    parts = [
        f"{media['captured_at']:%Y-%m-%d %H:%M:%S} on the camera's clock",
        TIME_WORDS.get(source, f"from {_words(source)}") if source else None,
        zone,
        "infrared" if media["is_infrared"] else None,
    ]
    return _listed(parts)


def _hidden(targets: Sequence[TargetStory]) -> Iterator[Line]:
    if not targets:
        return
    boxes = targets[0].prediction["hidden_boxes"]
    if boxes is None:
        yield "hidden", "nothing is known: no detections were given"
    elif boxes:
        found = [(box["x_min"], box["y_min"], box["width"], box["height"]) for box in boxes]
        places = "; ".join("the whole picture" if box == WHOLE else _box(*box) for box in found)
        yield "hidden", f"{len(boxes)} {plural(len(boxes), 'box', 'boxes')} neither classified nor shown: {places}"


def _target(target: TargetStory, n_frames: int | None) -> Iterator[Line]:
    prediction = target.prediction
    box = box_from_row(prediction)
    if box is not None:
        sure = prediction["detection_confidence"]
        yield "box", _box(*box) + (f", detector {percent(sure)} sure" if sure is not None else "")
    status = prediction["prediction_status"]
    if status == PredictionStatus.OK:
        yield "name", f"{prediction['predicted_id']} {percent(prediction['probability'])}"
        others = [
            f"{one['individual_id']} {percent(one['probability'])}"
            for one in prediction["topk"] or ()
            if one["individual_id"] != prediction["predicted_id"]
        ]
        if others:
            yield "next", _listed(others[:4])
    else:
        why = prediction["failure_reason"]
        yield "name", f"no name: {why}" if why else PREDICTION_WORDS.get(status, f"no name: {_words(status)}")
    if prediction["event_predicted_id"] and n_frames != 1:
        yield "event", f"all frames together: {prediction['event_predicted_id']}"
    if prediction["candidate_id"]:
        rank = f", place {prediction['review_rank']} in review" if prediction["review_rank"] else ""
        yield "unknown", f"may be a new individual: group {prediction['candidate_id']}{rank}"
    yield from _flags(prediction)
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
        return f"{mask['method']}{contrast}: {_words(mask['mask_status'])}" + (
            f": {mask['failure_reason']}" if mask["failure_reason"] else ""
        )
    background = "how much of it is outside the animal is not known: no box"
    if prediction["detection_id"] is not None:
        background = "all of it in the animal's box, which is what the model saw"
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
            without.setdefault(_words(view["strategy_status"]) + why, []).append(view["strategy"])
            continue
        note = STRATEGY_WORDS.get(view["strategy"], _words(view["strategy"]))
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
        return f"{prediction['predicted_id'] or 'no name'} stays, {_words(decision['strategy_status'])}{why}"
    change = "another name" if decision["is_flip"] else "the name stays"
    return f"{decision['predicted_id']} {percent(decision['probability'])}, {change}{why}"


def _error(target: TargetStory) -> Iterator[Line]:
    row = target.error
    if row is None:
        return
    if row["error_type"]:
        name, meaning = ERROR_WORDS.get(row["error_type"], (_words(row["error_type"]), ""))
        text = f"{name}: {meaning}"
        if row["error_type"] != ErrorType.CORRECT:
            text = f"{name} ({meaning}): {row['true_id']} is called {row['predicted_id'] or 'nothing'}"
        after = "; the decision corrects it" if row["is_recovered"] else ""
        yield "error", text + (f"; the decision makes it wrong: {row['final_id']}" if row["is_broken"] else after)
    if row["cause"]:
        name, meaning = CAUSE_WORDS.get(row["cause"], (_words(row["cause"]), ""))
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
    if explained:
        yield "slices", f"{len(explained)} more, explained by a simpler one: {_some(explained)}"
    if others:
        yield "slices", f"{len(others)} without proof: {_some(others)}"


def _title(row: Row) -> str:
    return slice_title(row["slice"])


def _some(titles: Sequence[str]) -> str:
    return "; ".join(titles[:_MOST_SLICES]) + ("; ..." if len(titles) > _MOST_SLICES else "")


def _labels(story: PictureStory, out: str) -> Iterator[Line]:
    for label in story.labels:
        name = label["individual_id"] or _words(label["state"] or "no name")
        of_box = f"box {label['detection_id']}: " if label["detection_id"] is not None else ""
        flank = f" ({label['flank']} flank)" if label["flank"] else ""
        by = f"by {label['labelled_by'] or 'somebody'}"
        source = f"{label['label_source']}, import {label['import_id']} of {moment(label['imported_at'])} UTC"
        counts = LABEL_WORDS.get(label["status"], _words(label["status"]))
        if label["names_no_box"] and label["status"] in (LabelStatus.NEWEST, LabelStatus.SEVERAL):
            counts = "counts for no box, for it names none of them"
        at = f"{moment(label['labelled_at'])} UTC"
        yield "labels", f"{of_box}{name}{flank} {by}, {at} ({source}): {counts}"
    if not story.labels:
        yield "labels", "none"
    if story.report is None:
        yield "report", f"none yet, so no errors and slices are known: trapaudit report {out}"
    elif story.report["is_older"]:
        yield (
            "report",
            f"of {moment(story.report['made_at'])} UTC, older than the newest label or run here: trapaudit report {out}",
        )
    else:
        yield "report", f"of {moment(story.report['made_at'])} UTC"


def _runs(story: PictureStory) -> Iterator[Line]:
    run = story.run
    versions = json.loads(run["versions"]) if run["versions"] else {}
    made_by = f"trapaudit {versions['trapaudit']}" if "trapaudit" in versions else None
    yield "run", _listed([run["run_id"], f"finished {_finished(run)}", made_by, run["device"]])
    yield "", _listed([f"batch {run['batch_key']}", f"SOURCE {run['source']}" if run["source"] else None])
    names = f"{run['n_individuals']} names" if run["n_individuals"] else None
    yield "model", _listed([run["model_digest"], names])
    for other in story.other_runs[:_MOST_RUNS]:
        named = [
            f"box {one['detection_id']}: {_name(one)}" if one["detection_id"] is not None else _name(one)
            for one in other["names"]
        ]
        same = (
            "the same model" if other["model_digest"] == run["model_digest"] else f"model {other['model_digest']:.12}"
        )
        found = _listed(named) or STATUS_WORDS.get(other["status"], _words(other["status"]))
        yield "before", f"{_finished(other)}, {same}, run {other['run_id']}: {found}"
    if (n := len(story.other_runs) - _MOST_RUNS) > 0:
        yield "before", f"{n} more {plural(n, 'run', 'runs')}"


def _name(one: Row) -> str:
    if one["predicted_id"] is None:
        return PREDICTION_WORDS.get(one["prediction_status"], _words(one["prediction_status"]))
    after = f", decision {one['final_id']}" if one["final_id"] != one["predicted_id"] else ""
    return f"{one['predicted_id']} {percent(one['probability'])}{after}"


def _finished(run: Row) -> str:
    return f"{moment(run['finished_at'])} UTC" if run["finished_at"] else "at a time that is not known"


def _box(x: float, y: float, width: float, height: float) -> str:
    return f"x {x:.3f}, y {y:.3f}, width {width:.3f}, height {height:.3f}"


def _size(size: int | None) -> str | None:
    if size is None:
        return None
    return f"{size} bytes" if size < 1000 else f"{size / 1e3:.0f} kB" if size < 1e6 else f"{size / 1e6:.1f} MB"


def _words(name: str) -> str:
    return name.replace("_", " ")


def _listed(parts: Iterable[str | None]) -> str:
    return ", ".join(part for part in parts if part)
