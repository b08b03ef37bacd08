"""Where a path in a manifest may lead: below the manifest's own folder, or to its own bucket; nothing else is requested."""

from __future__ import annotations

import contextlib
import re
from urllib.parse import unquote

from scd_core.errors import InputError
from scd_core.storage import Storage, clean_url

__all__ = ["address_in_store", "is_of_other_machine", "path_below"]

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")
"""With slashes or without, as `http:host/a.jpg` and `data:...`; one letter is a drive, and `./a1:b.jpg` a file."""
_DRIVE = re.compile(r"[A-Za-z]:/")
_BUCKETS = {"s3a": "s3", "gcs": "gs"} | {name: name for name in ("s3", "gs", "az", "abfs", "abfss", "oss", "oci")}
"""Schemes whose first part is a bucket, in one spelling each."""


def address_in_store(storage: Storage, folder: str, path: str, where: str) -> str:
    """The address that a path in a manifest names.

    Args:
        storage: the storage that holds the manifest.
        folder: path of its folder in the storage's file system.
        path: as written: relative to the folder, or a full address; backslashes are slashes.
        where: file and line, for messages.

    Raises:
        InputError: it leads outside the folder, and outside the manifest's bucket. Nothing is requested to find that out.
    """
    base, text = storage.uri_of(folder).rstrip("/") + "/", path.strip().replace("\\", "/")
    outside = InputError(f"{where}: {path[:200]!r} leads outside the manifest's folder and store; it is not read")
    if ".." in (unquote(part) for part in text.split("/")) or "\0" in text:
        raise outside
    if (scheme := _SCHEME.match(text)) and text[scheme.end() : scheme.end() + 1] != "/":
        raise InputError(f"{outside}; if it is a file's name, write ./ before it")
    if "://" in text or scheme:
        address = clean_url(text)
        if "::" in text or not (_as_one(address).startswith(base) or _is_same_bucket(address, base)):
            raise outside
        return _as_one(address)
    if text.startswith("/") or _DRIVE.match(text):
        address = storage.uri_of(text)
        if not address.startswith(base):
            raise outside
        return address
    while text.startswith("./"):
        text = text[2:]
    return storage.uri_of(f"{folder}/{text}")


def is_of_other_machine(path: str) -> bool:
    """Whether a path is absolute on a disk, such as another computer's: a name to be found again, never an address to read.

    >>> [is_of_other_machine(path) for path in ("D:\\\\a.jpg", "/home/me/a.jpg", "c/a.jpg", "file:///a.jpg", "/a/../b.jpg")]
    [True, True, False, False, False]
    """
    text = path.strip().replace("\\", "/")
    is_absolute = text.startswith("/") or _DRIVE.match(text) is not None
    return is_absolute and ".." not in (unquote(part) for part in text.split("/")) and "\0" not in text


def path_below(storage: Storage, folder: str, path: object, where: str) -> str:
    """The path, in the storage's file system, of a table that a package names.

    Args:
        storage: the storage that holds the package.
        folder: path of its folder.
        path: as ``datapackage.json`` has it.
        where: name of that file in messages.

    Raises:
        InputError: it is no text, or leads outside the package's folder; a table at a URL is never requested.
    """
    if not isinstance(path, str) or not path.strip():
        raise InputError(f"{where}: path {path!r} of a table is no text; expected one such as 'media.csv'")
    address = None
    with contextlib.suppress(InputError):
        address = address_in_store(storage, folder, path, where)
    if address is None or not address.startswith(storage.uri_of(folder).rstrip("/") + "/"):
        raise InputError(
            f"{where}: path {path[:200]!r} leads outside the package; put the table beside datapackage.json"
        )
    return storage.path_of(address)


def _as_one(address: str) -> str:
    """An address in the spelling of its scheme that the storages give."""
    scheme, _, rest = address.partition("://")
    return f"{_BUCKETS.get(scheme.lower(), scheme.lower())}://{rest}"


def _is_same_bucket(address: str, base: str) -> bool:
    scheme, _, rest = _as_one(address).partition("://")
    other_scheme, _, other = _as_one(base).partition("://")
    bucket = rest.partition("/")[0]
    return scheme in _BUCKETS and scheme == other_scheme and bool(bucket) and bucket == other.partition("/")[0]
