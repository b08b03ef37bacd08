"""Objects in S3: exact keys, versions, conditional requests, and bodies held against their ETags."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from datetime import UTC
from functools import partial
from pathlib import Path
from typing import Any

import fsspec
from fsspec.asyn import sync

from scd_core.storage.base import Storage
from scd_core.storage.entry import Entry, LeaveOut, ObjectChangedError, check_unchanged
from scd_core.storage.retry import (
    LOOKS,
    ForeignAnswerError,
    ShortReadError,
    error_code,
    http_status,
    is_created,
    look_again,
    retry,
)
from scd_core.storage.s3_listing import Page, list_in_parts, parsed_page, read_pages_quickly, reading_pages

__all__ = ["S3Storage", "s3_options", "s3_path"]

PAGE_KEYS = 1_000
"""Keys of one listing request; servers give no more."""

REQUEST_SECONDS = 120.0
"""Longest one request may take, beside what its body needs."""

SLOWEST = 16_384
"""Bytes per second below which a body counts as stuck."""

_CLIENT = {"connect_timeout": 10, "read_timeout": 60, "max_pool_connections": 32}
_MD5 = re.compile(r"[0-9a-f]{32}")


def s3_options() -> dict[str, Any]:
    """Arguments of the file system: nothing cached, no retries of its own, and the client of an fsspec config."""
    config = {**fsspec.config.conf.get("s3a", {}), **fsspec.config.conf.get("s3", {})}
    # What a config sets of the client (addressing style, proxies, signatures) stays.
    client = _CLIENT | config.get("config_kwargs", {}) | {"retries": {"max_attempts": 0}}
    return {"use_listings_cache": False, "config_kwargs": client}


def s3_path(url: str) -> str:
    """Bucket and key of an address; fsspec would cut ``?versionId=`` and keep odd slashes, but a key is as it is written.

    >>> s3_path("s3a://me:secret@bucket/a?b"), s3_path("s3://bucket/me@home.jpg")
    ('bucket/a?b', 'bucket/me@home.jpg')
    """
    path = url.split("://", 1)[1]
    bucket, slash, key = path.partition("/")
    return f"{bucket.rpartition('@')[2]}{slash}{key}"


class S3Storage(Storage):
    """A prefix of a bucket; a path is ``bucket/key``."""

    listing_is_reading = False

    def __init__(self, fs: Any, root: str) -> None:
        super().__init__(fs, root)
        fs.retries = 1
        self._etags_are_md5 = True
        self._doubts: dict[str, tuple[bytes, int]] = {}

    # addresses: an object has one, from which its media_id is made, however its bucket was named

    def uri_of(self, path: str) -> str:
        return f"s3://{path}"

    def path_of(self, uri: str) -> str:
        return uri.split("://", 1)[1]

    def path(self, relative: str) -> str:
        return self._below(relative)  # dots in a key are letters like any other

    # listing

    def entries(
        self, relative: str = "", *, versions: bool = False, leave_out: LeaveOut | None = None
    ) -> Iterator[Entry]:
        bucket, key = _split(self.path(relative) if relative else self.root)
        prefix = f"{key}/" if key else ""
        method = "list_object_versions" if versions and self.has_versions() else "list_objects_v2"
        if leave_out is not None:
            yield from list_in_parts(partial(self._page, method, bucket), prefix, leave_out)
            return
        after: dict[str, Any] | None = {}
        while after is not None:
            page = self._page(method, bucket, prefix, False, after)
            after = page.next
            yield from page.entries

    def _page(self, method: str, bucket: str, prefix: str, stops_at_folders: bool, after: dict[str, Any]) -> Page:
        arguments = {"Bucket": bucket, "Prefix": prefix, "MaxKeys": PAGE_KEYS, **after}
        if stops_at_folders:
            arguments["Delimiter"] = "/"

        async def get() -> dict[str, Any]:
            await self.fs.set_session()
            read_pages_quickly(await self.fs.get_s3(bucket))
            with reading_pages(bucket):
                answer: dict[str, Any] = await self.fs._call_s3(method, **arguments)
            return answer

        def ask() -> dict[str, Any]:
            return _holding(self._wait(get, 0), "IsTruncated")

        answer = retry(ask, f"{method} s3://{bucket}/{prefix}")
        if not answer["IsTruncated"]:
            return parsed_page(answer, None)
        if method == "list_objects_v2":
            return parsed_page(answer, {"ContinuationToken": answer["NextContinuationToken"]})
        following = {"KeyMarker": answer["NextKeyMarker"]}
        if answer.get("NextVersionIdMarker"):
            following["VersionIdMarker"] = answer["NextVersionIdMarker"]
        return parsed_page(answer, following)

    def has_versions(self) -> bool:
        """Whether the bucket keeps versions and these credentials may list them; without that right the ETag serves.

        The answer goes into every media_id, so a refusal counts only when it is repeated.
        """
        bucket, _ = _split(self.root)

        def answer_of(method: str, **arguments: Any) -> dict[str, Any] | None:
            def call() -> dict[str, Any]:
                return retry(lambda: self._call(method, Bucket=bucket, **arguments), f"{method} s3://{bucket}")

            try:
                return look_again(call)
            except PermissionError:
                return None
            except OSError as error:
                if http_status(error) in (405, 501):  # a server without versions
                    return None
                raise

        status = answer_of("get_bucket_versioning")
        if status is None or status.get("Status") not in ("Enabled", "Suspended"):
            return False
        return answer_of("list_object_versions", MaxKeys=1) is not None

    # reading

    def _read(self, path: str, etag: str | None, size: int | None, version_id: str | None) -> bytes:
        bucket, key = _split(path)
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
        check_unchanged(data, found, etag)
        expected = answer.get("ContentLength", len(data)) if size is None else size
        if len(data) != expected:  # the ETag is the same: the object is not another, its body is
            raise ShortReadError(f"{len(data)} of {expected} bytes arrived")
        is_encrypted = answer.get("SSECustomerAlgorithm") or "kms" in str(answer.get("ServerSideEncryption"))
        if _MD5.fullmatch(found) and not is_encrypted:
            self._check_digest(path, data, found)
        return data

    def _check_digest(self, path: str, data: bytes, etag: str) -> None:
        """Find out when a body was damaged on its way: the ETag of an object written by one plain put is its MD5.

        There are servers whose ETags are something else: where the same body comes as often as it is read, it is
        believed, here and from then on.
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

    def _read_head(self, path: str, length: int) -> bytes:
        bucket, key = _split(path)

        async def get() -> bytes:
            answer = await self.fs._call_s3("get_object", Bucket=bucket, Key=key, Range=f"bytes=0-{length - 1}")
            data: bytes = await answer["Body"].read()
            return data

        try:
            data: bytes = self._wait(get, length)
        except OSError as error:
            if error_code(error) == "InvalidRange":  # an object without bytes
                return b""
            raise
        return data

    def _head(self, path: str, version_id: str | None) -> Entry | None:
        bucket, key = _split(path)
        wanted = {"VersionId": version_id} if version_id else {}
        try:
            answer = self._call("head_object", "ETag", Bucket=bucket, Key=key, **wanted)
        except FileNotFoundError:
            return None
        return _entry(path, answer["ContentLength"], answer)

    def is_denied(self, path: str, version_id: str | None = None) -> bool:
        """As in the interface; what a sick server refuses once must not cost an image its row."""
        try:
            look_again(lambda: self.head(path, version_id))
        except PermissionError:
            return True
        return False

    # writing

    def _create(self, path: str, data: bytes, durable: bool) -> bool:
        return is_created(lambda: self._put(path, data, IfNoneMatch="*"), self.uri_of(path))

    def _put(self, path: str, data: bytes, **condition: str) -> None:
        # One put, whole or not done, up to 5 GB; s3fs would begin a multipart upload at 100 MB.
        bucket, key = _split(path)
        put = {"Bucket": bucket, "Key": key, "Body": data, **condition}
        _holding(self._wait(lambda: self.fs._call_s3("put_object", **put), len(data)), "ETag")

    def upload(self, file: Path, path: str) -> None:
        self.fs.put_file(str(file), path)

    def _delete(self, path: str) -> None:
        bucket, key = _split(path)
        self._call("delete_object", Bucket=bucket, Key=key)

    # one request

    def _call(self, method: str, expected: str | None = None, **arguments: Any) -> dict[str, Any]:
        """An answer that has what it must have: a gateway's page is no answer of S3, and worth another try."""
        answer: dict[str, Any] = self._wait(lambda: self.fs._call_s3(method, **arguments), 0)
        return _holding(answer, expected) if expected else answer

    def _wait(self, request: Callable[[], Any], size: int) -> Any:
        """What a request answers; a server that lets single bytes drip does not hold a run for ever."""
        return sync(self.fs.loop, request, timeout=REQUEST_SECONDS + size / SLOWEST)

    # what went wrong

    def explain(self, error: BaseException) -> str:
        bucket, _ = _split(self.root)
        if isinstance(error, PermissionError):
            return f"forbidden, {error_code(error) or 403}: bucket {bucket}; needs s3:PutObject and s3:GetObject"
        if error_code(error) == "NoSuchBucket":
            return f"there is no bucket {bucket}"
        return super().explain(error)

    def explain_denied(self, path: str, error: PermissionError) -> str:
        bucket, key = _split(path)
        return f"reading is forbidden ({error_code(error) or 403}): bucket {bucket}, key {key}; needs s3:GetObject"

    def explain_gone(self, path: str, error: FileNotFoundError) -> str:
        bucket, key = _split(path)
        return f"vanished after it was listed ({error_code(error) or 404}): bucket {bucket}, key {key}"

    def explain_unlisted(self, error: PermissionError) -> str:
        bucket, prefix = _split(self.root)
        return (
            f"listing is forbidden ({error_code(error) or error}): bucket {bucket}, prefix {prefix!r}; "
            "these credentials need s3:ListBucket"
        )

    def explain_empty(self) -> str:
        return "no object has this prefix; check the bucket and the prefix"


def _split(path: str) -> tuple[str, str]:
    bucket, _, key = path.partition("/")
    return bucket, key


def _entry(path: str, size: int, answer: dict[str, Any]) -> Entry:
    version = answer.get("VersionId")
    return Entry(
        path,
        int(size),
        answer["ETag"].strip('"'),
        None if version in (None, "", "null") else version,
        answer["LastModified"].astimezone(UTC),
    )


def _holding(answer: dict[str, Any], expected: str) -> dict[str, Any]:
    if expected not in answer:
        raise ForeignAnswerError(f"the answer has no {expected}; is something else at this address?")
    return answer
