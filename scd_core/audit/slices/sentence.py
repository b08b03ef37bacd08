"""A slice in one plain sentence: each part of it is a count or a rate of the slice's rows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from scd_core.audit.slices.data import PAIR
from scd_core.audit.slices.onset import onset_words
from scd_core.audit.slices.tested import TestedSlice
from scd_core.audit.wording import RELATION_WORDS, week_words
from scd_core.names import Cause

__all__ = ["Common", "is_weighted", "sentence"]


@dataclass(frozen=True)
class Common:
    """What the errors of a slice have in common."""

    cause: str
    n_of_cause: int = 0
    """Wrong pictures that have the cause."""
    n_seen: int = 0
    """Wrong pictures in which it could be seen: masked ones for what only masks show, those of known flank, else all."""
    confused_with: str | None = None
    """Name that more than half of the wrong visits are given."""
    light: str | None = None
    """Light that nearly all errors share, where it is no key of the slice."""
    flanks: tuple[str, int, int, int, int] | None = None
    """The flank that errs more: its visits that err, all of them, those of the other one that err, all of them."""
    n_recovered: int = 0
    """Wrong pictures that masks corrected."""
    n_suggested: int = 0
    """Wrong pictures for which the right name is suggested only."""
    n_masked: int = 0
    """Wrong pictures that were masked."""
    first_error: datetime | None = None
    """When the first of them was taken."""
    relation: str | None = None
    """How each wrong name is related to the true one, where that is the same in all wrong pictures."""


_PLACES = {
    "camera_id": "at camera {}",
    "deployment_id": "in deployment {}",
    "light": "{}",
    "hour": "between {} and the next full hour",
    "quality": "on {} pictures",
    "flank": "seen from the {}",
    "model_digest": "with model {:.12}",
    "labelled_by": "labelled by {}",
    "week": "in {}",
}
_LIGHTS = {"day": "by day", "night": "by night", "infrared": "in infrared"}
_SAME = 0.01
"""Difference between a rate and the share of the counts beside it from which on the weights are explained."""


def sentence(tested: TestedSlice, common: Common) -> str:
    """The slice in one plain sentence.

    Args:
        tested: the slice with its statistics.
        common: what its errors have in common.

    >>> slice = TestedSlice("5e1f", [("camera_id", "C07"), ("true_id", "Luna")], "camera_id+true_id", n_events=52, n_images=80,
    ...     n_errors=41, exposure=52.0, n_effective=50.0, error_rate=0.79, ci_low=0.66, ci_high=0.88, baseline_rate=0.05,
    ...     lift=15.8, p_value=1e-9, n_tests=100)
    >>> sentence(slice, Common("background", 30, 41, "Nyx", "night", n_recovered=33, n_masked=41))
    'At camera C07, mostly by night, 41 of 52 visits of Luna are misnamed, mostly as Nyx: 79 % (66-88 %) against 5 % of the \
others; the evidence lies on the background in 30 of 41 masked pictures; masks correct 33 of 41 pictures.'
    """
    values = dict(tested.slice)
    subject, verb = _subject(values, common.confused_with)
    where = _circumstances(values, common.light)
    start = f"{', '.join(where)}, " if where else ""
    text = f"{start}{tested.n_errors} of {tested.n_events} {subject} {verb}{_rate(tested)}{_against(tested, values)}"
    text += "".join(
        f"; {part}"
        for part in (_related(common), _reason(common, values), _masks(common), _since(tested, common))
        if part
    )
    return text[0].upper() + text[1:] + "."


def is_weighted(n_errors: int, n_events: int, rate: float) -> bool:
    """Whether a rate differs from the counts that stand beside it, so that its weights have to be explained.

    >>> is_weighted(22, 42, 0.32), is_weighted(22, 42, 0.52)
    (True, False)
    """
    return abs(rate - n_errors / max(1, n_events)) >= _SAME


def _rate(tested: TestedSlice) -> str:
    interval = f"{_percent(tested.error_rate)} % ({_percent(tested.ci_low)}-{_percent(tested.ci_high)} %)"
    if tested.is_lower_bound:
        # What was looked at without a label counts as right.
        return (
            f"; only flagged ones are labelled, so that is at least {_percent(tested.error_rate)} % of all such visits"
        )
    if not is_weighted(tested.n_errors, tested.n_events, tested.error_rate):
        return f": {interval}"
    return f"; with each picture weighted by its chance to be labelled, that is {interval} of all such events"


def _against(tested: TestedSlice, values: dict[str, str]) -> str:
    others = "as each other name, on average" if values.keys() == {"predicted_id"} else "of the others"
    return f" against {_percent(tested.baseline_rate)} % {others}"


def _percent(share: float) -> str:
    """A share in percent, one digit after the point where it would be 0 otherwise."""
    return (
        f"{100 * share:.0f}" if share == 0 or share >= 0.005 else f"{100 * share:.1g}" if share >= 0.0005 else "< 0.1"
    )


def _circumstances(values: dict[str, str], light: str | None) -> list[str]:
    """Where, when and how a slice's pictures were taken, in words."""
    where = []
    for key, wording in _PLACES.items():
        if key in values:
            value = week_words(values[key]) if key == "week" else values[key]
            where.append(
                _LIGHTS[value] if key == "light" else wording.format(value[:2] + ":00" if key == "hour" else value)
            )
    return [*where, f"mostly {_LIGHTS[light]}"] if light else where


