"""Listing a bucket of millions: pages read without botocore's slow parser, folders listed side by side."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple
from urllib.parse import unquote

from scd_core.storage.entry import Entry, LeaveOut
from scd_core.storage.threads import chain_ahead

__all__ = ["Page", "list_in_parts", "parsed_page", "read_pages_quickly", "reading_pages"]

LISTERS = 8
"""Folders listed at once."""
_LEVELS = 3
"""Folders below SOURCE down to which it is parted for them."""
_PAGES_AHEAD = 2
_FIELD = "TrapauditPage"
_ITEMS = frozenset({"Contents", "Version"})
_bucket: ContextVar[str | None] = ContextVar("trapaudit_listed_bucket", default=None)


@dataclass(frozen=True)
class Page:
    """One answer to a request for a listing."""

    entries: list[Entry]
    folders: list[str]
    """Keys of folders that the answer does not look into, each with its slash; only where it was asked to stop at folders."""
    next: dict[str, Any] | None
    """What the request for the next page is to have; None on the last one."""


AskPage = Callable[[str, bool, dict[str, Any]], Page]
"""Prefix of keys, whether to stop at the folders in it, and what the last page gave -> a page."""


def list_in_parts(ask: AskPage, prefix: str, leave_out: LeaveOut) -> Iterator[Entry]:
    """All objects below a prefix in order of their keys, without some folders; large ones are listed in several threads.

    Args:
        ask: gives one page; called in several threads.
        prefix: empty, or the key of a folder with its slash.
        leave_out: folders that are not listed, by their path below the prefix.
    """
    if not leave_out.is_above(""):
        first = ask(prefix, False, {})
        if first.next is None:
            yield from first.entries
            return
    for entries in chain_ahead(_parts(ask, prefix, len(prefix), leave_out, _LEVELS), LISTERS, _PAGES_AHEAD):
        yield from entries


def _parts(ask: AskPage, prefix: str, root: int, leave_out: LeaveOut, levels: int) -> Iterator[Iterator[list[Entry]]]:
    """What is listed one after the other: the entries beside the folders of a prefix, and the pages of each folder."""
    after: dict[str, Any] | None = {}
    while after is not None:
        page = ask(prefix, True, after)
        after = page.next
        beside: list[Entry] = []
        for item in _in_order(page):
            if isinstance(item, Entry):
                beside.append(item)
                continue
            if beside:
                yield iter([beside])
                beside = []
            folder = item[root:-1]
            if leave_out.leaves_out(folder):
                continue
            if leave_out.is_above(folder) or (levels > 1 and len(page.folders) < LISTERS):
                yield from _parts(ask, item, root, leave_out, levels - 1)
            else:
                yield _pages(ask, item)
        if beside:
            yield iter([beside])


def _pages(ask: AskPage, prefix: str) -> Iterator[list[Entry]]:
    after: dict[str, Any] | None = {}
    while after is not None:
        page = ask(prefix, False, after)
        after = page.next
        yield page.entries


def _in_order(page: Page) -> list[Entry | str]:
    """Entries and folders of a page by their keys; an entry's path begins with its bucket."""
    keyed: list[tuple[str, Entry | str]] = [(entry.path.partition("/")[2], entry) for entry in page.entries]
    keyed += [(folder, folder) for folder in page.folders]
    return [item for _, item in sorted(keyed, key=lambda pair: pair[0])]


class _Parsed(NamedTuple):
    entries: list[Entry]
    folders: list[str]


@contextmanager
def reading_pages(bucket: str) -> Iterator[None]:
    """Have the answers to listings that are asked for inside read by :func:`read_pages_quickly`."""
    token = _bucket.set(bucket)
    try:
        yield
    finally:
        _bucket.reset(token)


def read_pages_quickly(client: Any) -> None:
    """Have a client read its listings without botocore's dictionary of every object, which takes most of the time of a listing.

    Only answers to requests inside :func:`reading_pages` are read so; the client's other users see nothing of it.
    """
    for operation in ("ListObjectsV2", "ListObjectVersions"):
        client.meta.events.register(f"before-parse.s3.{operation}", _read_page, unique_id=f"trapaudit-{operation}")


def parsed_page(answer: dict[str, Any], following: dict[str, Any] | None) -> Page:
    """The page in an answer."""
    found: _Parsed = answer.get(_FIELD) or _Parsed([], [])
    return Page(found.entries, found.folders, following)


def _read_page(response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_: Any) -> None:
    """Take objects and folders out of an answer before botocore reads it; one that is no listing is left to botocore."""
    bucket = _bucket.get()
    if bucket is None or response_dict["status_code"] >= 300:
        return
    try:
        root = ET.fromstring(response_dict["body"])
    except ET.ParseError:
        return
    name = root.tag.rpartition("}")[2]
    if name not in ("ListBucketResult", "ListVersionsResult"):
        return
    is_quoted = any(_name(child) == "EncodingType" and child.text == "url" for child in root)
    read = unquote if is_quoted else str
    entries: list[Entry] = []
    folders: list[str] = []
    others: list[ET.Element] = []
    for child in root:
        kind = _name(child)
        if kind in _ITEMS:
            if (entry := _entry(bucket, child, read)) is not None:
                entries.append(entry)
        elif kind == "CommonPrefixes":
            folders += [read(part.text or "") for part in child]
        elif kind != "DeleteMarker":
            others.append(child)
    root[:] = others
    customized_response_dict[_FIELD] = _Parsed(entries, folders)
    response_dict["body"] = ET.tostring(root)


def _entry(bucket: str, item: ET.Element, read: Callable[[str], str]) -> Entry | None:
    """The object of an element; None for an empty one that marks a folder, and for a version that is not the latest."""
    fields = {_name(field): field.text or "" for field in item}
    if fields.get("IsLatest", "true") != "true":
        return None
    key, size = read(fields["Key"]), int(fields["Size"])
    if not size and key.endswith("/"):
        return None
    version = fields.get("VersionId")
    modified = datetime.fromisoformat(fields["LastModified"])
    if modified.tzinfo is not UTC:
        modified = modified.astimezone(UTC)
    return Entry(
        f"{bucket}/{key}", size, fields["ETag"].strip('"'), None if version in (None, "", "null") else version, modified
    )


def _name(element: ET.Element) -> str:
    return element.tag.rpartition("}")[2]
