"""Facts about media from a manifest beside them: a Camtrap DP package, or its table of deployments or media alone."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property

from scd_core.errors import InputError
from scd_core.inputs.addresses import address_in_store
from scd_core.inputs.camtrap_dp import Table, package_tables
from scd_core.inputs.csv import has_column
from scd_core.inputs.joining import fold_path
from scd_core.inputs.text import decode_text, read_object
from scd_core.media.left_out import left_out_kind
from scd_core.media.manifest_join import MediaJoin, join_media
from scd_core.media.manifest_tables import ManifestFacts, TableRows, read_deployments, read_media
from scd_core.media.metadata import PathFacts
from scd_core.storage import Storage, open_source, storage_of
from scd_core.storage.entry import Entry
from scd_core.storage.objects import ObjectRef
from scd_core.storage.threads import ordered_map

__all__ = ["Manifest", "ManifestFacts", "find_manifest", "is_manifest", "manifest_objects", "read_manifest"]


_WORKERS = 16
_NAMES = ("datapackage.json", "deployments.csv", "deployments.csv.gz")
_MEDIA_NAMES = ("media.csv", "media.csv.gz")


@dataclass(frozen=True)
class Manifest:
    """Facts by deployment and by medium."""

    url: str
    deployments: Mapping[str, ManifestFacts] = field(default_factory=dict)
    media: Mapping[str, ManifestFacts] = field(default_factory=dict)
    """By the full address of the medium, or by its path on another machine."""
    elsewhere: Mapping[str, str] = field(default_factory=dict)
    """Path on another machine -> why nothing is read there; it counts only for a medium of SOURCE whose path ends so."""
    tables: Sequence[TableRows] = ()
    """Counts of what was read: of deployments, then of media."""
    warnings: Sequence[str] = ()
    """What of it could not be read at all, in words."""

    def lookup(self, ref: ObjectRef, path: PathFacts, names: Mapping[str, str]) -> ManifestFacts | None:
        """Facts of a medium: by its name here, else by the deployment its path names.

        Names of deployments that differ in case or Unicode form alone are one, unless the manifest has several of them.

        Args:
            ref: the listed object.
            path: facts from its path.
            names: of :meth:`join`.
        """
        if (name := self.name_of(ref.uri, names)) is not None:
            return self.media[name]
        for part in (path.deployment_id, *reversed(ref.file.split("/")[:-1]), path.camera_id):
            if part is not None and (key := _same(part, self.deployments, self._folded_deployments)) is not None:
                return self.deployments[key]
        return None

    def name_of(self, uri: str, names: Mapping[str, str]) -> str | None:
        """The name here of a medium; None where it has none. `names` are of :meth:`join`."""
        return uri if uri in self.media else names.get(uri)

    def join(self, objects: Iterable[ObjectRef]) -> MediaJoin:
        """Join the media here to those of SOURCE, all of them, since what a name means depends on the others."""
        return join_media(self.media, {ref.uri: ref.file for ref in objects}) if self.media else MediaJoin()

    @cached_property
    def _folded_deployments(self) -> Mapping[str, str]:
        return _folded(self.deployments)


def _folded(names: Iterable[str]) -> dict[str, str]:
    """Name without case and Unicode form -> the one name that is so."""
    found: dict[str, list[str]] = defaultdict(list)
    for name in names:
        found[fold_path(name)].append(name)
    return {key: same[0] for key, same in found.items() if len(same) == 1}


def _same(name: str, names: Mapping[str, object], folded: Mapping[str, str]) -> str | None:
    return name if name in names else folded.get(fold_path(name))


def is_manifest(source: str) -> bool:
    """Whether SOURCE names a manifest instead of a folder."""
    return source.lower().endswith((".csv", ".csv.gz", "datapackage.json"))


def manifest_objects(source: str) -> list[ObjectRef]:
    """The media a manifest names, as they are in storage now; one that is not there has an empty ETag.

    Raises:
        InputError: the manifest cannot be read, or names no media that may be read.
        RunError: the storage did not answer.
    """
    manifest = read_manifest(source)
    if not manifest.media:
        why = next(
            (table.examples[0] for table in manifest.tables if table.unusable), "expected a column filePath or file"
        )
        raise InputError(f"manifest {manifest.url}: names no media; {why}")
    home = open_source(source)
    folder = home.at(home.root.rpartition("/")[0])
    inside = {folder.uri_of(entry.path): entry for entry in folder.entries(versions=True)}
    files = {uri: uri.removeprefix(f"{folder.url}/") for uri in inside}
    join = join_media(manifest.media, {uri: file for uri, file in files.items() if left_out_kind(file) is None})
    uri_of = {name: uri for uri, name in join.names.items()}

    def ref(name: str) -> ObjectRef:
        uri = uri_of.get(name, name)
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

    read = sorted(name for name in manifest.media if name in uri_of or name not in manifest.elsewhere)
    if not read:
        raise InputError(f"manifest {manifest.url}: names no media; {next(iter(manifest.elsewhere.values()))}")
    found = ordered_map(read, ref, _WORKERS, ahead=4 * _WORKERS)
    return list({item.uri: item for item in found}.values())


def find_manifest(source: str) -> Manifest | None:
    """The manifest that SOURCE names, or the one in SOURCE or in the folder above it; None where there is none.

    ``datapackage.json`` is looked for first, then ``deployments.csv``, gzipped or not. One beside the pictures that cannot
    be read is passed over, and leaves its reason in the warnings of what is returned.

    Raises:
        InputError: SOURCE names a manifest that cannot be read.
        RunError: the storage did not answer.
    """
    storage = open_source(source)
    if is_manifest(source):
        return (
            read_manifest(source)
            if (found := storage.head(storage.root)) is None
            else _remembered(storage, found, True)
        )
    warnings: list[str] = []
    url = ""
    for path in _places(storage):
        if (found := storage.head_or_denied(path)) is None:
            continue
        manifest = _remembered(storage, found, False)
        url = url or manifest.url
        warnings += manifest.warnings
        if manifest.tables:
            return replace(manifest, warnings=tuple(warnings))
    return Manifest(url, warnings=tuple(warnings)) if warnings else None


def _places(storage: Storage) -> Iterator[str]:
    for folder in (storage.root, storage.root.rpartition("/")[0]):
        if folder:
            yield from (f"{folder}/{name}" for name in _NAMES)


_LOCK = threading.Lock()
_LAST: dict[str, tuple[Entry, bool, Manifest]] = {}


def _remembered(storage: Storage, found: Entry, is_named: bool) -> Manifest:
    """A manifest may have 100 000 lines and each shard of a run needs it: the last one read is kept."""
    with _LOCK:
        uri = storage.uri_of(found.path)
        if uri not in _LAST or _LAST[uri][:2] != (found, is_named):
            _LAST.clear()
            _LAST[uri] = (found, is_named, _read(storage, found.path, is_named))
        return _LAST[uri][2]


def read_manifest(url: str) -> Manifest:
    """Read a Camtrap DP ``datapackage.json`` or a table of deployments.

    Of a package (0.1.7 to 1.0.2) the resources ``deployments`` and ``media`` are read, gzipped or not. A CSV file with a column
    ``file`` or ``filePath`` is a table of media with the deployment's columns in it; beside another, ``media.csv`` is read too,
    gzipped or not. Columns used: deploymentID, locationID or
    locationName, cameraID, latitude, longitude, deploymentStart, deploymentEnd, timestampIssues; filePath, timestamp, with
    those of older versions (``start``, ``location_name``). The offset of ``deploymentStart`` is the camera clock's. A path is
    read where :func:`scd_core.inputs.addresses.address_in_store` allows it; other rows are counted as not usable, unless they
    are a path on another machine that ends as the path of a medium does.

    Args:
        url: fsspec URL or path of ``datapackage.json`` or a CSV file.

    Raises:
        InputError: it cannot be read, or lacks a table that it needs.
    """
    storage = open_source(url)
    return _read(storage, storage.root, True)


def _read(storage: Storage, path: str, is_named: bool) -> Manifest:
    """Read a manifest; one that the user did not name gives what can be read of it, and warnings."""
    where = f"manifest {storage.uri_of(path)}"
    tables: dict[str, Table] = {}
    try:
        content = read_object(storage, path, where)
        if path.lower().endswith(".json"):
            names: tuple[str, ...] = ("deployments", "media")
        else:
            is_media = has_column(decode_text(content, where), "filePath", "file_path", "file")
            names = ("media",) if is_media else ("deployments", "media")
    except InputError as error:
        if is_named:
            raise
        return Manifest(storage.uri_of(path), warnings=(f"{error}; no manifest is used",))
    folder = path.rpartition("/")[0]
    unread: dict[str, list[str]] = defaultdict(list)
    for name in names:
        try:
            if path.lower().endswith(".json"):
                tables |= package_tables(storage, folder, content, where, (name,))
            else:
                tables |= {name: Table(((where, content),))} if name == names[0] else _media_beside(storage, folder)
        except InputError as error:
            if is_named:
                raise
            unread[str(error)].append(name)
    warnings = [f"{why}; its {' and '.join(of)} are not used" for why, of in unread.items()]
    if "deployments" in names and "deployments" not in tables and not warnings:
        missing = f"{where}: has no resource 'deployments'; expected a Camtrap DP package"
        if is_named:
            raise InputError(missing)
        warnings.append(f"{missing}; no deployment is read")
    return _facts_of(storage, path, tables, warnings, is_named)


def _media_beside(storage: Storage, folder: str) -> dict[str, Table]:
    """The table of media beside one of deployments, where there is one."""
    for name in _MEDIA_NAMES:
        if storage.head_or_denied(path := f"{folder}/{name}") is not None:
            where = f"manifest {storage.uri_of(path)}"
            return {"media": Table(((where, read_object(storage, path, where)),))}
    return {}


def _facts_of(
    storage: Storage, path: str, tables: Mapping[str, Table], warnings: Sequence[str], is_named: bool
) -> Manifest:
    folder = path.rpartition("/")[0]
    deployments: dict[str, ManifestFacts] = {}
    media: dict[str, ManifestFacts] = {}
    counts: list[TableRows] = []
    for name, table in tables.items():
        rows = TableRows(name, f"manifest {storage.uri_of(folder)}/")
        counts.append(rows)
        lines = table.lines()
        if name == "deployments":
            deployments = read_deployments(lines, rows)
        else:
            known = deployments if "deployments" in tables else None
            media = read_media(lines, known, rows, lambda text, where: address_in_store(storage, folder, text, where))
    elsewhere = {path: why for rows in counts for path, why in rows.elsewhere.items()}
    return Manifest(storage.uri_of(path), deployments, media, elsewhere, tuple(counts), tuple(warnings))