def _subject(values: dict[str, str], confused_with: str | None) -> tuple[str, str]:
    """Which visits a sentence is about, and what is wrong with them."""
    if "pair" in values:
        true, name = values["pair"].split(PAIR, 1)
        return f"visits of {true}", f"are called {name}"
    if "predicted_id" in values:
        return f"visits of others than {values['predicted_id']}", f"are called {values['predicted_id']}"
    subject = f"visits of {values['true_id']}" if "true_id" in values else "visits"
    return subject, f"are misnamed, mostly as {confused_with}" if confused_with else "are misnamed"


def _since(tested: TestedSlice, common: Common) -> str | None:
    """When it began, where a change is seen."""
    if not (tested.onset and tested.onset_low and tested.onset_high and common.first_error):
        return None
    return onset_words(tested.onset, tested.onset_low, tested.onset_high, common.first_error)


def _reason(common: Common, values: dict[str, str]) -> str | None:
    """The cause, with the share of the wrong pictures that have it."""
    of = f"in {common.n_of_cause} of {common.n_seen} {_pictures(common.n_seen)}"
    masked = f"in {common.n_of_cause} of {common.n_seen} masked {_pictures(common.n_seen)}"
    seen = of if common.n_seen > common.n_masked else masked  # a gradient shows the background without a mask
    who = "the two" if "pair" in values or ("true_id" in values and common.confused_with) else "the individuals"
    if common.cause == Cause.FLANK and common.flanks is not None:
        flank, x, n, x_others, n_others = common.flanks
        return f"the {flank} flank is misread in {x} of {n} visits, the other one in {x_others} of {n_others}"
    return {
        Cause.BACKGROUND: f"the evidence lies on the background {seen}",
        Cause.OVERLAY: f"the evidence lies on the burned-in strip {masked}",
        Cause.PLACE: f"{of} it is a name that several individuals are given at that place",
        Cause.CONFUSABLE_PAIR: f"{who} look alike to the model {of}",
        Cause.IMAGE_QUALITY: f"the picture is poor {of}",
        Cause.LABEL_SUSPECT: f"other people at the same place name the individual as the model does, {of}",
    }.get(Cause(common.cause))


def _related(common: Common) -> str | None:
    return f"the true and the given name are {RELATION_WORDS[common.relation]} each time" if common.relation else None


def _masks(common: Common) -> str | None:
    if not common.n_masked:
        return None
    of = f"{common.n_masked} {_pictures(common.n_masked)}"
    if common.n_suggested:  # nothing is certified, or only the surest are
        suggest = f"masks suggest the right name for {common.n_suggested} of {of}"
        return f"{suggest} and correct {common.n_recovered}" if common.n_recovered else suggest
    return f"masks correct {common.n_recovered} of {of}"


def _pictures(n: int) -> str:
    return "picture" if n == 1 else "pictures"
