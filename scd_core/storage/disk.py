"""Files of a local disk: listed through links, read as they stand, and written whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import random
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from scd_core.errors import InputError
from scd_core.storage.base import Storage
from scd_core.storage.disk_listing import entries_below, entry_at, leads_out
from scd_core.storage.entry import Entry, LeaveOut, ObjectChangedError, check_unchanged

__all__ = ["DiskStorage", "clean_path"]

_TEMPORARY = ".tmp"
"""Folder below a storage's root in which files are collected until they are whole."""

_TRIES = 100

_PAUSE_SECONDS = 0.01
"""Longest pause before a folder is made again; its length is drawn, so that two runs do not keep step."""


def clean_path(path: str) -> str:
    """A path without doubled slashes and dots, so that a folder has one name; links are resolved only where `..` needs it."""
    clean = os.path.realpath(path) if ".." in path.split("/") else os.path.normpath(path)
    return f"/{clean.lstrip('/')}" if path.startswith("/") else clean


class DiskStorage(Storage):
    """A folder of a disk; the modification time in nanoseconds stands in for the ETag."""

    @property
    def local_root(self) -> str:
        return self.root

    def uri_of(self, path: str) -> str:
        return f"file://{path}"

    def path_of(self, uri: str) -> str:
        return uri.removeprefix("file://")

    def entries(
        self, relative: str = "", *, versions: bool = False, leave_out: LeaveOut | None = None
    ) -> Iterator[Entry]:
        if self.links_out is not None:
            self.links_out.clear()
        folder = self.path(relative) if relative else self.root
        return entries_below(folder, self.root, self.links_out, leave_out)

    def leads_out(self, path: str) -> bool:
        return leads_out(path, os.path.realpath(Path(path).parent))

    def _read(self, path: str, etag: str | None, size: int | None, version_id: str | None) -> bytes:
        data, found = _read_file(path)
        check_unchanged(data, found, etag, size)
        return data

    def _read_head(self, path: str, length: int) -> bytes:
        with Path(path).open("rb") as handle:
            return handle.read(length)

    def _head(self, path: str, version_id: str | None) -> Entry | None:
        return entry_at(path)

    def _create(self, path: str, data: bytes, durable: bool) -> bool:
        return (_create_file if durable else _create_quickly)(Path(self.root), Path(path), data)

    def _put(self, path: str, data: bytes) -> None:
        _replace_file(Path(self.root), Path(path), data)

    def upload(self, file: Path, path: str) -> None:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, path)

    def _delete(self, path: str) -> None:
        Path(path).unlink()

    def remove_empty_folders(self, relative: str) -> None:
        for folder, _, _ in os.walk(self.path(relative), topdown=False):
            with contextlib.suppress(OSError):
                Path(folder).rmdir()

    def sweep_temporary(self, after_seconds: float = 86_400) -> None:
        folder = Path(self.root) / _TEMPORARY
        for leftover in folder.glob("*.part") if folder.is_dir() else ():
            with contextlib.suppress(OSError):
                if time.time() - leftover.stat().st_mtime > after_seconds:
                    leftover.unlink()


def _read_file(path: str) -> tuple[bytes, str]:
    """Content of a file, and what stands in for its ETag.

    Raises:
        ObjectChangedError: it was written to meanwhile.
        OSError: it cannot be read.
    """
    with Path(path).open("rb") as handle:
        before = os.fstat(handle.fileno())
        data = handle.read()
        after = os.fstat(handle.fileno())
    if before.st_mtime_ns != after.st_mtime_ns:
        raise ObjectChangedError("changed while it was read")
    return data, str(after.st_mtime_ns)


def _create_file(root: Path, path: Path, data: bytes) -> bool:
    """Write a new file whole; False where there is one already, which is left as it is.

    Args:
        root: folder below which unfinished files are collected; on the same disk.
        path: where the file is to be.
        data: content.

    Raises:
        InputError: the disk has no hard links.
        OSError: it cannot be written.
    """
    if path.exists():
        return False
    temporary = _write_temporary(root, data)
    try:
        # A link appears with its whole content or not at all, and never replaces a file that is there.
        _in_its_folder(path, lambda: os.link(temporary, path))
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK):
            raise InputError(
                f"{root}: this disk has no hard links, which keep two runs from writing one file; "
                "use another disk or a bucket"
            ) from error
        raise
    finally:
        temporary.unlink(missing_ok=True)
    _keep_name(path)
    return True


def _create_quickly(root: Path, path: Path, data: bytes) -> bool:
    """Write a new file without waiting for the disk; False where there is one already. Args as for :func:`_create_file`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("xb") as handle:
            handle.write(data)
    except FileExistsError:
        return False
    return True


def _replace_file(root: Path, path: Path, data: bytes) -> None:
    """Write a file whole; readers see the old one or the new one. Args and errors as for :func:`_create_file`."""
    temporary = _write_temporary(root, data)
    try:
        _in_its_folder(path, lambda: temporary.replace(path))
    finally:
        temporary.unlink(missing_ok=True)
    _keep_name(path)


def _in_its_folder(path: Path, call: Callable[[], object]) -> None:
    """Make the folder of a file and do something in it, again where another run took the folder for empty meanwhile."""
    for attempt in range(_TRIES):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            call()
            return
        except FileNotFoundError:
            if attempt == _TRIES - 1:
                raise
            time.sleep(random.uniform(0, _PAUSE_SECONDS))


def _write_temporary(root: Path, data: bytes) -> Path:
    folder = root / _TEMPORARY
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f"{secrets.token_hex(8)}.part"
    try:
        with temporary.open("xb") as handle:
            handle.write(data)
            handle.flush()
            os.fsync(handle.fileno())
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return temporary


def _keep_name(path: Path) -> None:
    """Write the folder too: after a loss of power a commit must not be there without the tables that it names."""
    with contextlib.suppress(OSError):  # some network disks cannot
        handle = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
