"""Generations of OUT: one small file that says which written files no longer count, and what stands in their place."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from scd_core.errors import RunError
from scd_core.tables.folder import OutFolder, generation_of

__all__ = ["FOLDER", "Generation", "begin_generation", "newest_generation"]

FOLDER = "generations"
_READ: dict[tuple[str, str, str], Generation] = {}
"""OUT, path and state of a generation -> its content; it is looked at with every reading of the commits."""


@dataclass(frozen=True)
class Generation:
    """What stands in place of files that were written before. It holds all of it, also what earlier generations replaced.

    A reader takes the newest one when it lists what counts, so it sees all of a change or nothing of it.
    """

    number: int = 0
    """0 where nothing was ever replaced."""
    applied: frozenset[str] = frozenset()
    """Tombstones (:mod:`scd_core.tables.tombstones`) whose rows are gone."""
    batches: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Batch -> `files` and `counts` that stand in place of those of its commit."""
    files: Mapping[str, str | None] = field(default_factory=dict)
    """File of labels or of a report, as it was written first -> the one in its place; None where no row is left."""

    def content(self, batch_key: str, commit: Mapping[str, Any]) -> dict[str, Any]:
        """The content of a batch's commit as it stands now."""
        return {**commit, **self.batches.get(batch_key, {})}

    def current(self, files: Iterable[str]) -> list[str]:
        """Of the files of labels or of a report those that count, in the order of their paths."""
        found = set(files)
        written = {self.files.get(file, file) for file in found if not generation_of(file)}
        replaced = {file for file in self.files.values() if file in found}
        return sorted(file for file in written | replaced if file is not None)

    def named(self) -> set[str]:
        """Every file that stands in the place of another one, and those that stay of the batches that it names."""
        files = {file for batch in self.batches.values() for file in batch["files"].values()}
        return files | {file for file in self.files.values() if file is not None}


def newest_generation(out: OutFolder) -> Generation:
    """What counts now in an OUT.

    Raises:
        RunError: the storage did not answer, or what it holds cannot be read.
    """
    for _ in range(100):
        found = {file: state for file, state in out.states(FOLDER).items() if file.endswith(".json")}
        if not found:
            return Generation()
        newest = max(found)
        key = (out.url, newest, found[newest])
        if key not in _READ:
            data = out.get_file(newest)
            if data is None:  # a newer one came, and this one was removed
                continue
            try:
                content = json.loads(data)
            except ValueError as error:
                raise RunError(f"{out.url}/{newest}: cannot be read ({error})") from error
            number = int(newest.rsplit("/", 1)[-1].removesuffix(".json"))
            applied = frozenset(content["applied"])
            _READ[key] = Generation(number, applied, content["batches"], content["files"])
        return _READ[key]
    raise RunError(f"{out.url}/{FOLDER}: changes all the time; try again")


def begin_generation(out: OutFolder, generation: Generation, token: str) -> bool:
    """Make a generation the one that counts; False where another one of this number was first.

    Args:
        out: OUT.
        generation: all that is to stand in place of something; its files are written already.
        token: hex digits of this call alone, so that winning is never mistaken.

    Raises:
        RunError: OUT could not be written.
    """
    content = {
        "token": token,
        "applied": sorted(generation.applied),
        "batches": generation.batches,
        "files": generation.files,
    }
    return out.create_file(f"{FOLDER}/{generation.number:06}.json", json.dumps(content, indent=1).encode())
