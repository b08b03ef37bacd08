"""Facts about media from a manifest beside them: a Camtrap DP package, or its table of deployments or media alone."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from scd_core.errors import InputError
from scd_core.inputs.camtrap_dp import package_tables
from scd_core.inputs.csv import Line, has_column, read_csv
from scd_core.inputs.text import decode_text, read_object
from scd_core.media.metadata import PathFacts
from scd_core.media.times import Moment, parse_time
from scd_core.storage import Storage, clean_url, open_source, storage_of
from scd_core.storage.entry import Entry
from scd_core.storage.objects import ObjectRef
from scd_core.storage.threads import ordered_map

__all__ = ["Manifest", "ManifestFacts", "find_manifest", "is_manifest", "manifest_objects", "read_manifest"]


_WORKERS = 16
_TRUE = frozenset({"true", "1", "yes", "t", "y"})


@dataclass(frozen=True)
class ManifestFacts:
    """What a manifest holds about one medium or one deployment; None where it holds nothing."""

    site_id: str | None = None
    camera_id: str | None = None
    deployment_id: str | None = None
    latitude: float | None = None
    longitude: float | None = None
    moment: Moment | None = None
    """When the picture was taken."""
    utc_offset_minutes: int | None = None
    """The clock's, in the whole deployment."""
    starts: datetime | None = None
    """When the deployment began, on the camera's clock, without a zone."""
    ends: datetime | None = None
    """When it ended."""
    has_timestamp_issues: bool = False
    """A person has noted that the clock was wrong (``timestampIssues``)."""


@dataclass(frozen=True)
class Manifest:
    """Facts by deployment and by medium."""

    url: str
    deployments: Mapping[str, ManifestFacts] = field(default_factory=dict)
    media: Mapping[str, ManifestFacts] = field(default_factory=dict)
    """By the full address of the medium."""

    def lookup(self, ref: ObjectRef, path: PathFacts) -> ManifestFacts | None:
        """Facts of a medium: by its address, else by the deployment its path names.

        Args:
            ref: the listed object.
            path: facts from its path.
        """
        if (facts := self.media.get(ref.uri)) is not None:
            return facts
        for name in (path.deployment_id, *reversed(ref.file.split("/")[:-1]), path.camera_id):
            if name is not None and (facts := self.deployments.get(name)) is not None:
                return facts
        return None


def is_manifest(source: str) -> bool:
    """Whether SOURCE names a manifest instead of a folder."""
    return source.lower().endswith((".csv", "datapackage.json"))


def manifest_objects(source: str) -> list[ObjectRef]:
    """The media a manifest names, as they are in storage now; one that is not there has an empty ETag.

    Raises:
        InputError: the manifest cannot be read, or names no media.
        RunError: the storage did not answer.
    """
    manifest = read_manifest(source)
    if not manifest.media:
        raise InputError(f"manifest {manifest.url}: names no media; expected a column filePath or file")
    home = open_source(source)
    folder = home.at(home.root.rpartition("/")[0])
    inside = {folder.uri_of(entry.path): entry for entry in folder.entries(versions=True)}

    def ref(uri: str) -> ObjectRef:
        entry = inside.get(uri)
        if entry is None:
            other = storage_of(uri, home)
            try:
                entry = other.head(other.path_of(uri))
            except OSError:
                entry = None
        file = uri.removeprefix(f"{folder.url}/")
        if entry is None:
            return ObjectRef(uri, file, 0, "", None, datetime.fromtimestamp(0, UTC))
        return ObjectRef(uri, file, entry.size, entry.etag, entry.version_id, entry.modified)

    return list(ordered_map(sorted(manifest.media), ref, _WORKERS, ahead=4 * _WORKERS))


def find_manifest(source: str) -> Manifest | None:
    """The manifest in SOURCE or in the folder above it; None where there is none.

    ``datapackage.json`` is looked for first, then ``deployments.csv``.

    Raises:
        InputError: there is one, and it cannot be read.
    """
    storage = open_source(source)
    if is_manifest(source):
        return read_manifest(source) if (found := storage.head(storage.root)) is None else _remembered(storage, found)
    above = storage.root.rpartition("/")[0]
    for folder in (storage.root, above):
        for name in ("datapackage.json", "deployments.csv"):
            path = f"{folder}/{name}"
            if not folder:
                continue
            found = storage.head_or_denied(path)
            if found is not None:
                return _remembered(storage, found)
    return None


_LOCK = threading.Lock()
_LAST: dict[str, tuple[Entry, Manifest]] = {}


