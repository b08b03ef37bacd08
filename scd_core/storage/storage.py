"""Reading, listing and create-only writing on any fsspec file system, with S3 and local disks done exactly."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import fsspec
from fsspec.asyn import sync
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem

from scd_core.errors import InputError
from scd_core.storage import disk
from scd_core.storage.entry import Entry, ObjectChangedError
from scd_core.storage.retry import ForeignAnswerError, ShortReadError, error_code, http_status, retry, scrub

__all__ = ["Storage", "clean_url", "has_password", "open_source"]

PAGE_KEYS = 1_000
"""Keys asked for per listing request; servers give no more."""

LOOKS = 3
"""Times that a refusal, or a body that does not fit its ETag, must be repeated before it is believed."""

LOOK_SECONDS = 0.1

REQUEST_SECONDS = 120.0
"""Longest one request may take, beside what its body needs."""

SLOWEST = 16_384
"""Bytes per second below which a body counts as stuck."""

_CLIENT = {"connect_timeout": 10, "read_timeout": 60, "max_pool_connections": 32}
_MD5 = re.compile(r"[0-9a-f]{32}")
_SECRET_PARAMETER = re.compile(r"sig|token|key|secret|password|credential|expires|security", re.IGNORECASE)
_MEMORY_LOCK = threading.Lock()


def clean_url(url: str) -> str:
    """A URL without user name, password and signed query: what may be printed, stored and hashed.

    >>> clean_url("https://me:secret@host.example/card/a.jpg?X-Amz-Signature=1&page=2")
    'https://host.example/card/a.jpg'
    >>> clean_url("s3://bucket/a?b#c.jpg")
    's3://bucket/a?b#c.jpg'
    """
    if "://" not in url:
        return url
    scheme, rest = url.split("://", 1)
    if scheme in ("s3", "s3a", "gs", "gcs", "file", "local", "memory"):
        host, slash, path = rest.partition("/")
        return f"{scheme}://{host.rpartition('@')[2]}{slash}{path}"
    parts = urlsplit(url)
    query = "" if _SECRET_PARAMETER.search(parts.query) else parts.query
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, query, ""))


def has_password(url: str) -> bool:
    """Whether a URL has a user name or a password before its host.

    >>> has_password("ftp://me:secret@host.example/card"), has_password("s3://bucket/me@home.jpg")
    (True, False)
    """
    return "://" in url and "@" in url.split("://", 1)[1].partition("/")[0]


def open_source(url: str | os.PathLike[str]) -> Storage:
    """Resolve an fsspec URL or a local path.

    Credentials and endpoint come from the standard AWS variables or an fsspec config. Listings are never cached, since
    others write too, and retries are ours alone (:func:`scd_core.storage.retry.retry`).

    Raises:
        InputError: no file system can be made for the URL.
    """
    text = os.fspath(url)
    protocol = text.split("://", 1)[0] if "://" in text else "file"
    options: dict[str, Any] = {}
    if protocol in ("s3", "s3a"):
        # What an fsspec config says of the client (addressing style, proxies, signatures) stays.
        told = {**fsspec.config.conf.get("s3a", {}), **fsspec.config.conf.get("s3", {})}.get("config_kwargs", {})
        options = {"use_listings_cache": False, "config_kwargs": _CLIENT | told | {"retries": {"max_attempts": 0}}}
    try:
        fs, path = fsspec.url_to_fs(text, **options)
    except Exception as error:
        raise InputError(f"{clean_url(text)}: no file system for this URL ({_first_line(error)})") from error
    if (cache := getattr(fs, "dircache", None)) is not None:
        cache.use_listings_cache = False  # not an argument: some file systems hand theirs on to other libraries
        cache.clear()
    if protocol in ("s3", "s3a"):
        fs.retries = 1
        # fsspec would cut "?versionId=" and keep odd slashes; a key is taken as it is written.
        path = text.split("://", 1)[1].rpartition("@")[2] if "@" in text.split("/", 3)[2] else text.split("://", 1)[1]
        protocol = "s3"  # an object has one address, by which media are told apart, however its bucket was named
    elif isinstance(fs, LocalFileSystem):
        path = _one_path(path)
    return Storage(fs, protocol, path.rstrip("/") or path)


def _one_path(path: str) -> str:
    """A path without doubled slashes and dots, so that a folder has one name; links are resolved only where `..` needs it."""
    clean = os.path.realpath(path) if ".." in path.split("/") else os.path.normpath(path)
    return f"/{clean.lstrip('/')}" if path.startswith("/") else clean


def _first_line(error: BaseException) -> str:
    return scrub(error) or type(error).__name__


class Storage:
    """A file system and a root folder in it.

    Args:
        fs: the fsspec file system.
        protocol: scheme of its URLs.
        root: path of the root folder in the file system, without a slash at the end.
    """

    def __init__(self, fs: Any, protocol: str, root: str) -> None:
        self.fs = fs
        self.protocol = protocol
        self.root = root
        self.is_s3 = protocol == "s3"
        self.is_local = isinstance(fs, LocalFileSystem)
        self.is_memory = isinstance(fs, MemoryFileSystem)
        self._etags_are_md5 = True
        self._doubts: dict[str, tuple[bytes, int]] = {}

    # addresses

    @property
    def url(self) -> str:
        """Address of the root, without credentials."""
        return self.uri_of(self.root)

    def uri_of(self, path: str) -> str:
        """Address of a path of the file system, without credentials."""
        if self.is_local:
            return f"file://{path}"
        if self.is_s3:
            return f"{self.protocol}://{path}"
        return clean_url(str(self.fs.unstrip_protocol(path)))

    def path(self, relative: str) -> str:
        """Path of a file below the root.

        Raises:
            ValueError: the name would lead outside the root.
        """
        if not self.is_s3 and (".." in PurePosixPath(relative).parts or PurePosixPath(relative).is_absolute()):
            raise ValueError(f"{relative!r} leads outside {self.url}")
        return f"{self.root}/{relative}" if self.root not in ("", "/") else f"{self.root}{relative}"

    def for_uri(self, uri: str) -> Storage:
        """The storage that holds an address: this one, or another for a manifest that names files elsewhere."""
        if uri.split("://", 1)[0] == self.url.split("://", 1)[0] and (self.is_local or self.is_s3 or self.is_memory):
            return self
        return self if uri.startswith(f"{self.url}/") else open_source(uri)

    def path_of(self, uri: str) -> str:
        """Path of the file system for an address given by :meth:`uri_of`."""
        if self.is_local:
            return uri.removeprefix("file://")
        if self.is_s3:
            return uri.split("://", 1)[1]
        return str(self.fs._strip_protocol(uri))

    # listing

    def entries(self, relative: str = "", *, versions: bool = False) -> Iterator[Entry]:
        """All objects below a folder of the root, at any depth, in no promised order; folders themselves are left out.

        A folder that is not there holds nothing.

        Args:
            relative: folder below the root; empty for all.
            versions: tell the version of each object, where the bucket keeps versions.

        Raises:
            RunError: the storage did not answer.
            OSError: the storage refused.
        """
        folder = self.path(relative) if relative else self.root
        if self.is_local:
            yield from disk.entries_below(folder)
        elif self.is_s3:
            yield from self._s3_entries(folder, versions)
        else:
            yield from self._other_entries(folder)

    def _s3_entries(self, folder: str, versions: bool) -> Iterator[Entry]:
        bucket, _, prefix = folder.partition("/")
        prefix = f"{prefix}/" if prefix else ""
        method = "list_object_versions" if versions and self._has_versions(bucket) else "list_objects_v2"
        yield from self._s3_pages(bucket, prefix, method)

    def has_versions(self) -> bool:
        """Whether this is a bucket that keeps versions, as far as these credentials may see.

        Raises:
            RunError: the storage did not answer.
        """
        return self.is_s3 and self._has_versions(self.root.partition("/")[0])

    def _has_versions(self, bucket: str) -> bool:
        """Whether the bucket keeps versions and these credentials may list them; without that right the ETag serves.

        The answer goes into every media_id, so a refusal counts only when it is repeated.
        """

        def ask(method: str, **arguments: Any) -> dict[str, Any] | None:
            for _ in range(LOOKS):
                try:
                    return self._s3(f"s3://{bucket}", method, Bucket=bucket, **arguments)
                except PermissionError:
                    time.sleep(LOOK_SECONDS)
                except OSError as error:
                    if http_status(error) in (405, 501):  # a server without versions
                        return None
                    raise
            return None

        status = ask("get_bucket_versioning")
        if status is None or status.get("Status") not in ("Enabled", "Suspended"):
            return False
        return ask("list_object_versions", MaxKeys=1) is not None

    def _s3_pages(self, bucket: str, prefix: str, method: str) -> Iterator[Entry]:
        versions = method == "list_object_versions"
        page: dict[str, Any] = {}
        while True:
            answer = self._s3(
                f"s3://{bucket}/{prefix}",
                method,
                "IsTruncated",
                Bucket=bucket,
                Prefix=prefix,
                MaxKeys=PAGE_KEYS,
                **page,
            )
            for item in answer.get("Versions" if versions else "Contents", ()):
                if (versions and not item["IsLatest"]) or (item["Key"].endswith("/") and item["Size"] == 0):
                    continue
                version = item.get("VersionId")
                yield Entry(
                    f"{bucket}/{item['Key']}",
                    int(item["Size"]),
                    item["ETag"].strip('"'),
                    None if version in (None, "", "null") else version,
                    item["LastModified"].astimezone(UTC),
                )
            if not answer.get("IsTruncated"):
                return
            if versions:
                page = {"KeyMarker": answer["NextKeyMarker"]}
                if answer.get("NextVersionIdMarker"):
                    page["VersionIdMarker"] = answer["NextVersionIdMarker"]
            else:
                page = {"ContinuationToken": answer["NextContinuationToken"]}

    def _other_entries(self, folder: str) -> Iterator[Entry]:
        found = retry(lambda: self.fs.find(folder, detail=True), f"list {self.uri_of(folder)}")
        for path, info in found.items():
            if info.get("type") == "directory":
                continue
            etag, modified = _state(self.fs, path, info)
            yield Entry(path, int(info.get("size") or 0), etag, None, modified)

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

    def read_head(self, path: str, length: int) -> bytes:
        """The first bytes of an object; raises as :meth:`read` does."""
        if self.is_local:
            with Path(path).open("rb") as handle:
                return handle.read(length)
        if not self.is_s3:
            return retry(lambda: self.fs.cat_file(path, start=0, end=length), f"read {self.uri_of(path)}")
        bucket, _, key = path.partition("/")

        async def get() -> bytes:
            answer = await self.fs._call_s3("get_object", Bucket=bucket, Key=key, Range=f"bytes=0-{length - 1}")
            return await answer["Body"].read()

        try:
            return retry(lambda: self._wait(get, length), f"read {self.uri_of(path)}")
        except OSError as error:
            if error_code(error) == "InvalidRange":  # an object without bytes
                return b""
            raise

    def _read(self, path: str, etag: str | None, size: int | None, version_id: str | None) -> bytes:
        if self.is_s3:
            return self._read_s3(path, etag, size, version_id)
        found: str | None
        if self.is_local:
            data, found = disk.read_file(path)
        else:
            data, found = self.fs.cat_file(path), None
            if etag is not None:
                found = _state(self.fs, path, self.fs.info(path))[0]
        if etag is not None and found is not None and found != etag:
            raise ObjectChangedError(f"changed after it was listed (was {etag}, is {found})")
        if size is not None and len(data) != size:
            raise ObjectChangedError(f"changed after it was listed ({size} bytes then, {len(data)} now)")
        return data

    def _read_s3(self, path: str, etag: str | None, size: int | None, version_id: str | None) -> bytes:
        bucket, _, key = path.partition("/")
        wanted = {"VersionId": version_id} if version_id else ({"IfMatch": f'"{etag}"'} if etag else {})

        async def get() -> tuple[bytes, dict[str, Any]]:
            answer = await self.fs._call_s3("get_object", Bucket=bucket, Key=key, **wanted)
            body = answer["Body"]
            try:
                return await body.read(), _holding(answer, "ETag")
            finally:
                body.close()

        try:
            data, answer = self._wait(get, size or 0)
        except OSError as error:
            if http_status(error) == 412 or error_code(error) == "PreconditionFailed":
                raise ObjectChangedError(f"changed after it was listed (its ETag was {etag})") from error
            raise
        found = answer["ETag"].strip('"')
        if etag is not None and found != etag:
            raise ObjectChangedError(f"changed after it was listed (was {etag}, is {found})")
        expected = answer.get("ContentLength", len(data)) if size is None else size
        if len(data) != expected:  # the ETag is the same: the object is not another, its body is
            raise ShortReadError(f"{len(data)} of {expected} bytes arrived")
        is_encrypted = answer.get("SSECustomerAlgorithm") or "kms" in str(answer.get("ServerSideEncryption"))
        if _MD5.fullmatch(found) and not is_encrypted:
            self._check_digest(path, data, found)
        return data

    def _check_digest(self, path: str, data: bytes, etag: str) -> None:
        """Find out when a body was damaged on its way: the ETag of an object written by one plain put is its MD5.

        A server may say otherwise: where the body is the same as often as it is asked for, it is believed, here and from
        then on.
        """
        digest = hashlib.md5(data, usedforsecurity=False)
        if not self._etags_are_md5 or digest.hexdigest() == etag:
            return
        before, times = self._doubts.pop(path, (b"", 0))
        times = times + 1 if before == digest.digest() else 1
        if times == LOOKS:
            self._etags_are_md5 = False
            return
        self._doubts[path] = digest.digest(), times
        raise ShortReadError("the body that arrived is not the one that was written")

    def head(self, path: str, version_id: str | None = None) -> Entry | None:
        """What a listing would say of one object; None where it is not there.

        Raises:
            PermissionError: the right to read it is missing.
            RunError: the storage did not answer.
        """
        if self.is_local:
            return disk.entry_at(path)
        if not self.is_s3:
            try:
                info = retry(lambda: self.fs.info(path), f"look at {self.uri_of(path)}")
            except FileNotFoundError:
                return None
            if info.get("type") == "directory":
                return None
            etag, modified = _state(self.fs, path, info)
            return Entry(path, int(info.get("size") or 0), etag, None, modified)
        bucket, _, key = path.partition("/")
        wanted = {"VersionId": version_id} if version_id else {}
        try:
            answer = self._s3(self.uri_of(path), "head_object", "ETag", Bucket=bucket, Key=key, **wanted)
        except FileNotFoundError:
            return None
        version = answer.get("VersionId")
        return Entry(
            path,
            int(answer["ContentLength"]),
            answer["ETag"].strip('"'),
            None if version in (None, "", "null") else version,
            answer["LastModified"].astimezone(UTC),
        )

    def head_or_denied(self, path: str) -> Entry | None:
        """As :meth:`head`, but None too where looking is forbidden and stays so: S3 refuses what it may not list."""
        for _ in range(LOOKS - 1):
            try:
                return self.head(path)
            except PermissionError:
                time.sleep(LOOK_SECONDS)
        try:
            return self.head(path)
        except PermissionError:
            return None

    def is_denied(self, path: str, version_id: str | None = None) -> bool:
        """Whether a refusal is the last word: what a sick server says once must not cost an image its row."""
        for _ in range(LOOKS):
            try:
                self.head(path, version_id)
            except PermissionError:
                time.sleep(LOOK_SECONDS)
            else:
                return False
        return True

    def exists(self, path: str) -> bool:
        """Whether there is an object at a path; raises as :meth:`head` does."""
        return self.head(path) is not None

    # writing

    def create(self, path: str, data: bytes) -> bool:
        """Write a new object whole, or leave the one that is there.

        Returns:
            True where the object now there has this content; False where another has been there before. (A put may
            have been done although its answer was lost, and HTTP clients repeat it unasked; the content tells.)

        Raises:
            RunError: the storage did not answer.
            OSError: the storage refused.
        """
        for _ in range(LOOKS):
            if self._create(path, data):
                return True
            with contextlib.suppress(FileNotFoundError):  # removed since: try again
                return self.read(path) == data
        return False

    def _create(self, path: str, data: bytes) -> bool:
        if self.is_local:
            return disk.create_file(Path(self.root), Path(path), data)
        if self.is_memory:
            with _MEMORY_LOCK:
                if self.fs.exists(path):
                    return False
                self.fs.pipe_file(path, data)
                return True

        def put() -> bool:
            try:
                self._pipe(path, data, is_new=True)
            except OSError as error:
                if not _is_conflict(error):
                    raise
                if error_code(error) in _UNDECIDED:
                    raise _ConflictError(f"another writer is at {self.uri_of(path)}") from error
                return False
            return True

        return retry(put, f"write {self.uri_of(path)}")

    def put(self, path: str, data: bytes) -> None:
        """Write an object whole, replacing one that is there; readers see the old or the new, never a mixture."""
        if self.is_local:
            disk.replace_file(Path(self.root), Path(path), data)
        else:
            retry(lambda: self._pipe(path, data), f"write {self.uri_of(path)}")

    def delete(self, path: str) -> None:
        """Remove an object; one that is not there is no error."""
        with contextlib.suppress(FileNotFoundError):
            if self.is_s3:
                bucket, _, key = path.partition("/")
                self._s3(self.uri_of(path), "delete_object", Bucket=bucket, Key=key)
            else:
                retry(lambda: self.fs.rm_file(path), f"delete {self.uri_of(path)}")

    def remove_empty_folders(self, relative: str) -> None:
        """Remove a folder of a local disk and those in it, as far as they are empty."""
        for folder, _, _ in os.walk(self.path(relative), topdown=False):
            with contextlib.suppress(OSError):
                Path(folder).rmdir()

    def _s3(self, where: str, method: str, expected: str | None = None, **arguments: Any) -> dict[str, Any]:
        """A request, tried again where its answer lacks what it must have: a gateway's page is no answer of S3."""

        def ask() -> dict[str, Any]:
            answer: dict[str, Any] = self._wait(lambda: self.fs._call_s3(method, **arguments), 0)
            return _holding(answer, expected) if expected else answer

        return retry(ask, f"{method} {where}")

    def _pipe(self, path: str, data: bytes, *, is_new: bool = False) -> None:
        if not self.is_s3:
            self.fs.pipe_file(path, data, **({"mode": "create"} if is_new else {}))
            return
        # One put, whole or not done, up to 5 GB; s3fs would begin a multipart upload at 100 MB.
        bucket, _, key = path.partition("/")
        condition = {"IfNoneMatch": "*"} if is_new else {}
        put = {"Bucket": bucket, "Key": key, "Body": data, **condition}
        _holding(self._wait(lambda: self.fs._call_s3("put_object", **put), len(data)), "ETag")

    def _wait(self, request: Callable[[], Any], size: int) -> Any:
        """What a request answers; a server that lets single bytes drip does not hold a run for ever."""
        return sync(self.fs.loop, request, timeout=REQUEST_SECONDS + size / SLOWEST)


