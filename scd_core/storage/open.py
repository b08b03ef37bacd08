"""Finding the storage behind an address."""

from __future__ import annotations

import os

import fsspec
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem

from scd_core.errors import InputError
from scd_core.storage.base import Storage
from scd_core.storage.disk import DiskStorage, clean_path
from scd_core.storage.memory import MemoryStorage
from scd_core.storage.other import OtherStorage
from scd_core.storage.retry import scrub
from scd_core.storage.s3 import S3Storage, s3_options, s3_path
from scd_core.storage.urls import clean_url

__all__ = ["open_source", "storage_of"]

_SCHEMES_OF_S3 = ("s3", "s3a")


def open_source(url: str | os.PathLike[str]) -> Storage:
    """Resolve an fsspec URL or a local path.

    Credentials and endpoint come from the standard AWS variables or an fsspec config. Listings are never cached, since
    others write too, and retries are ours alone (:func:`scd_core.storage.retry.retry`).

    Raises:
        InputError: no file system can be made for the URL.
    """
    text = os.fspath(url)
    is_bucket = "://" in text and text.split("://", 1)[0] in _SCHEMES_OF_S3
    try:
        fs, path = fsspec.url_to_fs(text, **(s3_options() if is_bucket else {}))
    except Exception as error:
        why = scrub(error) or type(error).__name__
        raise InputError(f"{clean_url(text)}: no file system for this URL ({why})") from error
    if (cache := getattr(fs, "dircache", None)) is not None:
        cache.use_listings_cache = False  # not an argument: some file systems hand theirs on to other libraries
        cache.clear()
    backend: type[Storage] = OtherStorage
    if is_bucket:
        backend, path = S3Storage, s3_path(text)
    elif isinstance(fs, LocalFileSystem):
        backend, path = DiskStorage, clean_path(path)
    elif isinstance(fs, MemoryFileSystem):
        backend = MemoryStorage
    return backend(fs, path.rstrip("/") or path)


def storage_of(uri: str, near: Storage) -> Storage:
    """The storage that holds an address: the one at hand, or another where a manifest names files elsewhere."""
    return near if near.holds(uri) else open_source(uri)
