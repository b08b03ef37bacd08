"""What a manifest beside the images says of them: a Camtrap DP package, or its table of deployments alone."""

from __future__ import annotations

import csv
import io
import json
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from scd_core.errors import InputError
from scd_core.media.metadata import PathFacts
from scd_core.storage import Storage, clean_url, open_source, storage_of
from scd_core.storage.entry import Entry
from scd_core.storage.objects import ObjectRef
from scd_core.storage.threads import ordered_map

__all__ = ["Manifest", "ManifestFacts", "find_manifest", "is_manifest", "manifest_objects", "read_manifest"]


_WORKERS = 16


@dataclass(frozen=True)
class ManifestFacts:
    """What a manifest says of one medium or one deployment; None where it says nothing."""

    site_id: str | None = None
    camera_id: str | None = None
    deployment_id: str | None = None
    latitude: float | None = None
    longitude: float | None = None
    captured_at: datetime | None = None
    """On the camera's clock, without a zone."""
    utc_offset_minutes: int | None = None


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
            path: what its path says.
        """
        if (told := self.media.get(ref.uri)) is not None:
            return told
        for name in (path.deployment_id, *reversed(ref.file.split("/")[:-1]), path.camera_id):
            if name is not None and (told := self.deployments.get(name)) is not None:
                return told
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
    """A manifest may have 100 000 lines and is asked for by each shard of a run: the last one read is kept."""
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
    uri = storage.uri_of(path)
    folder = path.rpartition("/")[0]
    if not path.lower().endswith(".json"):
        rows = _table(storage, path)
        if rows and ("filePath" in rows[0] or "file" in rows[0]):
            return Manifest(uri, {}, _media(rows, {}, storage, folder, uri))
        return Manifest(uri, _deployments(rows, uri))
    try:
        package = json.loads(storage.read(path))
        resources = {item["name"]: item for item in package["resources"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"manifest {uri}: is no data package ({error}); expected JSON with a list of resources"
        ) from error
    tables: dict[str, list[dict[str, str]]] = {}
    for name in ("deployments", "media"):
        if name in resources:
            tables[name] = [row for part in _parts(resources[name]) for row in _part(storage, folder, part, uri)]
    if "deployments" not in tables:
        raise InputError(f"manifest {uri}: has no resource 'deployments'; expected a Camtrap DP package")
    deployments = _deployments(tables["deployments"], uri)
    return Manifest(uri, deployments, _media(tables.get("media", []), deployments, storage, folder, uri))


def _parts(resource: Mapping[str, Any]) -> list[Any]:
    if isinstance(resource.get("data"), list):
        return [resource["data"]]
    path = resource.get("path", [])
    return path if isinstance(path, list) else [path]


def _part(storage: Storage, folder: str, part: Any, uri: str) -> list[dict[str, str]]:
    if isinstance(part, list):
        return [{str(k): "" if v is None else str(v) for k, v in row.items()} for row in part]
    if "://" in str(part):
        remote = open_source(str(part))
        return _table(remote, remote.root)
    if ".." in str(part).split("/") or str(part).startswith("/"):
        raise InputError(f"manifest {uri}: path {part!r} leads outside the package")
    return _table(storage, f"{folder}/{part}")


def _table(storage: Storage, path: str) -> list[dict[str, str]]:
    uri = storage.uri_of(path)
    try:
        text = storage.read(path).decode("utf-8-sig")
        return [{k: v or "" for k, v in row.items() if k is not None} for row in csv.DictReader(io.StringIO(text))]
    except (OSError, ValueError, csv.Error) as error:
        raise InputError(f"manifest {uri}: cannot be read ({error}); expected a UTF-8 CSV file") from error


def _deployments(rows: Iterable[Mapping[str, str]], uri: str) -> dict[str, ManifestFacts]:
    found: dict[str, ManifestFacts] = {}
    for number, row in enumerate(rows, start=2):
        name = row.get("deploymentID") or row.get("deployment_id")
        if not name:
            raise InputError(f"manifest {uri}: line {number} has no deploymentID")
        found[name] = _facts(row, name, f"{uri}: line {number}")
    return found


def _facts(row: Mapping[str, str], deployment_id: str | None, where: str) -> ManifestFacts:
    return ManifestFacts(
        site_id=row.get("locationName") or row.get("locationID") or row.get("site_id") or None,
        camera_id=row.get("cameraID") or row.get("camera_id") or None,
        deployment_id=deployment_id,
        latitude=_degrees(row.get("latitude", ""), 90, f"{where}: latitude"),
        longitude=_degrees(row.get("longitude", ""), 180, f"{where}: longitude"),
        utc_offset_minutes=_offset(_time(row.get("deploymentStart", ""))),
    )


def _media(
    rows: Iterable[Mapping[str, str]], deployments: Mapping[str, ManifestFacts], storage: Storage, folder: str, uri: str
) -> dict[str, ManifestFacts]:
    found = {}
    for number, row in enumerate(rows, start=2):
        path = row.get("filePath") or row.get("file")
        if not path:
            raise InputError(f"manifest {uri}: media line {number} has no filePath")
        if "://" not in path and (path.startswith("/") or ".." in path.split("/")):
            raise InputError(f"manifest {uri}: media line {number}: {path!r} leads outside the manifest's folder")
        address = clean_url(path) if "://" in path else storage.uri_of(f"{folder}/{path.removeprefix('./')}")
        name = row.get("deploymentID") or row.get("deployment_id") or None
        base = deployments.get(name or "") or _facts(row, name, f"{uri}: line {number}")
        moment = _time(row.get("timestamp") or row.get("captured_at") or "")
        offset = _offset(moment)
        found[address] = replace(
            base,
            captured_at=moment.replace(tzinfo=None) if moment else None,
            utc_offset_minutes=base.utc_offset_minutes if offset is None else offset,
        )
    return found


def _time(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text.strip())
    except ValueError:
        return None


def _offset(moment: datetime | None) -> int | None:
    delta = moment.utcoffset() if moment else None
    return None if delta is None else round(delta.total_seconds() / 60)


def _degrees(text: str, limit: int, where: str) -> float | None:
    if not text.strip():
        return None
    try:
        value = float(text)
    except ValueError as error:
        raise InputError(f"manifest {where} {text!r} is no number") from error
    if not -limit <= value <= limit:
        raise InputError(f"manifest {where} {text!r} is outside -{limit} to {limit}")
    return value
