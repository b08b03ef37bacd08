"""A read-only file system over OUT, so that DuckDB reads the audit's own files and nothing else."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from fsspec.spec import AbstractFileSystem

__all__ = ["PROTOCOL", "AuditFileSystem"]

PROTOCOL = "audit"


class AuditFileSystem(AbstractFileSystem):
    """The files below OUT as ``audit://<path relative to OUT>``, for reading only.

    Args:
        fs: file system that holds OUT.
        root: path of OUT in it, without a slash at the end.
    """

    protocol = PROTOCOL
    cachable = False

    def __init__(self, fs: AbstractFileSystem, root: str) -> None:
        super().__init__()
        self._fs = fs
        self._root = root

    def _real(self, path: str) -> str:
        relative = str(self._strip_protocol(path)).lstrip("/")
        if ".." in relative.split("/"):
            raise PermissionError(f"{path}: leads outside OUT")
        return f"{self._root}/{relative}"

    def _open(self, path: str, mode: str = "rb", **kwargs: Any) -> Any:
        if mode != "rb":
            raise PermissionError(f"{path}: the audit's files are read-only")
        return self._fs.open(self._real(path), "rb")

    def glob(self, path: str, maxdepth: int | None = None, **kwargs: Any) -> Any:
        """Paths below OUT that fit a pattern; PermissionError where it leads outside."""
        self._real(path)
        return super().glob(path, maxdepth=maxdepth, **kwargs)

    def info(self, path: str, **kwargs: Any) -> dict[str, Any]:
        """Name, size and type of a file; FileNotFoundError where there is none."""
        found = self._fs.info(self._real(path))
        return {"name": path, "size": found["size"], "type": found["type"]}

    def modified(self, path: str) -> datetime:
        """The same moment for every file: the audit's files are written once and never change."""
        return datetime(1970, 1, 1, tzinfo=UTC)

    def ls(self, path: str, detail: bool = True, **kwargs: Any) -> list[Any]:
        """Entries of a folder below OUT."""
        found = self._fs.ls(self._real(path), detail=True)
        entries = [entry | {"name": entry["name"][len(self._root) :].lstrip("/")} for entry in found]
        return entries if detail else [entry["name"] for entry in entries]
