"""What a slice's errors have in common: the name they are given, the cause, what masks recovered, examples, a sentence."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pyarrow.compute as pc

from scd_core.audit.slices.data import PAIR, SliceData, slice_members, wrong_rows
from scd_core.audit.slices.tested import TestedSlice
from scd_core.config import SliceConfig
from scd_core.names import Cause, ErrorType, Quality
from scd_core.tables.rows import SliceRow

__all__ = ["describe"]

_KEY_CAUSES = {
    "quality": Cause.IMAGE_QUALITY,
    "flank": Cause.FLANK,
    "pair": Cause.CONFUSABLE_PAIR,
    "labelled_by": Cause.LABEL_SUSPECT,
}
"""Key of a slice -> its cause where the errors themselves show none."""


def describe(data: SliceData, tested: TestedSlice, config: SliceConfig) -> SliceRow:
    """What a slice's errors have in common: the columns of ``error_slices`` that are no statistics.

    ``cause`` is the one most errors with evidence have (those that were masked, where at least two were), where it is at
    least half of them; else that of the slice's own keys (poor quality, a flank, a pair, a labeller); else ``unexplained``.

    Args:
        data: the labelled rows.
        tested: the slice.
        config: number of examples.
    """
    values = dict(tested.slice)
    members = slice_members(data, values)
    wrong = wrong_rows(data, members)
    errors = data.rows.take(wrong)
    masked = errors.filter(errors["is_masked"])
    types = errors["error_type"].to_pylist()
    names = Counter(name for name in errors["predicted_id"].to_pylist() if name is not None)
    confused_with = min(names, key=lambda name: (-names[name], name)) if names else None
    events = data.visit[wrong]
    cause = _cause(values, errors["cause"].to_pylist(), masked["cause"].to_pylist())
    recovered = masked["is_recovered"].to_pylist()
    n_recovered = (sum(recovered), len(recovered)) if recovered else None
    return {
        "error_type": Counter(types).most_common(1)[0][0],
        "confused_with": confused_with,
        "n_splits": _n_events(events, types, ErrorType.SPLIT),
        "n_combinations": _n_events(events, types, ErrorType.COMBINATION),
        "cause": cause,
        "background_reliance": pc.mean(masked["background_reliance"]).as_py(),
        "recovered_rate": sum(recovered) / len(recovered) if recovered else None,
        "first_seen": pc.min(errors["captured_at"]).as_py(),
        "last_seen": pc.max(errors["captured_at"]).as_py(),
        "example_media_ids": _examples(errors, events, config.examples, cause),
        "sentence": _sentence(tested, cause, confused_with, _light(data, members.errors, values), n_recovered),
    }


def _n_events(events: np.ndarray, types: list[str], error_type: str) -> int:
    return len({event for event, found in zip(events.tolist(), types, strict=True) if found == error_type})


def _cause(values: dict[str, str], all_causes: list[str], masked_causes: list[str]) -> str:
    with_evidence = masked_causes if len(masked_causes) >= 2 else all_causes
    cause, n = Counter(with_evidence).most_common(1)[0]
    if cause != Cause.UNEXPLAINED and n >= len(with_evidence) / 2:
        return cause
    if values.get("quality") == Quality.GOOD:
        values = {key: value for key, value in values.items() if key != "quality"}
    return next((_KEY_CAUSES[key] for key in _KEY_CAUSES if key in values), Cause.UNEXPLAINED)


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
    is_shared = code >= 0 and n >= 0.9 * codes.size and np.mean(data.codes["light"] == code) < 0.7
    return data.values["light"][code] if is_shared else None


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


def _sentence(
    tested: TestedSlice,
    cause: str,
    confused_with: str | None = None,
    light: str | None = None,
    n_recovered: tuple[int, int] | None = None,
) -> str:
    """The slice in one plain sentence.

    Args:
        tested: the slice with its statistics.
        cause: cause of its errors.
        confused_with: name given most often.
        light: light that nearly all of its errors share, where it is no key of the slice.
        n_recovered: of its wrong pictures, those that masks corrected and those that were masked; None where none was.

    >>> slice = TestedSlice("5e1f", [("camera_id", "C07"), ("true_id", "Luna")], "camera_id+true_id", n_events=52, n_images=80,
    ...     n_errors=41, exposure=52.0, n_effective=50.0, error_rate=0.79, ci_low=0.66, ci_high=0.88, baseline_rate=0.05,
    ...     lift=15.8, p_value=1e-9, n_tests=100)
    >>> _sentence(slice, "background", "Nyx", "night", (33, 41))
    'At camera C07, mostly by night, 41 of 52 events of Luna are misnamed, mostly as Nyx: 79 % (66-88 %) against 5 % \
elsewhere; the evidence lies on the background; masking it out corrects 33 of 41 pictures.'
    """
    values = dict(tested.slice)
    subject, verb = _subject(values, confused_with)
    where = _circumstances(values, light)
    start = f"{', '.join(where)}, " if where else ""
    text = (
        f"{start}{tested.n_errors} of {tested.n_events} {subject} {verb}: {100 * tested.error_rate:.0f} % "
        f"({100 * tested.ci_low:.0f}-{100 * tested.ci_high:.0f} %)"
    )
    others = "of each other name, on average" if values.keys() == {"predicted_id"} else "elsewhere"
    text += f" against {100 * tested.baseline_rate:.0f} % {others}"
    if reason := _REASONS.get(cause):
        text += f"; {reason}"
    if n_recovered is not None:
        it = " it out" if cause in (Cause.BACKGROUND, Cause.OVERLAY) else ""
        text += f"; masking{it} corrects {n_recovered[0]} of {n_recovered[1]} {'picture' if n_recovered[1] == 1 else 'pictures'}"
    return text[0].upper() + text[1:] + "."


def _circumstances(values: dict[str, str], light: str | None) -> list[str]:
    """Where, when and how a slice's pictures were taken, in words."""
    where = []
    for key, wording in _PLACES.items():
        if key in values:
            value = values[key]
            where.append(
                _LIGHTS[value] if key == "light" else wording.format(value[:2] + ":00" if key == "hour" else value)
            )
    return [*where, f"mostly {_LIGHTS[light]}"] if light else where


def _subject(values: dict[str, str], confused_with: str | None) -> tuple[str, str]:
    """Which events a sentence is about, and what is wrong with them."""
    if "pair" in values:
        true, name = values["pair"].split(PAIR, 1)
        return f"events of {true}", f"are called {name}"
    if "predicted_id" in values:
        return f"events of others than {values['predicted_id']}", f"are called {values['predicted_id']}"
    subject = f"events of {values['true_id']}" if "true_id" in values else "events"
    return subject, f"are misnamed, mostly as {confused_with}" if confused_with else "are misnamed"


_REASONS: dict[str, str] = {
    Cause.BACKGROUND: "the evidence lies on the background",
    Cause.OVERLAY: "the evidence lies on the burned-in strip",
    Cause.CONFUSABLE_PAIR: "the individuals look alike to the model",
    Cause.IMAGE_QUALITY: "the pictures are poor for their camera",
    Cause.FLANK: "one flank is misread",
    Cause.LABEL_SUSPECT: "the labels are in doubt",
}