def _holding(answer: dict[str, Any], expected: str) -> dict[str, Any]:
    if expected not in answer:
        raise ForeignAnswerError(f"the answer has no {expected}; is something else at this address?")
    return answer


_UNDECIDED = ("ConditionalRequestConflict", "OperationAborted")


class _ConflictError(ConnectionError):
    """409: two create-only puts met; the outcome is open, so ask again."""


def _is_conflict(error: BaseException) -> bool:
    """Whether a create-only put was refused because the object is there: AWS, Ceph and moto word it differently."""
    if isinstance(error, FileExistsError):
        return True
    return http_status(error) in (409, 412) or error_code(error) in ("PreconditionFailed", *_UNDECIDED)


def _state(fs: Any, path: str, info: dict[str, Any]) -> tuple[str, datetime]:
    """ETag (or what stands in for it) and time of writing on a file system that is neither S3 nor a disk."""
    moment = next(
        (info[k] for k in ("LastModified", "last_modified", "mtime", "modified", "updated") if info.get(k)), None
    )
    if moment is None:
        try:
            moment = fs.modified(path)
        except (NotImplementedError, OSError):
            moment = info.get("created")
    if isinstance(moment, int | float):
        moment = datetime.fromtimestamp(moment, UTC)
    elif isinstance(moment, str):
        try:
            moment = datetime.fromisoformat(moment)
        except ValueError:
            moment = None
    if not isinstance(moment, datetime):
        moment = datetime.fromtimestamp(0, UTC)
    moment = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    tag = next((str(info[k]) for k in ("ETag", "etag", "md5Hash", "content_md5") if info.get(k)), None)
    return (tag.strip('"') if tag else moment.isoformat()), moment
