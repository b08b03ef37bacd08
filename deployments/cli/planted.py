"""The end of `trapaudit demo`: what was planted in its scenes, and what the audit found of it, by name."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from deployments.cli.printable import say
from scd_core.audit import connect
from scd_core.audit.wording import CAUSE_WORDS, plural, slice_title
from scd_core.names import Cause
from scd_core.scenes import Plant, World

__all__ = ["planted_and_found", "print_planted"]

_SLICES = """
SELECT slice, cause, confused_with FROM error_slices WHERE is_systematic AND folded_into IS NULL
ORDER BY n_errors DESC, slice_id
"""
_ERRORS = """
SELECT file, bool_or(error_type <> 'correct') FROM errors JOIN media USING (batch_key, media_id)
WHERE errors.is_current AND is_labelled GROUP BY file
"""


def print_planted(console: Console, world: World, scenes: Path, out: str) -> None:
    """Print what was planted in a world and what the newest report found of it.

    Args:
        console: where the lines go.
        world: the world of the scenes.
        scenes: folder of the scenes.
        out: OUT of their audit.
    """
    with (scenes / "truth" / "truth.csv").open(newline="") as handle:
        truth = list(csv.DictReader(handle))
    with connect(out) as audit:
        slices = [
            {"keys": dict(keys), "cause": cause, "confused_with": name}
            for keys, cause, name in audit.execute(_SLICES).fetchall()
        ]
        is_wrong = dict(audit.execute(_ERRORS).fetchall())
    for line in planted_and_found(world.plants, slices, truth, is_wrong):
        say(console, line)


def planted_and_found(
    plants: Sequence[Plant],
    slices: Sequence[dict[str, Any]],
    truth: Sequence[dict[str, str]],
    is_wrong: dict[str, bool],
) -> Iterator[str]:
    """The lines: each plant with the slices that name it, then the slices that name none.

    Args:
        plants: what was planted.
        slices: systematic errors that stand: ``keys``, ``cause``, ``confused_with``.
        truth: rows of the scenes' ``truth.csv``.
        is_wrong: file -> whether a labelled name in it is wrong.
    """
    yield "planted, and what was found of it:"
    named: list[int] = []
    for plant in plants:
        hits = [place for place, one in enumerate(slices) if plant.is_named_by(one["keys"], one["confused_with"])]
        named += hits
        yield f"  {plant.words}: {'; '.join(_found(slices[place], plant) for place in hits) or _missed(plant, truth, is_wrong)}"
    others = [one for place, one in enumerate(slices) if place not in named]
    if others:
        yield "found, and not planted: " + "; ".join(f"{slice_title(one['keys'])} ({_cause(one)})" for one in others)


def _found(one: dict[str, Any], plant: Plant) -> str:
    # Where no mask shows what stands there, that it is the place is right as well.
    right = (plant.cause, Cause.PLACE) if plant.kind in ("object", "overlay") else (plant.cause,)
    wanted = "" if one["cause"] in right else f", not {CAUSE_WORDS[plant.cause][0]}"
    return f"found, {slice_title(one['keys'])} (cause: {_cause(one)}{wanted})"


def _cause(one: dict[str, Any]) -> str:
    return CAUSE_WORDS.get(one["cause"], (one["cause"] or "none", ""))[0]


def _missed(plant: Plant, truth: Sequence[dict[str, str]], is_wrong: dict[str, bool]) -> str:
    """How much of it there was to find."""
    events: dict[str, bool] = {}
    for row in truth:
        if row["plant_id"] == plant.plant_id and row["file"] in is_wrong:
            events[row["event_id"]] = events.get(row["event_id"], False) or is_wrong[row["file"]]
    n, n_wrong = len(events), sum(events.values())
    if not n:
        return "not found; no event of these scenes is under it"
    under = f"{n} labelled {plural(n, 'event', 'events')} under it"
    return f"not found; {n_wrong} of {under} {plural(n_wrong, 'has', 'have')} a wrong name"
