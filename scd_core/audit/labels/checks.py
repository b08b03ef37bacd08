"""Labels against what is known: files of media, and names of the model and of earlier labels."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Sequence

from scd_core.errors import InputError
from scd_core.inputs.counts import some_of
from scd_core.inputs.joining import MediaIndex
from scd_core.inputs.labels import Label
from scd_core.names import UNKNOWN

__all__ = ["boxless_notes", "check_files", "check_labels", "check_names", "strange_files"]


def boxless_notes(files: Sequence[str]) -> list[str]:
    """What the labels' boxes leave open, in a sentence; nothing where each names its own.

    Args:
        files: one for each label that names no box of a picture with several.
    """
    if not files:
        return []
    label = "label names" if len(files) == 1 else "labels name"
    return [f"{len(files)} {label} no box of a picture with several animals, such as {files[0]!r}"]


def check_labels(
    labels: Sequence[Label],
    files: Collection[str],
    individuals: Collection[str],
    *,
    allow_waiting: bool = False,
    allow_new_names: bool = False,
) -> list[str]:
    """Compare labels with what a run is about to audit.

    Args:
        labels: labels of a file.
        files: the run's media, as paths relative to SOURCE, URIs, or both.
        individuals: names that the model or earlier labels know.
        allow_waiting: labels may be of files that are not among the media.
        allow_new_names: labels may have names that are not among the individuals.

    Returns:
        One line per kind of doubt, with the option that allows it: files that are not among the media, and individuals that
        nobody knows (they are new ones, or misspelt).

    Raises:
        InputError: no label names one of the media, or none names an individual that is known, and that is not allowed.
    """
    named = list(dict.fromkeys(label.file for label in labels))
    doubts = []
    if not allow_waiting:
        media = MediaIndex((file, file) for file in files)
        strange = [file for file in named if not media.find(file)]
        check_files(named, strange, "SOURCE")
        if strange:
            doubts.append(f"{strange_files(strange, 'SOURCE')}; mend the file, or pass --allow-waiting")
    if not allow_new_names:
        doubts += check_names(labels, individuals)
    return doubts


def strange_files(strange: Sequence[str], where: str) -> str:
    """Some files of labels that are not among the images of `where`, in words."""
    files = "file is" if len(strange) == 1 else "files are"
    return f"labels: {len(strange)} {files} not among the images of {where}: {some_of(strange)}"


def check_files(named: Sequence[str], strange: Sequence[str], where: str) -> None:
    """Refuse labels of which no file is known.

    Raises:
        InputError: every file is strange.
    """
    if named and len(strange) == len(named):
        none = f"none of {len(named)} files is" if len(named) > 1 else "its one file is not"
        raise InputError(
            f"labels: {none} among the images of {where} (the first is {named[0]}); give `file` "
            "relative to SOURCE, or as a full URI, or pass --allow-waiting where they come later"
        )


def check_names(labels: Sequence[Label], individuals: Collection[str]) -> list[str]:
    """A line for the names that neither the model nor earlier labels know, with the known ones that they resemble.

    Raises:
        InputError: no name is known.
    """
    known = {*individuals, UNKNOWN}
    people = list(dict.fromkeys(name for label in labels if (name := label.individual_id) is not None))
    new = [name for name in people if name not in known]
    if people and len(new) == len(people):
        raise InputError(
            f"labels: the model knows none of the individuals ({some_of(_suggestion(n, known) for n in new)}); its names "
            f"are {some_of(sorted(known - {UNKNOWN}))}; pass --allow-new-names where this is meant"
        )
    if not new:
        return []
    return [
        f"labels: neither the model nor earlier labels know {len(new)} {'individual' if len(new) == 1 else 'individuals'}: "
        f"{some_of([_suggestion(name, known) for name in new])}; mend the file, or pass --allow-new-names"
    ]


def _suggestion(name: str, known: Collection[str]) -> str:
    """The name, and a known one that it may be a misspelling of."""
    plain = {_plain(other): other for other in sorted(known)}
    near = difflib.get_close_matches(_plain(name), plain, n=1, cutoff=0.75)
    return f"`{name}`: did you mean `{plain[near[0]]}`?" if near else f"`{name}`"


def _plain(name: str) -> str:
    """A name without what people spell in different ways: case, blanks, underscores, hyphens."""
    return " ".join(name.casefold().replace("_", " ").replace("-", " ").split())
