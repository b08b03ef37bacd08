"""Human truth from the files that people keep it in: CSV, Timelapse, Camtrap DP observations, MegaDetector JSON."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from scd_core.errors import InputError
from scd_core.inputs.camtrap_dp import DATAPACKAGE, ObservationTables, observation_tables
from scd_core.inputs.camtrap_events import Events
from scd_core.inputs.camtrap_labels import camtrap_labels
from scd_core.inputs.counts import LABELS, MAX_EXAMPLES, FileCounts
from scd_core.inputs.csv import Line, column_names, has_column, read_csv
from scd_core.inputs.exported import CARRIED
from scd_core.inputs.joining import MediaIndex, path_as_joined
from scd_core.inputs.label import (
    BY_PERSON,
    MACHINE_RESULTS,
    Account,
    Label,
    flank_of,
    name_and_state,
    parse_time,
    probability_column,
    with_number,
)
from scd_core.inputs.label_studio import label_studio_labels
from scd_core.inputs.label_studio_answers import is_answer_table, is_task_list
from scd_core.inputs.results_labels import results_labels
from scd_core.inputs.text import decode_text, read_file
from scd_core.inputs.timelapse_table import exported_labels
from scd_core.label_names import LabelFormat, LabelList
from scd_core.names import FlagReason, Stratum
from scd_core.storage import clean_url

__all__ = ["Label", "LabelFile", "read_labels", "unplaced_words"]

_FORMATS = tuple(form for form in LabelFormat if form is not LabelFormat.REVIEW)
_QUEUE = ("queue", "queue_probability")
"""Columns that mark the list of what to label next, in which a person has written names."""


@dataclass(frozen=True)
class LabelFile:
    """A file of human labels."""

    name: str
    """The file's own name, for messages."""
    format: LabelFormat
    import_id: str
    """First 16 hex digits of the sha256 over everything that was read: the same content is the same import."""
    labels: tuple[Label, ...]
    """At least one; identical labels are kept once."""
    n_rows: int = 0
    """Rows that were read."""
    left_out: Mapping[str, tuple[int, tuple[str, ...]]] = field(default_factory=dict)
    """Reason -> number of rows that became no label, and up to five of them."""

    notes: tuple[str, ...] = ()
    """What else a user should know, a sentence each."""

    def join(self, media: MediaIndex) -> FileCounts:
        """What becomes of the labels among some media."""
        found = [(label.file, len(media.find(label.file))) for label in self.labels]
        several = [file for file, n in found if n > 1]
        missing = [file for file, n in found if not n]
        return self.counts(several, missing)

    def counts(self, several: Sequence[str], missing: Sequence[str], notes: Sequence[str] = ()) -> FileCounts:
        """What became of the file's rows; an observation of an event is a label of each of its pictures.

        Args:
            several: files that fit several media, one for each label.
            missing: files that fit none, one for each label.
            notes: what else a user should know.
        """
        n_unusable = sum(n for n, _ in self.left_out.values())
        examples = unplaced_words(several, missing)
        for reason, (_, shown) in self.left_out.items():
            examples += [f"{example}: {with_number(1, reason).removeprefix('1 ')}" for example in shown[:1]]
        return FileCounts(
            LABELS,
            self.name,
            max(self.n_rows, len(self.labels) + n_unusable),
            joined=len(self.labels) - len(several) - len(missing),
            waiting=len(several) + len(missing),
            unusable=n_unusable,
            examples=tuple(examples[:MAX_EXAMPLES]),
            notes=(*(with_number(n, reason) for reason, (n, _) in self.left_out.items()), *self.notes, *notes),
        )


def unplaced_words(several: Iterable[str], missing: Iterable[str]) -> list[str]:
    """The files that fit several media, then those that fit none, each once and in words."""
    found = [f"{file!r} fits several pictures" for file in dict.fromkeys(several)]
    return found + [f"{file!r} fits no picture" for file in dict.fromkeys(missing)]


