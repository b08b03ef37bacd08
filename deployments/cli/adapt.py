"""`trapaudit improve --adapt`: whether adapting the model to a camera's own pictures would help there."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from rich.console import Console

from deployments.cli.printable import say
from deployments.cli.wide_table import print_figures

if TYPE_CHECKING:
    from scd_core.identify.classifier import Classifier
    from scd_core.improve.cameras import CameraTrial
    from scd_core.improve.rate import Rate

__all__ = ["adapt_cameras", "rate_words"]

console = Console(stderr=True)
_say = partial(say, console)
_COLUMNS = ("camera", "pictures", "controls", "MODEL", "adapted", "gain", "won, lost", "without labels", "s", "")


def adapt_cameras(out: str, classifier: Classifier, cameras: Sequence[str]) -> None:
    """Try it for each camera, and print a table and what follows.

    Args:
        out: OUT.
        classifier: the model.
        cameras: those to try; none: all with a labelled control.

    Raises:
        InputError: as for :func:`scd_core.improve.cameras.run_adapt`.
    """
    from scd_core.improve.cameras import run_adapt

    with console.status("pictures") as status:
        trial = run_adapt(out, classifier, cameras, lambda camera: status.update(f"camera {camera}"))
    if trial.not_applicable is not None:
        return _say(f"adapting is not applicable: {trial.not_applicable}")
    print_figures(_COLUMNS, [_cells(one) for one in trial.cameras])
    for line in _lines(trial.cameras):
        _say(line)


def _cells(one: CameraTrial) -> tuple[str, ...]:
    first = (one.camera, str(one.n_pictures), str(one.n_controls))
    judged = one.judged
    if judged is None:
        return (*first, "", "", "", "", "", "", one.missing)
    gain = judged.gain
    return (
        *first,
        rate_words(judged.before),
        rate_words(judged.after),
        f"{100 * gain.value:+.0f} ({100 * gain.low:+.0f} to {100 * gain.high:+.0f})",
        f"{gain.n_won}, {gain.n_lost}",
        "" if one.expected is None else f"{100 * one.expected[0]:.0f} to {100 * one.expected[1]:.0f} %",
        f"{one.seconds:.0f}",
        _verdict(one),
    )


def _verdict(one: CameraTrial) -> str:
    judged = one.judged
    assert judged is not None
    if judged.is_recommended:
        return "recommended"
    if judged.gain.value < 0:
        return "names fewer right"
    if judged.n_more is None:
        return "no gain is shown"
    return f"no gain beyond chance; if the shares stay, {judged.n_more} controls more would show it"


def _lines(cameras: Sequence[CameraTrial]) -> list[str]:
    """What is to be known of the table, a line each."""
    judged = [one for one in cameras if one.judged is not None]
    chosen = [one.camera for one in judged if one.judged is not None and one.judged.is_recommended]
    lines = [
        "right, in per cent of visits of each camera's labelled random sample; adapted to its pictures of other events, without "
        "their labels; `without labels`: the share right that would be expected before and after, had it no label at all"
    ]
    if not judged:
        return [*lines, "nothing can be judged: see the last column"]
    if not chosen:
        return [*lines, f"adapting is recommended at none of the {len(judged)} cameras that could be judged"]
    return [
        *lines,
        f"adapting is recommended at {', '.join(chosen)}: it names more of the animals rightly there, beyond chance after all "
        f"{len(cameras)} cameras are counted; compare its pictures with those of the others (light, sharpness, flash), and label "
        "some for the next model: no package is written (docs/improve.md)",
    ]


def rate_words(rate: Rate) -> str:
    """A share and its interval in per cent; a dash where nothing is in it."""
    return f"{100 * rate.value:.0f} % ({100 * rate.low:.0f}-{100 * rate.high:.0f})" if rate.n else "-"
