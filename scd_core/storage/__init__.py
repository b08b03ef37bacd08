"""Storage: objects in S3, on a disk or in any other fsspec file system, listed, read and written create-only."""

from scd_core.storage.base import Storage
from scd_core.storage.open import open_source, storage_of
from scd_core.storage.urls import clean_url, has_password

__all__ = ["Storage", "clean_url", "has_password", "open_source", "storage_of"]
