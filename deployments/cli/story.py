"""One picture's story as text for a screen: what happened to it, in the words of the report."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from deployments.cli.printable import printable
from deployments.cli.story_target import Line, Row, box_text, listed, spaced, target_lines
from scd_core.audit.query.picture import PictureStory, TargetStory
from scd_core.audit.wording import (
    LABEL_WORDS,
    PREDICTION_WORDS,
    STATUS_WORDS,
    TIME_WORDS,
    moment,
    named_words,
    plural,
)
from scd_core.boxes import WHOLE
from scd_core.label_names import LabelStatus
from scd_core.names import MediaStatus

__all__ = ["story_view"]

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
        parts += [Text(""), Text(title, style="bold"), _lines(target_lines(target, story.n_frames))]
    parts += [Text(""), Text("Labels, run", style="bold"), _lines([*_labels(story, out), *_runs(story)])]
    return Group(*parts)


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
    status = STATUS_WORDS.get(media["status"], spaced(media["status"]))
    if media["status"] in (MediaStatus.OK, MediaStatus.DUPLICATE):
        size = f"{media['width']} × {media['height']} pixels" if media["width"] else None
        yield "state", listed([status, media["format"], size, _size(media["size_bytes"])])
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
    yield "place", listed(place) or "unknown"
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
        TIME_WORDS.get(source, f"from {spaced(source)}") if source else None,
        zone,
        "infrared" if media["is_infrared"] else None,
    ]
    return listed(parts)


def _hidden(targets: Sequence[TargetStory]) -> Iterator[Line]:
    if not targets:
        return
    boxes = targets[0].prediction["hidden_boxes"]
    if boxes is None:
        yield "hidden", "nothing is known: no detections were given"
    elif boxes:
        found = [(box["x_min"], box["y_min"], box["width"], box["height"]) for box in boxes]
        places = "; ".join("the whole picture" if box == WHOLE else box_text(*box) for box in found)
        yield "hidden", f"{len(boxes)} {plural(len(boxes), 'box', 'boxes')} neither classified nor shown: {places}"


def _labels(story: PictureStory, out: str) -> Iterator[Line]:
    for label in story.labels:
        name = label["individual_id"] or spaced(label["state"] or "no name")
        of_box = f"box {label['detection_id']}: " if label["detection_id"] is not None else ""
        flank = f" ({label['flank']} flank)" if label["flank"] else ""
        by = f"by {label['labelled_by'] or 'somebody'}"
        source = f"{label['label_source']}, import {label['import_id']} of {moment(label['imported_at'])} UTC"
        counts = LABEL_WORDS.get(label["status"], spaced(label["status"]))
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
    yield "run", listed([run["run_id"], f"finished {_finished(run)}", made_by, run["device"]])
    yield "", listed([f"batch {run['batch_key']}", f"SOURCE {run['source']}" if run["source"] else None])
    names = f"{run['n_individuals']} names" if run["n_individuals"] else None
    yield "model", listed([run["model_name"], run["model_digest"], names])
    for other in story.other_runs[:_MOST_RUNS]:
        named = [
            f"box {one['detection_id']}: {_name(one)}" if one["detection_id"] is not None else _name(one)
            for one in other["names"]
        ]
        same = (
            "the same model"
            if other["model_digest"] == run["model_digest"]
            else f"{other['model_name'] or 'model'} {other['model_digest']:.12}"
        )
        found = listed(named) or STATUS_WORDS.get(other["status"], spaced(other["status"]))
        yield "before", f"{_finished(other)}, {same}, run {other['run_id']}: {found}"
    if (n := len(story.other_runs) - _MOST_RUNS) > 0:
        yield "before", f"{n} more {plural(n, 'run', 'runs')}"


def _name(one: Row) -> str:
    if one["predicted_id"] is None:
        return PREDICTION_WORDS.get(one["prediction_status"], spaced(one["prediction_status"]))
    after = f", suggested {one['suggested_id']}" if one["suggested_id"] is not None else ""
    return f"{named_words(one['predicted_id'], one['probability'])}{after}"


def _finished(run: Row) -> str:
    return f"{moment(run['finished_at'])} UTC" if run["finished_at"] else "at a time that is not known"


def _size(size: int | None) -> str | None:
    if size is None:
        return None
    return f"{size} bytes" if size < 1000 else f"{size / 1e3:.0f} kB" if size < 1e6 else f"{size / 1e6:.1f} MB"
