"""`trapaudit improve`: what a better model could be worth, tried on the labels of an audit, and written as a package."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from deployments.cli.adapt import adapt_cameras, rate_words
from deployments.cli.printable import say
from deployments.cli.wide_table import print_figures
from scd_core.errors import InputError
from scd_core.improve.names import Preference

if TYPE_CHECKING:
    from rich.status import Status

    from scd_core.identify.package import Package
    from scd_core.improve.rate import Rate
    from scd_core.improve.trial import Trial
    from scd_core.improve.ways import Outcome

__all__ = ["improve", "why_not"]

console = Console(stderr=True)
_say = partial(say, console)
_N_NEXT = 30
"""Pictures on the list of what to label next."""
_COLUMNS = (
    "way",
    "in new places",
    "at home",
    "gain, new",
    "gain, home",
    "where MODEL is right",
    "kept",
    "worst camera",
    "worst individual",
    "s",
    "needs",
)


def improve(
    out: Annotated[str, typer.Argument(metavar="OUT", help="URL or path of the audit tables", show_default=False)],
    model: Annotated[str, typer.Option("--model", help="package of the model to improve", show_default=False)],
    write: Annotated[
        str | None, typer.Option("--write", metavar="NEW", help="folder of the new package; must not hold one")
    ] = None,
    way: Annotated[
        str | None, typer.Option("--way", help="write this way of the table, also where it is not recommended")
    ] = None,
    fewer_names: Annotated[
        bool, typer.Option("--fewer-names", help="accept a new head without the names of MODEL that no label has")
    ] = False,
    prefer: Annotated[
        Preference,
        typer.Option(
            "--prefer",
            help="of several better ways: home keeps most of what MODEL knows where it is right, among those with .8 of the "
            "largest gain in new places; new-places takes the one right most often there",
        ),
    ] = Preference.HOME,
    adapt: Annotated[
        bool,
        typer.Option(
            "--adapt", help="try instead, camera by camera, whether adapting MODEL to its own pictures would help"
        ),
    ] = False,
    camera: Annotated[
        list[str] | None, typer.Option("--camera", help="with --adapt: this camera alone; may be given several times")
    ] = None,
    fine_tune: Annotated[
        bool,
        typer.Option(
            "--fine-tune", help="train the last blocks of the network as well: minutes, resumable with --write"
        ),
    ] = False,
    blocks: Annotated[int, typer.Option("--blocks", min=1, help="last blocks that --fine-tune trains")] = 3,
    epochs: Annotated[
        int, typer.Option("--epochs", min=1, max=100, help="most passes of --fine-tune over the pictures")
    ] = 8,
    label_next: Annotated[
        str | None,
        typer.Option(
            "--label-next", metavar="FILE", help="FILE.csv: the 30 pictures whose labels would move a new head most"
        ),
    ] = None,
    device: Annotated[str, typer.Option("--device", help="auto, cpu, cuda or cuda:N")] = "auto",
) -> None:
    """Try what a better model could be, on the labels of OUT, and write it (docs/improve.md)."""
    from scd_core.identify.child import check_target
    from scd_core.identify.classifier import Classifier, resolve_device
    from scd_core.identify.package import read_package
    from scd_core.improve.trial import run_improve
    from scd_core.improve.tune import TuneRequest
    from scd_core.improve.tune_training import TuneSettings

    if adapt and (write is not None or way is not None):
        raise InputError("--adapt: writes no package; leave --write and --way out")
    if adapt and fine_tune:
        raise InputError("--adapt: tries no other way; leave --fine-tune out")
    if label_next is not None and (adapt or not label_next.lower().endswith(".csv")):
        raise InputError(f"--label-next {label_next}: expected a file that ends in .csv, and no --adapt")
    if camera and not adapt:
        raise InputError(f"--camera {camera[0]}: goes with --adapt")
    if way is not None and write is None:
        raise InputError(f"--way {way}: names what --write writes; give --write NEW as well")
    if write is not None:
        check_target(write)
    parent = read_package(model)
    classifier = Classifier(parent, resolve_device(device))
    if adapt:
        return adapt_cameras(out, classifier, camera or [])
    with ExitStack() as open_until_written:
        status = open_until_written.enter_context(console.status("pictures"))
        folder = open_until_written.enter_context(_work(write)) if fine_tune else None
        tune = None
        if folder is not None:
            tune = TuneRequest(folder, TuneSettings(blocks=blocks, epochs=epochs), _progress(status))
        trial = run_improve(out, classifier, lambda done, n: status.update(f"pictures: {done} of {n}"), prefer, tune)
        status.stop()
        if label_next is not None:
            _write_next(out, trial, label_next)
        _finish(
            out,
            trial,
            parent,
            write,
            way,
            fewer_names=fewer_names,
            again=f"--model {model}{' --fine-tune' * fine_tune}",
        )


def _write_next(out: str, trial: Trial, file: str) -> None:
    from deployments.cli.compare import list_to_label, write_file
    from scd_core.improve.label_next import list_next
    from scd_core.label_names import LabelList

    rows = list_next(out, trial, _N_NEXT)
    write_file(file, list_to_label(rows, LabelList.IMPROVE))
    _say(
        f"{file}: {len(rows)} pictures to label next; fill in individual_id, then: trapaudit labels import {out} {file}"
    )


@contextmanager
def _work(write: str | None) -> Iterator[Path]:
    """Folder of the unfinished work of a fine-tuning: beside the package, where a killed run goes on; gone once it is written."""
    from scd_core.improve.tune import tune_folder

    if write is None:
        with TemporaryDirectory(prefix="trapaudit-") as scratch:
            yield Path(scratch)
        return
    folder = tune_folder(write)
    if folder.is_dir():
        _say(f"going on with the fine-tuning in {folder}")
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def _progress(status: Status) -> Callable[[str, int, int], None]:
    def show(what: str, done: int, n: int) -> None:
        status.start()
        status.update(f"fine-tuning, {what}: {done} of {n}")

    return show


def _finish(
    out: str, trial: Trial, parent: Package, write: str | None, way: str | None, *, fewer_names: bool, again: str
) -> None:
    """Print what was found, keep what is expected, and write the package where that is wanted."""
    from scd_core.improve.record import keep_record
    from scd_core.improve.write import write_improved

    _print_table(trial)
    best = trial.best
    for line in _lines(trial):
        _say(line)
    if write is None:
        keep_record(out, trial, parent, None)
        if best is not None:
            _say(f"next: trapaudit improve {out} {again} --write NEW")
        return
    chosen = trial.outcome(way) if way is not None else best
    if chosen is None:
        raise InputError(
            f"--write {write}: nothing is written, no way is better than MODEL beyond chance; label more, or name one by --way"
        )
    if chosen.way.head is not None and trial.lost and not fewer_names:
        raise InputError(
            f"--write {write}: nothing is written: {len(trial.lost)} names of MODEL have no label and would be lost "
            f"({', '.join(trial.lost[:3])}{' ...' if len(trial.lost) > 3 else ''}); label them, or give --fewer-names"
        )
    package = write_improved(write, parent, trial, chosen)
    keep_record(out, trial, parent, package, is_recommended=chosen is best)
    if chosen is not best:
        _say(f"{chosen.way.key} is NOT recommended: {why_not(chosen)}")
    _say(
        f"written: {write}, {chosen.way.key}, model_digest {package.digest[:16]}; expected in new places "
        f"{rate_words(trial.expected if chosen is best else chosen.new)}, at home {rate_words(chosen.home)}"
    )
    if package.spec.input.box_use == "classify":
        _say("it names boxes: give `trapaudit run` the same --detections as before")
    if package.spec.frame_head is not None:
        _say(
            "the network is shown the whole frame as well: naming takes twice the time, or less with several boxes in a frame"
        )
    if package.spec.unknown_threshold is not None:
        again = "fit it again: trapaudit model calibrate (docs/models.md)"
        if package.spec.frame_head is not None:
            again = "it was fitted to other probabilities, so look at whom the next report has as unknown"
        _say(f"MODEL's threshold of `unknown` is kept; {again}")


def _print_table(trial: Trial) -> None:
    rows = []
    for one in trial.outcomes:
        if one.way.keep and one not in (trial.best, trial.most):
            continue  # one of several weights
        is_model = one is trial.as_run
        interval = f"({100 * one.gain.low:+.0f} to {100 * one.gain.high:+.0f})"
        row = (
            f"{one.way.key}{' (MODEL)' if is_model else ''}{' *' if one is trial.best else ''}",
            rate_words(one.new),
            rate_words(one.home),
            "" if is_model else f"{100 * one.gain.value:+.0f} {interval}",
            "" if is_model else f"{100 * one.home_gain.value:+.0f}",
            "" if is_model or not trial.n_held else f"{100 * one.held_gain.value:+.0f}",
            "" if is_model or not one.kept.n else f"{100 * one.kept.value:.0f} %",
            _worst(one.worst_camera, trial.labelled.cameras),
            _worst(one.worst_individual, trial.labelled.names),
            f"{one.seconds:.1f}" if one.way.head else "",
            one.needs,
        )
        rows.append(row)
    print_figures(_COLUMNS, rows)


def _lines(trial: Trial) -> list[str]:
    """What is to be known of the table, a line each."""
    labelled = trial.labelled
    n_new = trial.as_run.new.n
    lines = [
        f"{len(labelled.rows)} labelled pictures of {len(labelled.names)} individuals at {len(labelled.cameras)} cameras; right, "
        f"in per cent of visits at cameras where their individual was left out ({n_new}), or left out alone "
        f"({trial.as_run.home.n}); read in {trial.seconds:.0f} s"
    ]
    if trial.n_alone:
        lines.append(
            f"{trial.n_alone} pictures say nothing of new places: at other cameras too little is known of their individual"
        )
    if trial.n_known:
        lines.append(
            f"{trial.n_known} pictures show an individual where MODEL names it rightly and nowhere else: no new places to MODEL"
        )
    if trial.n_joined:
        lines.append(f"{trial.n_joined} groups of visits hold nearly the same picture; each was left out as a whole")
    lines += [f"{view}: left out, {reason}" for view, reason in trial.shown.missing.items()]
    if trial.shown.no_head:
        lines.append(f"no new head: {trial.shown.no_head}")
    if trial.as_run.home.n and trial.as_run.home.value > 0.995 and trial.as_run.new.value > 0.995:
        lines.append(
            "MODEL names every labelled picture right: was it trained on them? Then they cannot show what is better"
        )
    if (trial.classifier.spec.provenance or {}).get("way"):
        lines.append(
            "MODEL was written by `trapaudit improve`: labels that it was fitted to praise it, and ways that keep it; "
            "improve the model that it was made of on all labels instead"
        )
    best = trial.best
    if best is None:
        lines.append(f"nothing is recommended: {_why_none(trial)}")
    else:
        lines.append(
            f"recommended: {best.way.key}, expected {rate_words(trial.expected)} in new places instead of "
            f"{rate_words(trial.as_run.new)}{_at_home(trial, best)}"
        )
        most = trial.most
        if most is not None and most is not best:
            lines.append(
                f"right most often in new places: {most.way.key}, {rate_words(most.new)}, but it keeps less of what MODEL knows "
                "at home (--prefer new-places)"
            )
        if best.kept.n and best.kept.value < 1:
            lines.append(
                f"of {best.kept.n} visits there that MODEL names rightly it keeps {100 * best.kept.value:.0f} %"
            )
    return lines


def _why_none(trial: Trial) -> str:
    runnable = [one for one in trial.outcomes[1:] if one.way.can_run]
    if not runnable:
        return "no other way can be run"
    nearest = max(runnable, key=lambda one: one.new.value)
    return f"{nearest.way.key} comes nearest, but {why_not(nearest)}"


def why_not(one: Outcome) -> str:
    """Why a way is not recommended."""
    if one.loses_home:
        where = "at home" if one.home_loss == -one.home_gain.value else "where MODEL is right at home"
        return f"{where} it names {100 * one.home_loss:.0f} points fewer right"
    return (
        f"its gain in new places is not beyond chance ({100 * one.gain.low:+.0f} to {100 * one.gain.high:+.0f} points)"
    )


def _at_home(trial: Trial, one: Outcome) -> str:
    """What it does where MODEL is right at home, as the end of a sentence; empty where no visits show that."""
    if not trial.n_held:
        return ""
    points = round(100 * one.held_gain.value)
    unit = "point" if abs(points) == 1 else "points"
    words = "as many right" if not points else f"{abs(points)} {unit} {'more' if points > 0 else 'fewer'} right"
    return f"; where MODEL is right at home ({trial.n_held} visits) it names {words}"


def _worst(found: tuple[int, Rate] | None, names: tuple[str, ...]) -> str:
    return f"{names[found[0]]} {rate_words(found[1])}" if found else "-"
