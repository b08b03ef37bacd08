"""Addresses that may be printed, stored and hashed: without user names, passwords and signatures."""

from __future__ import annotations

import re
from urllib.parse import urlsplit, urlunsplit

__all__ = ["clean_url", "has_password"]

_SECRET_PARAMETER = re.compile(r"sig|token|key|secret|password|credential|expires|security", re.IGNORECASE)


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
