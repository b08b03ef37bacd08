"""Any other fsspec file system: read as it comes, written create-only as far as it honours that."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from scd_core.storage.base import Storage
from scd_core.storage.entry import Entry, LeaveOut, check_unchanged
from scd_core.storage.retry import is_created, retry
from scd_core.storage.urls import clean_url

__all__ = ["OtherStorage"]


class OtherStorage(Storage):
    """A file system that fsspec knows, such as HTTP, FTP, SFTP, Google's or Azure's."""

    def uri_of(self, path: str) -> str:
        return clean_url(str(self.fs.unstrip_protocol(path)))

    def path_of(self, uri: str) -> str:
        return str(self.fs._strip_protocol(uri))

    def holds(self, uri: str) -> bool:
        return uri.startswith(f"{self.url}/")  # another address may be another host's

    def entries(
        self, relative: str = "", *, versions: bool = False, leave_out: LeaveOut | None = None
    ) -> Iterator[Entry]:
        folder = self.path(relative) if relative else self.root
        found = retry(lambda: self.fs.find(folder, detail=True), f"list {self.uri_of(folder)}")
        for path, info in found.items():
            if info.get("type") != "directory":
                yield self._entry(path, info)

    def _read(self, path: str, etag: str | None, size: int | None, version_id: str | None) -> bytes:
        data: bytes = self.fs.cat_file(path)
        found = None if etag is None else self._entry(path, self.fs.info(path)).etag
        check_unchanged(data, found, etag, size)
        return data

    def _read_head(self, path: str, length: int) -> bytes:
        data: bytes = self.fs.cat_file(path, start=0, end=length)
        return data

    def _head(self, path: str, version_id: str | None) -> Entry | None:
        try:
            info = self.fs.info(path)
        except FileNotFoundError:
            return None
        return None if info.get("type") == "directory" else self._entry(path, info)

    def _create(self, path: str, data: bytes, durable: bool) -> bool:
        return is_created(lambda: self.fs.pipe_file(path, data, mode="create"), self.uri_of(path))

    def _put(self, path: str, data: bytes) -> None:
        self.fs.pipe_file(path, data)

    def upload(self, file: Path, path: str) -> None:
        self.fs.makedirs(path.rpartition("/")[0], exist_ok=True)
        self.fs.put_file(str(file), path)

    def _delete(self, path: str) -> None:
        self.fs.rm_file(path)

    def _entry(self, path: str, info: dict[str, Any]) -> Entry:
        """What is known of a file; where there is no ETag, the time of writing stands in for it."""
        modified = self._modified(path, info)
        tag = next((str(info[k]) for k in ("ETag", "etag", "md5Hash", "content_md5") if info.get(k)), None)
        etag = tag.strip('"') if tag else modified.isoformat()
        return Entry(path, int(info.get("size") or 0), etag, None, modified)

    def _modified(self, path: str, info: dict[str, Any]) -> datetime:
        names = ("LastModified", "last_modified", "mtime", "modified", "updated")
        moment = next((info[name] for name in names if info.get(name)), None)
        if moment is None:
            try:
                moment = self.fs.modified(path)
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
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
