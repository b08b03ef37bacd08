"""Tables of a Camtrap DP package, wherever its ``datapackage.json`` has them."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from scd_core.errors import InputError
from scd_core.inputs.addresses import path_below
from scd_core.inputs.csv import Line, read_csv
from scd_core.inputs.joining import path_as_joined
from scd_core.inputs.text import decode_text, read_file, read_object
from scd_core.storage import Storage, clean_url, open_source

__all__ = ["DATAPACKAGE", "ObservationTables", "Table", "media_paths", "observation_tables", "package_tables"]

DATAPACKAGE = "datapackage.json"
_MISSING = frozenset({"NA", "NaN", "nan"})
"""Cells that the standard's own schemas list as missing values, besides the empty one."""


@dataclass(frozen=True)
class Table:
    """A table of a package: its parts one after the other, each a CSV file's name and bytes, or rows in the JSON itself."""

    parts: tuple[tuple[str, bytes | list[Any]], ...]
    problem: str | None = None
    """Why it cannot be read, where its user can do without; it has no parts then."""

    @property
    def content(self) -> bytes:
        """Everything that was read, for a digest."""
        return b"".join(part if isinstance(part, bytes) else json.dumps(part).encode() for _, part in self.parts)

    def lines(self, required: Sequence[str] = (), *, is_strict: bool = False) -> Iterator[Line]:
        """Lines of all parts, missing values as empty text; arguments and errors as for :func:`scd_core.inputs.csv.read_csv`.

        Raises:
            InputError: there is a problem.
        """
        if self.problem is not None:
            raise InputError(self.problem)
        for file, part in self.parts:
            if isinstance(part, bytes):
                lines = read_csv(decode_text(part, file), file, required, is_strict=is_strict)
            else:
                lines = (_inline(file, number, row) for number, row in enumerate(part, start=1))
            yield from (_without_missing(line) for line in lines)


_NO_TABLE = Table(())


def package_tables(
    storage: Storage, folder: str, content: bytes, where: str, names: Collection[str]
) -> dict[str, Table]:
    """Some tables of a package; those that it does not have are left out.

    Args:
        storage: the storage that holds the package.
        folder: path of its folder in the storage's file system.
        content: of its ``datapackage.json``.
        where: name of that file in messages.
        names: ``deployments``, ``media``, ``observations``.

    Raises:
        InputError: the content is no data package, a path leads outside its folder, or a table cannot be read.
        RunError: the storage did not answer.
    """
    try:
        resources = {item["name"]: item for item in json.loads(content)["resources"]}
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(f"{where}: is no data package ({error}); expected JSON with a list of resources") from error
    what = where.partition(" ")[0]
    return {
        name: Table(tuple(_part(storage, folder, part, where, what) for part in _parts(resources[name])))
        for name in names
        if name in resources
    }


def media_paths(media: Iterable[Line]) -> dict[str, list[str]]:
    """mediaID -> the paths of its rows, in the form of :func:`scd_core.inputs.joining.path_as_joined`: one, unless rows differ.

    Args:
        media: rows of the table of media.
    """
    found: dict[str, list[str]] = {}
    for line in media:
        paths = found.setdefault(line["mediaID"], [])
        if (path := path_as_joined(line["filePath"])) not in paths:
            paths.append(path)
    return found


class ObservationTables(NamedTuple):
    """Tables that observations need to be understood."""

    observations: Table
    media: Table
    deployments: Table
    """Empty where the package has none, with a problem where it cannot be read: it only gives offsets of clocks."""


def observation_tables(url: str, content: bytes, what: str) -> ObservationTables:
    """Observations, media and deployments of a package.

    Args:
        url: of its ``datapackage.json``; or of its table of observations, with ``media.csv``, gzipped or not, or
            ``datapackage.json`` beside it.
        content: of the file at `url`.
        what: what the file is to the user, for messages: ``labels``, ``detections``.

    Raises:
        InputError: a table is not there, or cannot be read.
    """
    name = PurePosixPath(url).name
    folder = url[: len(url) - len(name)]
    where = f"{what} {clean_url(url)}"
    if name == DATAPACKAGE:
        tables = _beside(url, content, where, ("observations", "media"))
        return ObservationTables(tables["observations"], tables["media"], _deployments(url, content, where))
    observations = Table(((where, content),))
    media = _csv_beside(folder, "media", what)
    if isinstance(media, Table):
        deployments = _csv_beside(folder, "deployments", what)
        if isinstance(deployments, InputError):
            is_there = not isinstance(deployments.__cause__, FileNotFoundError)
            deployments = Table((), str(deployments)) if is_there else _NO_TABLE
        return ObservationTables(observations, media, deployments)
    try:
        package = read_file(f"{folder}{DATAPACKAGE}", what)
    except InputError:
        raise media from None
    url = f"{folder}{DATAPACKAGE}"
    found = _beside(url, package, where, ("media",))["media"]
    return ObservationTables(observations, found, _deployments(url, package, where))


def _csv_beside(folder: str, table: str, what: str) -> Table | InputError:
    """A table beside one that the user named, gzipped or not; else why it cannot be read."""
    problems: list[InputError] = []
    for name in (f"{table}.csv", f"{table}.csv.gz"):
        try:
            content = read_file(f"{folder}{name}", f"{what}: {name} beside it,")
        except InputError as error:
            problems.append(error)
        else:
            return Table(((f"{what} {clean_url(folder)}{name}", content),))
    return next((one for one in problems if not isinstance(one.__cause__, FileNotFoundError)), problems[0])


def _deployments(url: str, content: bytes, where: str) -> Table:
    storage = open_source(url)
    try:
        found = package_tables(storage, storage.root.rpartition("/")[0], content, where, ("deployments",))
    except InputError as error:
        return Table((), str(error))
    return found.get("deployments", _NO_TABLE)


def _beside(url: str, content: bytes, where: str, names: Collection[str]) -> dict[str, Table]:
    """Tables that a ``datapackage.json`` must have."""
    storage = open_source(url)
    tables = package_tables(storage, storage.root.rpartition("/")[0], content, where, names)
    for name in names:
        if name not in tables:
            raise InputError(f"{where}: has no resource {name!r}; expected a Camtrap DP package")
    return tables


def _parts(resource: Mapping[str, Any]) -> list[Any]:
    if isinstance(resource.get("data"), list):
        return [resource["data"]]
    path = resource.get("path", [])
    return path if isinstance(path, list) else [path]


def _part(storage: Storage, folder: str, part: Any, where: str, what: str) -> tuple[str, bytes | list[Any]]:
    if isinstance(part, list):
        return where, part
    path = path_below(storage, folder, part, where)
    file = f"{what} {storage.uri_of(path)}"
    return file, read_object(storage, path, file)


def _without_missing(line: Line) -> Line:
    if _MISSING.isdisjoint(line.values.values()):
        return line
    return replace(line, values={column: "" if text in _MISSING else text for column, text in line.values.items()})


def _inline(file: str, number: int, row: Any) -> Line:
    if not isinstance(row, Mapping):
        raise InputError(f"{file}: data row {number} is no object of column and value")
    return Line(file, number, {str(k).strip().lower(): "" if v is None else str(v).strip() for k, v in row.items()})
