"""The folder OUT: files with plain names, written whole, with one line of error where that fails."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from operator import attrgetter
from typing import Any, TypeVar

from scd_core.errors import DamagedError, RunError, first_line
from scd_core.storage import Storage, open_source

__all__ = ["READERS", "OutFolder", "file_key", "generation_of", "plain_name"]

READERS = 16
"""Threads that read small files of OUT at once."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.=-]{0,127}")
_REWRITTEN = re.compile(r"\.g(\d{6})-[0-9a-f]{8}\.parquet$")
"""How the name of a table's file ends that a later generation wrote in place of another one."""


def plain_name(name: str) -> str:
    """The name itself, where no key made of it can lead outside OUT.

    >>> plain_name("batch_date=2026-03-01")
    'batch_date=2026-03-01'

    Raises:
        ValueError: it is no plain file name.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no plain file name; expected letters, digits and _ . = -")
    return name


def file_key(file: str) -> str:
    """The batch, report or import that a table's file is of, whichever generation wrote it.

    >>> file_key("media/batch_date=2026-03-01/b1.parquet"), file_key("media/batch_date=2026-03-01/b1.g000002-00ff00ff.parquet")
    ('b1', 'b1')
    """
    return _REWRITTEN.sub("", file.rsplit("/", 1)[-1]).removesuffix(".parquet")


def generation_of(file: str) -> int:
    """Number of the generation that wrote a table's file; 0 for what a run, a report or an import wrote."""
    found = _REWRITTEN.search(file)
    return int(found[1]) if found else 0


_path_of = attrgetter("path")

T = TypeVar("T")


class OutFolder:
    """The folder OUT of an audit, on any fsspec file system.

    Paths are relative to OUT; where a file is written or read by its name, the parts of its path are plain names.

    Args:
        url: fsspec URL or local path of OUT.

    Raises:
        InputError: no file system can be made for the URL.
    """

    def __init__(self, url: str) -> None:
        self.storage: Storage = open_source(url)

    @property
    def url(self) -> str:
        """Address of OUT, without credentials."""
        return self.storage.url

    def states(self, folder: str = "") -> dict[str, str]:
        """Paths of all files below a folder of OUT, sorted, each with its ETag or what stands in for it.

        Raises:
            RunError: the storage did not answer, or refused.
        """
        start = len(self.storage.path(""))
        try:
            return {entry.path[start:]: entry.etag for entry in sorted(self.storage.entries(folder), key=_path_of)}
        except OSError as error:
            raise RunError(f"{self.url}/{folder}: cannot be listed ({self.storage.explain(error)})") from error

    def files(self, folder: str = "") -> list[str]:
        """Paths of all files below a folder of OUT, sorted; raises as :meth:`states` does."""
        return list(self.states(folder))

    def get_file(self, relative: str) -> bytes | None:
        """Content of a file; None where there is none.

        Raises:
            ValueError: the path would lead outside OUT.
            RunError: it could not be read.
        """
        path = self._path(relative)
        with self._one_line(path, "cannot be read ({why})"):
            try:
                return self.storage.read(path)
            except FileNotFoundError:
                return None

    def get_json(self, relative: str, make: Callable[[Any], T]) -> T | None:
        """What is made of the content of a JSON file; None where there is none.

        Args:
            relative: path of the file.
            make: makes it of the content, and fails where that is not as it was written.

        Raises:
            ValueError: the path would lead outside OUT.
            RunError: the file could not be read.
            DamagedError: it is damaged.
        """
        data = self.get_file(relative)
        try:
            return None if data is None else make(json.loads(data))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise DamagedError(
                f"{self.url}/{relative}: is damaged ({first_line(error)}); restore it, or run `trapaudit repair`"
            ) from error

    def has_file(self, relative: str) -> bool:
        """Whether there is a file; raises as :meth:`get_file` does."""
        path = self._path(relative)
        with self._one_line(path, "cannot be read ({why})"):
            return self.storage.exists(path)

    def put_file(self, relative: str, data: bytes) -> None:
        """Write a file such as the report, whole, in place of one that is there.

        Raises:
            ValueError: the path would lead outside OUT.
            RunError: it could not be written.
        """
        path = self._path(relative)
        with self._one_line(path, _UNWRITTEN):
            self.storage.put(path, data)

    def create_file(self, relative: str, data: bytes) -> bool:
        """Write a file whole, or leave the one that is there; True where it now has this content.

        Raises:
            ValueError: the path would lead outside OUT.
            RunError: it could not be written.
        """
        path = self._path(relative)
        with self._one_line(path, _UNWRITTEN):
            return self.storage.create(path, data)

    def delete_file(self, relative: str) -> None:
        """Remove a file that :meth:`files` gave; one that is not there is no error.

        Raises:
            RunError: it could not be removed.
        """
        path = self.storage.path(relative)
        with self._one_line(path, _UNWRITTEN):
            self.storage.delete(path)

    def _path(self, relative: str) -> str:
        return self.storage.path("/".join(plain_name(name) for name in relative.split("/")))

    @contextmanager
    def _one_line(self, path: str, wording: str) -> Iterator[None]:
        """Make a refusal, which may be of the moment, an error of the run."""
        try:
            yield
        except OSError as error:
            why = self.storage.explain(error)
            raise RunError(f"{self.storage.uri_of(path)}: {wording.format(why=why)}") from error


_UNWRITTEN = "cannot be written ({why}); nothing is half-written, run again"