def _remembered(storage: Storage, found: Entry) -> Manifest:
    """A manifest may have 100 000 lines and each shard of a run needs it: the last one read is kept."""
    with _LOCK:
        uri = storage.uri_of(found.path)
        if uri not in _LAST or _LAST[uri][0] != found:
            _LAST.clear()
            _LAST[uri] = (found, _read(storage, found.path))
        return _LAST[uri][1]


def read_manifest(url: str) -> Manifest:
    """Read a Camtrap DP ``datapackage.json`` or a table of deployments.

    Of a package the resources ``deployments`` and ``media`` are read. A CSV file with a column ``file`` or ``filePath``
    is a table of media with the deployment's columns in it. Columns used: deploymentID, locationID or
    locationName, cameraID, latitude, longitude, deploymentStart; filePath, timestamp. Times are ISO 8601; their offset
    is the camera clock's.

    Args:
        url: fsspec URL or path of ``datapackage.json`` or a CSV file.

    Raises:
        InputError: it cannot be read, or lacks a column that it needs.
    """
    storage = open_source(url)
    return _read(storage, storage.root)


def _read(storage: Storage, path: str) -> Manifest:
    where = f"manifest {storage.uri_of(path)}"
    folder = path.rpartition("/")[0]
    content = read_object(storage, path, where)
    if path.lower().endswith(".json"):
        tables = package_tables(storage, folder, content, where, ("deployments", "media"))
        if "deployments" not in tables:
            raise InputError(f"{where}: has no resource 'deployments'; expected a Camtrap DP package")
        deployments = _deployments(tables["deployments"].lines())
        media = tables["media"].lines() if "media" in tables else ()
    else:
        text = decode_text(content, where)
        is_media = has_column(text, "filePath", "file")
        deployments = {} if is_media else _deployments(read_csv(text, where))
        media = read_csv(text, where) if is_media else ()
    return Manifest(storage.uri_of(path), deployments, _media(media, deployments, storage, folder))


def _deployments(lines: Iterable[Line]) -> dict[str, ManifestFacts]:
    found: dict[str, ManifestFacts] = {}
    for line in lines:
        name = line.first("deploymentID", "deployment_id")
        if name is None:
            raise InputError(f"{line.where} has no deploymentID")
        found[name] = _facts(line)
    return found


def _facts(line: Line) -> ManifestFacts:
    start = _time(line.first("deploymentStart", "start") or "")
    end = _time(line.first("deploymentEnd", "end") or "", is_end=True)
    return ManifestFacts(
        site_id=line.first("locationName", "locationID", "site_id"),
        camera_id=line.first("cameraID", "camera_id"),
        deployment_id=line.first("deploymentID", "deployment_id"),
        latitude=_degrees(line, "latitude", 90),
        longitude=_degrees(line, "longitude", 180),
        utc_offset_minutes=start.offset if start else None,
        starts=start.local if start else None,
        ends=end.local if end else None,
        has_timestamp_issues=(line.first("timestampIssues", "timestamp_issues") or "").lower() in _TRUE,
    )


def _media(
    lines: Iterable[Line], deployments: Mapping[str, ManifestFacts], storage: Storage, folder: str
) -> dict[str, ManifestFacts]:
    found = {}
    for line in lines:
        path = line.first("filePath", "file")
        if path is None:
            raise InputError(f"{line.where} has no filePath")
        if "://" not in path and (path.startswith("/") or ".." in path.split("/")):
            raise InputError(f"{line.where}: {path!r} leads outside the manifest's folder")
        address = clean_url(path) if "://" in path else storage.uri_of(f"{folder}/{path.removeprefix('./')}")
        name = line.first("deploymentID", "deployment_id")
        base = deployments.get(name or "") or _facts(line)
        found[address] = replace(base, moment=_time(line.first("timestamp", "captured_at") or ""))
    return found


def _time(text: str, *, is_end: bool = False) -> Moment | None:
    """A time of a table; a date alone is its first moment, or its last where `is_end`."""
    if (moment := parse_time(text)) is not None:
        return moment
    day = parse_time(f"{text} 00:00")
    return Moment(day.local + timedelta(days=1)) if day and is_end else day


def _degrees(line: Line, column: str, limit: int) -> float | None:
    text = line[column]
    if not text:
        return None
    try:
        value = float(text)
    except ValueError as error:
        raise InputError(f"{line.where}: {column} {text!r} is no number") from error
    if not -limit <= value <= limit:
        raise InputError(f"{line.where}: {column} {text!r} is outside -{limit} to {limit}")
    return value