def read_labels(url: str, fmt: str | None = None, *, column: str | None = None, by_person: bool = False) -> LabelFile:
    """Read a file of human labels.

    Formats: ``csv`` with the columns ``file, individual_id[, detection_id, flank, labelled_by, labelled_at]``, or a
    Timelapse table with ``File, RelativePath`` and the names in `column`, or the view ``to_review`` with names written into
    ``individual_id`` (rows without one are left out; ``queue`` and ``queue_probability`` are kept); ``camtrap-dp``, a
    ``datapackage.json``, or an ``observations.csv`` with ``media.csv`` beside it, of whose rows those of persons count;
    ``timelapse``, a MegaDetector results file that a person has written or checked
    (:func:`scd_core.inputs.results_labels.results_labels`); ``label-studio``, an export of Label Studio as JSON, JSON_MIN, CSV or
    TSV (:func:`scd_core.inputs.label_studio.label_studio_labels`).

    Args:
        url: fsspec URL or path.
        fmt: one of the formats; None finds it by the name and the first line.
        column: the column of names of a table; None is ``individual_id``, or ``individualID`` of Camtrap DP; or the control
            of Label Studio with the names.
        by_person: a person has checked every name of a JSON file, or of a table with a column of probabilities.

    Raises:
        InputError: the file cannot be read, is of no known format, lacks a column, holds no label or a classifier's
            results, or a line of it cannot be used; the message gives the line.
    """
    if fmt is not None and fmt not in _FORMATS:
        raise InputError(f"labels format {fmt}: not known; give one of {', '.join(_FORMATS)}")
    name, where = PurePosixPath(url.replace("\\", "/")).name, f"labels {clean_url(url)}"
    content = read_file(url, "labels")
    text = decode_text(content, where)
    found = LabelFormat(fmt) if fmt else _detect(name, text)
    account, contents = Account(), [content, b""]
    labels: Iterable[Label]
    if found is LabelFormat.CSV:
        if (
            not by_person
            and not _is_queue(text)
            and not _is_timelapse(text)
            and (given := probability_column(column_names(text)))
        ):
            raise InputError(f"{where}: has a column of probabilities ({given}): {MACHINE_RESULTS}; {BY_PERSON}")
        labels = _from_csv(text, where, account, column)
    elif found is LabelFormat.TIMELAPSE:
        labels = results_labels(text, where, account, by_person=by_person)
    elif found is LabelFormat.LABEL_STUDIO:
        labels = label_studio_labels(text, where, account, column)
    else:
        labels, contents = _from_camtrap(observation_tables(url, content, "labels"), where, account, column)
    kept = tuple(dict.fromkeys(labels))
    left_out = {reason: (n, tuple(account.reasons[reason])) for reason, n in account.counts.items()}
    if not kept:
        why = "; ".join(f"{with_number(n, reason)}: {shown[0]}" for reason, (n, shown) in left_out.items())
        raise InputError(f"{where}: holds no label; nothing was imported{f' ({why})' if why else ''}")
    digest = hashlib.sha256(b"\0".join((found.encode(), *contents)))
    if column is not None:
        digest.update(b"\0" + column.encode())
    return LabelFile(name, found, digest.hexdigest()[:16], kept, account.n_rows, left_out, tuple(account.notes))


def _from_camtrap(
    tables: ObservationTables, where: str, account: Account, column: str | None
) -> tuple[list[Label], list[bytes]]:
    """Labels of a package, and the tables that they come from."""
    names = column or "individualID"
    media = list(tables.media.lines(("mediaID", "filePath"), is_strict=True))
    events = Events(media, tables.deployments.lines())
    account.notes += events.notes()
    lines = tables.observations.lines(("mediaID", names, "classificationMethod"), is_strict=True)
    labels = list(camtrap_labels(lines, media, events, where, account, names))
    contents = [tables.observations.content, tables.media.content]
    return labels, [*contents, tables.deployments.content] if events.needs_deployments else contents


