"""What a slice's errors have in common: the name they are given, the cause, what masks recovered, examples, a sentence."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np
import pyarrow.compute as pc

from scd_core.audit.slices.data import SliceData, slice_members
from scd_core.config import SliceConfig

__all__ = ["describe", "slice_sentence"]

_KEY_CAUSES = {
    "quality": "image_quality",
    "flank": "flank",
    "pair": "confusable_pair",
    "labelled_by": "label_suspect",
}
"""Key of a slice -> the cause it stands for where the errors themselves show none."""


def describe(data: SliceData, row: dict[str, Any], config: SliceConfig) -> dict[str, Any]:
    """The columns of ``error_slices`` that tell a slice's errors apart from others.

    ``cause`` is the one most errors with evidence have (those that were masked, where at least two were), where it is at
    least half of them; else the one that the slice's own keys stand for (poor quality, a flank, a pair, a labeller); else
    ``unexplained``.

    Args:
        data: the labelled rows.
        row: the slice's row with its statistics.
        config: number of examples.
    """
    values = dict(row["slice"])
    wrong = slice_members(data, values).errors
    errors = data.rows.take(wrong)
    masked = errors.filter(errors["is_masked"])
    types = errors["error_type"].to_pylist()
    names = Counter(name for name in errors["predicted_id"].to_pylist() if name is not None)
    events = data.event[wrong]
    recovered = masked["is_recovered"].to_pylist()
    described: dict[str, Any] = {
        "error_type": Counter(types).most_common(1)[0][0],
        "confused_with": min(names, key=lambda name: (-names[name], name)) if names else None,
        "n_splits": _n_events(events, types, "split"),
        "n_combinations": _n_events(events, types, "combination"),
        "cause": _cause(values, errors["cause"].to_pylist(), masked["cause"].to_pylist()),
        "background_reliance": pc.mean(masked["background_reliance"]).as_py(),
        "recovered_rate": sum(recovered) / len(recovered) if recovered else None,
        "first_seen": pc.min(errors["captured_at"]).as_py(),
        "last_seen": pc.max(errors["captured_at"]).as_py(),
    }
    described["example_media_ids"] = _examples(errors, events, config.examples, described["cause"])
    n_recovered = (sum(recovered), len(recovered)) if recovered else None
    return described | {"sentence": slice_sentence(row | described, _light(data, wrong, values), n_recovered)}


def _n_events(events: np.ndarray, types: list[str], error_type: str) -> int:
    return len({event for event, found in zip(events.tolist(), types, strict=True) if found == error_type})


def _cause(values: dict[str, str], all_causes: list[str], masked_causes: list[str]) -> str:
    with_evidence = masked_causes if len(masked_causes) >= 2 else all_causes
    cause, n = Counter(with_evidence).most_common(1)[0]
    if cause != "unexplained" and n >= len(with_evidence) / 2:
        return cause
    if values.get("quality") == "good":
        values = {key: value for key, value in values.items() if key != "quality"}
    return next((_KEY_CAUSES[key] for key in _KEY_CAUSES if key in values), "unexplained")


def _examples(errors: Any, events: np.ndarray, n: int, cause: str) -> list[str]:
    """Media of errors of different events: those of the slice's cause first, of these the recovered ones, then masked ones,
    then those the model was sure of."""
    recovered, masked = errors["is_recovered"].to_pylist(), errors["is_masked"].to_pylist()
    causes = errors["cause"].to_pylist()
    probability, media = errors["probability"].to_pylist(), errors["media_id"].to_pylist()
    order = sorted(
        range(len(media)),
        key=lambda place: (
            causes[place] != cause,
            not recovered[place],
            not masked[place],
            -(probability[place] or 0),
            media[place],
        ),
    )
    chosen: dict[int, str] = {}
    for place in order:
        chosen.setdefault(int(events[place]), media[place])
        if len(chosen) >= n:
            break
    return list(chosen.values())[:n]


def _light(data: SliceData, errors: np.ndarray, values: dict[str, str]) -> str | None:
    """The light that at least nine tenths of the errors have, where not all labelled pictures do."""
    if "light" in values or "hour" in values:
        return None
    codes = data.codes["light"][errors]
    code, n = Counter(codes.tolist()).most_common(1)[0]
    is_told = code >= 0 and n >= 0.9 * codes.size and np.mean(data.codes["light"] == code) < 0.7
    return data.values["light"][code] if is_told else None


_PLACES = {
    "camera_id": "at camera {}",
    "deployment_id": "in deployment {}",
    "light": "{}",
    "hour": "between {} and the next full hour",
    "quality": "on {} pictures",
    "flank": "seen from the {}",
    "model_digest": "with model {:.12}",
    "labelled_by": "labelled by {}",
}
_LIGHTS = {"day": "by day", "night": "by night", "infrared": "in infrared"}


def slice_sentence(row: dict[str, Any], light: str | None = None, n_recovered: tuple[int, int] | None = None) -> str:
    """The slice in one plain sentence.

    Args:
        row: row of ``error_slices`` with its statistics and description.
        light: light that nearly all of its errors share, where the slice itself does not tell.
        n_recovered: of its wrong pictures, those that masks corrected and those that were masked; None where none was.

    >>> slice_sentence({"slice": [("camera_id", "C07"), ("true_id", "Luna")], "n_errors": 41, "n_events": 52,
    ...     "error_rate": 0.79, "ci_low": 0.66, "ci_high": 0.88, "baseline_rate": 0.05, "confused_with": "Nyx",
    ...     "cause": "background", "error_type": "shift"}, "night", (33, 41))
    'At camera C07, mostly by night, 41 of 52 events of Luna are misnamed, mostly as Nyx: 79 % (66-88 %) against 5 % \
elsewhere; the evidence lies on the background; masking it out corrects 33 of 41 pictures.'
    """
    values = dict(row["slice"])
    where = []
    for key, words in _PLACES.items():
        if key in values:
            value = values[key]
            where.append(
                _LIGHTS[value] if key == "light" else words.format(value[:2] + ":00" if key == "hour" else value)
            )
    if light:
        where.append(f"mostly {_LIGHTS[light]}")
    subject = "events"
    verb = "are misnamed"
    if "pair" in values:
        true, name = values["pair"].split(" -> ", 1)
        subject, verb = f"events of {true}", f"are called {name}"
    else:
        if "true_id" in values:
            subject = f"events of {values['true_id']}"
        if "predicted_id" in values:
            subject, verb = f"events called {values['predicted_id']}", "are someone else"
        elif row["confused_with"]:
            verb += f", mostly as {row['confused_with']}"
    start = f"{', '.join(where)}, " if where else ""
    text = (
        f"{start}{row['n_errors']} of {row['n_events']} {subject} {verb}: {100 * row['error_rate']:.0f} % "
        f"({100 * row['ci_low']:.0f}-{100 * row['ci_high']:.0f} %)"
    )
    if "predicted_id" not in values:
        text += f" against {100 * row['baseline_rate']:.0f} % elsewhere"
    else:
        # What share of a name's calls is wrong depends on how often its owner comes by, so how often it is called counts.
        others = "elsewhere" if len(values) > 1 else "the other names are"
        is_told = math.isfinite(row["lift"])
        text += (
            f", wrongly given {row['lift']:.0f} times as often as {others}"
            if is_told
            else ", and never wrongly elsewhere"
        )
    if reason := _REASONS.get(row["cause"]):
        text += f"; {reason}"
    if n_recovered is not None:
        it = " it out" if row["cause"] in ("background", "overlay") else ""
        text += f"; masking{it} corrects {n_recovered[0]} of {n_recovered[1]} {'picture' if n_recovered[1] == 1 else 'pictures'}"
    return text[0].upper() + text[1:] + "."


_REASONS = {
    "background": "the evidence lies on the background",
    "overlay": "the evidence lies on the burned-in strip",
    "confusable_pair": "the individuals look alike to the model",
    "image_quality": "the pictures are poor for their camera",
    "flank": "one flank is misread",
    "label_suspect": "the labels are in doubt",
}
