"""A finished file on its way to the folder of an export."""

from __future__ import annotations

from pathlib import Path

from scd_core.errors import RunError
from scd_core.storage import Storage

__all__ = ["send_file"]


def send_file(storage: Storage, local: Path, relative: str) -> None:
    """Put a file of this machine into the folder of an export.

    Args:
        storage: the folder.
        local: the file.
        relative: its path below the folder.

    Raises:
        RunError: it cannot be written.
    """
    path = storage.path(relative)
    try:
        storage.upload(local, path)
    except OSError as error:
        where = storage.uri_of(path)
        raise RunError(
            f"{where}: cannot be written ({error.strerror or error}); export again to another folder"
        ) from error
