"""The interface of a storage: list, read and write create-only below a root; each backend gives single requests for it."""

from __future__ import annotations

import contextlib
import errno
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any, Self

from scd_core.storage.entry import Entry, LeaveOut
from scd_core.storage.retry import LOOKS, look_again, retry, scrub

__all__ = ["Storage"]


class Storage(ABC):
    """A file system and a root folder in it.

    The public methods are the same for every backend and try requests again. A backend implements the single requests,
    whose names begin with an underscore, and overrides what is different there.

    Args:
        fs: the fsspec file system, also for libraries that read through one.
        root: path of the root folder in the file system, without a slash at the end.
    """

    listing_is_reading = True
    """Whether those who may list objects may read them too."""

    def __init__(self, fs: Any, root: str) -> None:
        self.fs = fs
        self.root = root
        self.links_out: list[str] | None = None
        """Links that the last listing met and did not follow, since they lead out of the root; None follows all of them. Only a
        disk has any."""

    # addresses

    @property
    def url(self) -> str:
        """Address of the root, without credentials."""
        return self.uri_of(self.root)

    @property
    def local_root(self) -> str | None:
        """The root as a folder of this machine, which other programs can read; None where it is elsewhere."""
        return None

    @abstractmethod
    def uri_of(self, path: str) -> str:
        """Address of a path of the file system, without credentials."""

    @abstractmethod
    def path_of(self, uri: str) -> str:
        """Path of the file system for an address given by :meth:`uri_of`."""

    def path(self, relative: str) -> str:
        """Path of a file below the root.

        Raises:
            ValueError: the name would lead outside the root.
        """
        if ".." in PurePosixPath(relative).parts or PurePosixPath(relative).is_absolute():
            raise ValueError(f"{relative!r} leads outside {self.url}")
        return self._below(relative)

    def _below(self, relative: str) -> str:
        return f"{self.root}/{relative}" if self.root not in ("", "/") else f"{self.root}{relative}"

    def at(self, root: str) -> Self:
        """The same file system with another root folder."""
        return type(self)(self.fs, root)

    def holds(self, uri: str) -> bool:
        """Whether this storage reaches an address, below its root or not."""
        return uri.split("://", 1)[0] == self.url.split("://", 1)[0]

    # listing

    @abstractmethod
    def entries(
        self, relative: str = "", *, versions: bool = False, leave_out: LeaveOut | None = None
    ) -> Iterator[Entry]:
        """All objects below a folder of the root, at any depth, in no promised order; folders themselves are left out.

        A folder that is not there holds nothing.

        Args:
            relative: folder below the root; empty for all.
            versions: give the version of each object, where the bucket keeps versions.
            leave_out: list as what may be large: several folders at once, without those that are left out. A storage that
                cannot leave out folders gives what is in them too.

        Raises:
            RunError: the storage did not answer.
            OSError: the storage refused.
        """

    def stay_inside(self) -> None:
        """Follow no link that leads out of the root any more; those that were met are in ``links_out``."""
        self.links_out = []

    def leads_out(self, path: str) -> bool:
        """Whether a file is a link to one outside of its folder; only a disk has any."""
        return False

    def has_versions(self) -> bool:
        """Whether this is a bucket that keeps versions, as far as these credentials may see.

        Raises:
            RunError: the storage did not answer.
        """
        return False

    # reading

    def read(
        self, path: str, *, etag: str | None = None, size: int | None = None, version_id: str | None = None
    ) -> bytes:
        """The whole content of an object.

        Args:
            path: path in the file system.
            etag: state the object must still have; None takes any.
            size: length the object must still have, in bytes; None takes any.
            version_id: version to read.

        Raises:
            FileNotFoundError: it is not there.
            PermissionError: the right to read it is missing.
            ObjectChangedError: it is no longer what was listed.
            RunError: the storage did not answer.
            OSError: the storage refused for another reason.
        """
        return retry(lambda: self._read(path, etag, size, version_id), f"read {self.uri_of(path)}")

    @abstractmethod
    def _read(self, path: str, etag: str | None, size: int | None, version_id: str | None) -> bytes: ...

    def read_head(self, path: str, length: int) -> bytes:
        """The first bytes of an object; raises as :meth:`read` does."""
        return retry(lambda: self._read_head(path, length), f"read {self.uri_of(path)}")

    @abstractmethod
    def _read_head(self, path: str, length: int) -> bytes: ...

    def head(self, path: str, version_id: str | None = None) -> Entry | None:
        """What a listing gives for one object; None where it is not there.

        Raises:
            PermissionError: the right to read it is missing.
            RunError: the storage did not answer.
        """
        return retry(lambda: self._head(path, version_id), f"look at {self.uri_of(path)}")

    @abstractmethod
    def _head(self, path: str, version_id: str | None) -> Entry | None: ...

    def head_or_denied(self, path: str) -> Entry | None:
        """As :meth:`head`, but None too where looking is forbidden and stays so: S3 refuses what it may not list."""
        try:
            return look_again(lambda: self.head(path))
        except PermissionError:
            return None

    def is_denied(self, path: str, version_id: str | None = None) -> bool:
        """Whether the refusal to read an object is final, so that its image gets a row with the reason."""
        return True

    def exists(self, path: str) -> bool:
        """Whether there is an object at a path; raises as :meth:`head` does."""
        return self.head(path) is not None

    # writing

    def create(self, path: str, data: bytes, *, durable: bool = True) -> bool:
        """Write a new object whole, or leave the one that is there.

        Args:
            path: path in the file system.
            data: content.
            durable: wait until the object would outlast a loss of power; False is faster on a disk.

        Returns:
            True where the object now there has this content; False where another has been there before. (A put may
            have been done although its answer was lost, and HTTP clients repeat it unasked; the content decides.)

        Raises:
            RunError: the storage did not answer.
            OSError: the storage refused.
        """
        for _ in range(LOOKS):
            if retry(lambda: self._create(path, data, durable), f"write {self.uri_of(path)}"):
                return True
            with contextlib.suppress(FileNotFoundError):  # removed since: try again
                return self.read(path) == data
        return False

    @abstractmethod
    def _create(self, path: str, data: bytes, durable: bool) -> bool: ...

    def put(self, path: str, data: bytes) -> None:
        """Write an object whole, replacing one that is there; readers see the old or the new, never a mixture."""
        retry(lambda: self._put(path, data), f"write {self.uri_of(path)}")

    @abstractmethod
    def _put(self, path: str, data: bytes) -> None: ...

    @abstractmethod
    def upload(self, file: Path, path: str) -> None:
        """Copy a file of this machine, of any size, replacing what is there.

        Raises:
            OSError: it cannot be written.
        """

    def delete(self, path: str) -> None:
        """Remove an object; one that is not there is no error."""
        with contextlib.suppress(FileNotFoundError):
            retry(lambda: self._delete(path), f"delete {self.uri_of(path)}")

    @abstractmethod
    def _delete(self, path: str) -> None: ...

    def remove_empty_folders(self, relative: str) -> None:  # noqa: B027 - only a disk has any
        """Remove a folder and those in it as far as they are empty, where folders outlast their files."""

    def sweep_temporary(self, after_seconds: float = 86_400) -> None:  # noqa: B027 - as above
        """Remove what runs that were killed left behind, where files are collected before they are whole.

        Args:
            after_seconds: age from which on an unfinished file is left behind (s); writing one takes seconds.
        """

    # what went wrong

    def explain(self, error: BaseException) -> str:
        """Why reading or writing failed, in a few words without credentials."""
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            return "the disk is full"
        if isinstance(error, OSError) and error.strerror:
            return error.strerror
        return scrub(error) or type(error).__name__

    def explain_denied(self, path: str, error: PermissionError) -> str:
        """Why one object may not be read."""
        return f"reading is forbidden ({error.strerror or error})"

    def explain_gone(self, path: str, error: FileNotFoundError) -> str:
        """Why one object that was listed is not there."""
        return "vanished after it was listed"

    def explain_unlisted(self, error: PermissionError) -> str:
        """Why the root may not be listed."""
        return f"{error.filename or self.url} may not be read ({error.strerror or error})"

    def explain_empty(self) -> str:
        """Why a listing of the root found nothing."""
        try:
            is_there = self.fs.isdir(self.root)
        except OSError:
            is_there = False
        return (
            "holds no images (the folder is empty)" if is_there else "does not exist; give a folder, a prefix or a URL"
        )
