"""Flags set by people: a CSV file of files to look at, with a reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from scd_core.errors import InputError
from scd_core.inputs.counts import MAX_EXAMPLES, FileCounts
from scd_core.inputs.csv import read_csv
from scd_core.inputs.joining import MediaIndex, path_as_joined
from scd_core.inputs.text import read_text
from scd_core.storage import clean_url

__all__ = ["Flags", "read_flags"]


@dataclass(frozen=True)
class Flags:
    """Files that people want to have looked at."""

    name: str = ""
    """Name of the file they come from, for messages."""
    reasons: Mapping[str, str] = field(default_factory=dict)
    """File, in the form of :func:`scd_core.inputs.joining.path_as_joined` -> reason, possibly empty."""
    n_rows: int = 0
    unusable: Sequence[str] = ()
    """Rows that are not used, each with its place and the reason."""

    def join(self, media: MediaIndex) -> tuple[frozenset[str], FileCounts]:
        """Addresses of the media that are flagged, and what became of the rows.

        Raises:
            InputError: none of the files is among the media.
        """
        found = {file: media.find(file) for file in self.reasons}
        missing = [file for file, uris in found.items() if not uris]
        if len(missing) == len(found) and found:
            raise InputError(
                f"flags {self.name}: {len(missing)} of {len(found)} files are not in SOURCE, first {missing[0]!r}; "
                "paths must be relative to SOURCE, or full URIs"
            )
        doubtful = {file: uris for file, uris in found.items() if len(uris) > 1}
        examples = [
            *self.unusable,
            *(f"{file!r} fits {len(uris)} pictures, first {uris[0]!r}" for file, uris in doubtful.items()),
            *(f"{file!r} fits no picture" for file in missing),
        ]
        n_repeated = self.n_rows - len(self.unusable) - len(self.reasons)
        counts = FileCounts(
            "flags",
            self.name,
            self.n_rows,
            joined=len(found) - len(missing) - len(doubtful),
            waiting=len(missing),
            unusable=len(self.unusable) + len(doubtful),
            examples=tuple(examples[:MAX_EXAMPLES]),
            notes=(f"{n_repeated} {'row names' if n_repeated == 1 else 'rows name'} a file again",)
            if n_repeated
            else (),
        )
        return frozenset(uris[0] for uris in found.values() if len(uris) == 1), counts


def read_flags(url: str) -> Flags:
    """Files (relative to SOURCE, or full URIs) and reasons from a CSV with `file` and optionally `reason`.

    Raises:
        InputError: the file cannot be read or has no column `file`.
    """
    reasons: dict[str, str] = {}
    unusable: list[str] = []
    n_rows = 0
    for line in read_csv(read_text(url, "flags"), f"flags {clean_url(url)}", ("file",)):
        n_rows += 1
        if file := path_as_joined(line["file"]):
            reasons[file] = line["reason"] or reasons.get(file, "")
        else:
            unusable.append(f"line {line.number}: file is empty")
    return Flags(PurePosixPath(url).name, reasons, n_rows, tuple(unusable))