def _detect(name: str, text: str) -> LabelFormat:
    if name == DATAPACKAGE:
        return LabelFormat.CAMTRAP_DP
    if is_task_list(text):
        return LabelFormat.LABEL_STUDIO
    if name.lower().endswith(".json") or text.lstrip().startswith("{"):
        return LabelFormat.TIMELAPSE
    if has_column(text, "observationID", "classificationMethod"):
        return LabelFormat.CAMTRAP_DP
    return LabelFormat.LABEL_STUDIO if is_answer_table(text) else LabelFormat.CSV


def _is_queue(text: str) -> bool:
    """Whether a table is the list of what to label next."""
    return all(has_column(text, column) for column in _QUEUE)


def _is_timelapse(text: str) -> bool:
    """Whether a table is Timelapse's: people fill in its columns, a confidence of their own among them."""
    return has_column(text, "RelativePath") and has_column(text, "File")


def _from_csv(text: str, where: str, account: Account, column: str | None) -> Iterator[Label]:
    """Labels of a table; where the caller names the column of names, or it is the list of what to label next, rows without one
    are left out and counted.
    """
    if has_column(text, "label_id") and has_column(text, "import_id"):
        raise InputError(
            f"{where}: is a table of an audit, with labels that no longer count; give the package's datapackage.json, "
            "which holds those that do"
        )
    is_queue = _is_queue(text)
    is_timelapse = _is_timelapse(text)
    is_exported = is_timelapse and column is None and has_column(text, CARRIED)
    if is_timelapse and column is None and not is_exported and not has_column(text, "individual_id"):
        raise InputError(f"{where}: is a Timelapse table; name the column of names: --column NAME")
    names = column or "individual_id"
    for line in read_csv(text, where, ("file", CARRIED if is_exported else names), is_strict=True):
        if not line["file"]:
            raise InputError(f"{line.where}: file is empty")
        is_deleted = is_timelapse and line["DeleteFlag"].lower() == "true"
        if is_exported and not is_deleted:
            yield from exported_labels(line, _file(line), account)
            continue
        account.n_rows += 1
        if is_deleted:
            account.leave_out("rows marked for deletion", f"line {line.number}")
            continue
        if not line[names]:
            if column is None and not is_queue:
                raise InputError(f"{line.where}: individual_id is empty; write unknown for none of the known ones")
            account.leave_out(f"rows without {names}", f"line {line.number}")
            continue
        individual, state = name_and_state(line[names])
        yield Label(
            file=_file(line),
            detection_id=line["detection_id"] or None,
            individual_id=individual,
            flank=flank_of(line["flank"], line.where),
            labelled_by=line["labelled_by"] or None,
            labelled_at=parse_time(line["labelled_at"], line.where, "labelled_at"),
            state=state,
            queue=_stratum(line) if is_queue else None,
            queue_probability=_queue_probability(line) if is_queue else None,
            review_queue=line["review_queue"] if line["review_queue"] in set(LabelList) else None,
        )


def _stratum(line: Line) -> str | None:
    stratum = line["queue"]
    if stratum and stratum not in {*FlagReason, *Stratum}:
        raise InputError(f"{line.where}: queue {stratum!r}; expected a value as `to_review` has it, or nothing")
    return stratum or None


def _queue_probability(line: Line) -> float | None:
    text = line["queue_probability"]
    try:
        share = float(text.replace(",", ".")) if text else None
    except ValueError:
        share = math.nan
    if share is not None and not 0 < share <= 1:
        raise InputError(f"{line.where}: queue_probability {text!r}; expected a number above 0, at most 1, or nothing")
    return share


def _file(line: Line) -> str:
    folder = path_as_joined(line["RelativePath"]).strip("/")
    return path_as_joined(f"{folder}/{line['file']}" if folder else line["file"])
