"""Labels against what is known: files of media, and names of the model and of earlier labels."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from scd_core.errors import InputError
from scd_core.identify.spelling import plain_spelling
from scd_core.inputs.counts import some_of
from scd_core.inputs.labels import Label
from scd_core.names import UNKNOWN

__all__ = ["boxless_notes", "check_labels", "future_notes", "new_names_words", "strange_files"]


def boxless_notes(files: Sequence[str]) -> list[str]:
    """What the labels' boxes leave open, in a sentence; nothing where each names its own.

    Args:
        files: one for each label that names no box of a picture with several.
    """
    if not files:
        return []
    label = "label names" if len(files) == 1 else "labels name"
    return [f"{len(files)} {label} no box of a picture with several animals, such as {files[0]!r}"]


def future_notes(labels: Sequence[Label], now: datetime) -> list[str]:
    """Which labels are dated in the future, in a sentence, since no later decision wins over them; nothing where none is.

    Args:
        labels: labels of a file.
        now: the present, UTC; a day more is allowed, for times that were written without an offset.
    """
    late = [label for label in labels if label.labelled_at is not None and label.labelled_at > now + timedelta(days=1)]
    if not late:
        return []
    label = "1 label is" if len(late) == 1 else f"{len(late)} labels are"
    first = f"{late[0].file!r} at {late[0].labelled_at:%Y-%m-%d %H:%M}"
    return [f"{label} dated in the future, such as {first}; what is decided until then does not count"]


def check_labels(
    labels: Sequence[Label],
    strange: Collection[str],
    individuals: Collection[str] | None,
    where: str,
    *,
    allow_waiting: bool = False,
    allow_new_names: bool = False,
) -> list[str]:
    """Refuse labels that do not fit an audit: the one rule of `run --labels` and `labels import`.

    Args:
        labels: labels of a file.
        strange: files of labels that are none of the media.
        individuals: names that the models or earlier labels know; None where nobody knows them.
        where: what holds the media, for messages: ``SOURCE`` or ``OUT``.
        allow_waiting: all of the files may be strange: their labels wait.
        allow_new_names: names may be new.

    Returns:
        Names that are new, each of which counts as a new animal.

    Raises:
        InputError: none of the files is one of the media, or a name is new (or misspelt), and that is not allowed; the
            message names the option that allows it.
    """
    named = dict.fromkeys(label.file for label in labels)
    if not allow_waiting and named and len(named.keys() & set(strange)) == len(named):
        none = f"none of {len(named)} files is" if len(named) > 1 else "its one file is not"
        raise InputError(
            f"labels: {none} among the images of {where} (the first is {next(iter(named))}); give `file` "
            "relative to SOURCE, or as a full URI, or pass --allow-waiting where they come later"
        )
    if individuals is None:
        return []
    known = {*individuals, UNKNOWN}
    people = dict.fromkeys(name for label in labels if (name := label.individual_id) is not None)
    new = [name for name in people if name not in known]
    if new and not allow_new_names:
        raise InputError(_refusal(new, known, is_all=len(new) == len(people)))
    return new


def new_names_words(names: Sequence[str]) -> str:
    """Names that nobody knew, at least one, in words; each in quotes, since a name may hold a comma.

    >>> new_names_words(["Smith, Anna", "Bo"])
    'new names, each of which counts as a new animal: `Smith, Anna`, `Bo`'
    """
    new = "new name, which" if len(names) == 1 else "new names, each of which"
    return f"{new} counts as a new animal: {', '.join(f'`{name}`' for name in names)}"


def strange_files(strange: Sequence[str], where: str) -> str:
    """Some files of labels that are not among the images of `where`, in words."""
    files = "file is" if len(strange) == 1 else "files are"
    return f"labels: {len(strange)} {files} not among the images of {where}: {some_of(strange)}"


def _refusal(new: Sequence[str], known: Collection[str], *, is_all: bool) -> str:
    """Why names are refused, with the known ones that they resemble."""
    shown = some_of([_suggestion(name, known) for name in new])
    if is_all:
        return (
            f"labels: the model knows none of the individuals, nor do earlier labels ({shown}); known names are "
            f"{some_of(sorted({*known} - {UNKNOWN}))}; pass --allow-new-names where this is meant"
        )
    return (
        f"labels: neither the model nor earlier labels know {len(new)} {'individual' if len(new) == 1 else 'individuals'}: "
        f"{shown}; mend the file, or pass --allow-new-names where this is meant"
    )


def _suggestion(name: str, known: Collection[str]) -> str:
    """The name, and a known one that it may be a misspelling of."""
    plain = {plain_spelling(other): other for other in sorted(known)}
    near = difflib.get_close_matches(plain_spelling(name), plain, n=1, cutoff=0.75)
    return f"`{name}`: did you mean `{plain[near[0]]}`?" if near else f"`{name}`"
