"""The job that is made of an audit's request: inputs read and checked before any work starts."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, NamedTuple

from scd_core.audit.labels.checks import check_labels
from scd_core.audit.labels.importing import known_names
from scd_core.config import AuditConfig
from scd_core.errors import InputError
from scd_core.identify.available import Searched
from scd_core.identify.package import Package, read_package
from scd_core.identify.spec import PackageSpec
from scd_core.inputs.detections import Detections, read_detections
from scd_core.inputs.expected import Expected, read_expected
from scd_core.inputs.flags import Flags, read_flags
from scd_core.inputs.joining import MediaIndex
from scd_core.inputs.labels import LabelFile, read_labels
from scd_core.inputs.limits import file_limits
from scd_core.inputs.predictions import Predictions, read_predictions
from scd_core.inputs.taxonomy import lineages_of, relations_of
from scd_core.joined import Joined, join_inputs
from scd_core.kept_out import without_forgotten, without_names
from scd_core.media import batch_levels, find_manifest, list_source
from scd_core.media.metadata import folder_levels
from scd_core.request import AuditRequest, settings_of, settings_with_model
from scd_core.storage import clean_url, has_password, open_source
from scd_core.storage.object_table import ObjectTable
from scd_core.storage.objects import ObjectRef
from scd_core.tables.batches import Batch, folder_of, split_complete
from scd_core.tables.closed import ClosedFolders, close_folders, closed_folders
from scd_core.tables.done import done_media, not_done
from scd_core.tables.forgetting import settle_forgotten
from scd_core.tables.plans import plan_batches
from scd_core.tables.store import AuditStore

__all__ = ["Job", "Listed", "Shard", "list_job", "plan_job", "prepare_job"]


@dataclass(frozen=True)
class Job:
    """A request whose inputs are read and checked."""

    request: AuditRequest
    config: AuditConfig
    spec: PackageSpec | None
    """Of the model package; None without a model."""
    model_digest: str
    """Of what gives the names: the package, or the file of predictions, with the package that explains them."""
    package_digest: str | None = None
    """Of the model package; None without a model."""
    predictions: Predictions | None = None
    detections: Detections | None = None
    labels: LabelFile | None = None
    flags: Flags | None = None
    expected: Expected | None = None
    gallery_digest: str | None = None
    """sha256 of the package's gallery; None without one, or where names were given."""
    joined: Joined = field(default_factory=Joined)
    """Set once SOURCE is listed (:func:`list_job`)."""
    is_shadow: bool = False
    """Of a second model that names beside the one in use."""

    @property
    def names(self) -> tuple[str, ...]:
        """The names that can be given, as far as they are known."""
        if self.predictions is not None:
            return self.predictions.names
        return tuple(dict.fromkeys(self.spec.labels)) if self.spec is not None else ()

    @property
    def lineages(self) -> dict[str, str]:
        """Name -> lineage, of the names that the predictions or the model package place in a taxonomy."""
        of_labels = lineages_of((name, name) for name in self.names) if self.predictions is None else {}
        stated = relations_of(self.spec.relations or {}) if self.spec is not None else {}
        return of_labels | stated | dict(self.predictions.lineages if self.predictions is not None else {})

    @property
    def searched(self) -> Searched:
        """What each picture is searched among."""
        return Searched(self.names, self.expected, self.gallery_digest)

    @property
    def unknown_threshold(self) -> float | None:
        """Probability below which the model calls a name `unknown`; None where there is no such rule."""
        return self.spec.unknown_threshold if self.spec is not None and self.predictions is None else None

    @property
    def box_use_warning(self) -> str | None:
        """A line where the package names by boxes and is shown whole frames, or the reverse; else None."""
        stated = self.spec.input.box_use if self.spec is not None and self.predictions is None else None
        used = self.config.classify.box_use if self.detections is not None else "locate"
        if stated is None or stated == used:
            return None
        if stated == "locate":
            return "was fitted to whole frames and is shown boxes; leave out the setting classify.box_use"
        mend = "leave out the setting classify.box_use" if self.detections is not None else "give --detections"
        return f"was fitted to boxes of animals and is shown whole frames; {mend}"

    @property
    def model_name(self) -> str:
        """What gives the names, in words."""
        if self.predictions is not None:
            return f"{self.predictions.tool} ({self.predictions.name})"
        return clean_url(self.request.model or "").rstrip("/").rpartition("/")[2]

    @property
    def config_digest(self) -> str:
        """Hash over everything besides the objects and the model that can change a row."""
        boxes: Any = None
        if self.detections is not None:
            found = {file: [str(box) for box in boxes] for file, boxes in self.detections.boxes.items()}
            boxes = found | dict(self.detections.failures) | dict.fromkeys(self.detections.unplaced)
        parts = [self.config.digest, boxes, sorted(self.flags.reasons if self.flags else ())]
        parts += [self.expected.digest] if self.expected else []
        # What a shadow did is not done for the model in use.
        content = json.dumps([*parts, "shadow"] if self.is_shadow else parts, sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Shard:
    """What a task needs besides its rows: small, and the same on any machine."""

    source: str
    model: str | None
    """Address of the model package; None where names were given and no model."""
    model_digest: str
    out: str
    batch_key: str
    config: AuditConfig
    package_digest: str = ""
    """Of the model package."""
    expected: Expected | None = None
    """Individuals that are expected, by place and time."""


def prepare_job(request: AuditRequest) -> Job:
    """Read and check everything an audit is given, except SOURCE itself.

    Raises:
        InputError: an input cannot be used, or OUT cannot be written; nothing was written then.
    """
    for url in (
        request.source,
        request.model,
        request.out,
        request.shadow,
        request.predictions,
        request.detections,
        request.labels,
        request.flags,
        request.expected,
        request.config,
    ):
        if url is not None and has_password(url):
            raise InputError(
                f"{clean_url(url)}: user names and passwords do not belong in a URL, which Prefect's server keeps; "
                "use the AWS variables or an fsspec config"
            )
    with file_limits(settings_of(request.config, request.settings).files):
        return _prepared(request)


def _prepared(request: AuditRequest) -> Job:
    if request.model is None and request.predictions is None:
        raise InputError(
            "nothing gives names: pass --model MODEL, or --predictions FILE for those that another tool gave"
        )
    if request.predictions_column is not None and request.predictions is None:
        raise InputError("--predictions-column: is of a table of predictions; give it with --predictions")
    package = read_package(request.model) if request.model is not None else None
    given = read_predictions(request.predictions, request.predictions_column) if request.predictions else None
    job = Job(
        request=request,
        config=settings_with_model(request, package.spec if package and given is None else None),
        spec=package.spec if package else None,
        model_digest=_digest_of(package, given),
        package_digest=package.digest if package else None,
        predictions=given,
        detections=read_detections(request.detections) if request.detections else None,
        labels=_read_labels(request),
        flags=read_flags(request.flags) if request.flags else None,
        gallery_digest=package.gallery_digest if package and given is None else None,
    )
    if request.expected is not None:
        job = replace(job, expected=read_expected(request.expected).of_names(job.names))
    store = AuditStore(request.out)
    store.committed()  # one of a newer version ends here
    store.check_writable()
    settle_forgotten(store)
    return job


def _digest_of(package: Package | None, given: Predictions | None) -> str:
    """Digest of what gives the names, and of what explains them."""
    if package is None or given is None:
        return given.digest if given is not None else package.digest if package is not None else ""
    return hashlib.sha256(f"{given.digest}:{package.digest}".encode()).hexdigest()


def _read_labels(request: AuditRequest) -> LabelFile | None:
    if request.labels:
        return read_labels(request.labels, column=request.column, by_person=request.by_person)
    if request.column is not None or request.by_person:
        raise InputError(f"{'--by-person' if request.by_person else '--column'}: is of labels; give them with --labels")
    return None


class Listed(NamedTuple):
    """What SOURCE holds for a job."""

    objects: ObjectTable
    """The objects to audit: those that are ready and not committed."""
    n_waiting: int
    """Objects left for later, because their upload is not complete."""
    joined: Joined = Joined()
    """What was handed in, joined to the objects of SOURCE."""
    n_done: int = 0
    """Objects that are committed."""
    n_closed: int = 0
    """Of these, in closed folders, which were not listed."""
    n_closed_folders: int = 0

    @property
    def n_objects(self) -> int:
        """Objects that are ready or committed."""
        return len(self.objects) + self.n_done

    def closed_line(self) -> str | None:
        """What was not listed, in words; None where all was."""
        if not self.n_closed_folders:
            return None
        folders = (
            "a closed folder was" if self.n_closed_folders == 1 else f"{self.n_closed_folders} closed folders were"
        )
        return f"{folders} not listed, with {self.n_closed} committed objects; --all-prefixes lists all"


def list_job(job: Job) -> Listed:
    """List SOURCE, and hold labels, flags and detections against it.

    Args:
        job: a prepared job.

    Returns:
        The objects that are not committed, and what was handed in joined to all of SOURCE. Closed folders are not listed, except
        where something is handed in or a manifest is there, which are held against all media. Where the request leaves uploads
        that are under way to a later run, those wait: no marker file, and not quiet for long enough.

    Raises:
        InputError: SOURCE cannot be listed, holds no images or is OUT; labels, flags or detections do not fit it. Files of
            an OUT below SOURCE are left out.
    """
    with file_limits(job.config.files):
        return _listed(job)


def _listed(job: Job) -> Listed:
    request, settings = job.request, job.config.media
    if open_source(request.source).url.rstrip("/") == open_source(request.out).url.rstrip("/"):
        raise InputError(
            f"OUT {clean_url(request.out)}: is SOURCE itself; choose a folder of its own, "
            "or the audit's files would be audited"
        )
    store = AuditStore(request.out)
    done = done_media(store, job.model_digest, job.config_digest).ids
    needs_all = _needs_all(job)
    place = (store, clean_url(request.source), job.model_digest, job.config_digest, folder_levels(settings))
    lists_all = needs_all or request.all_prefixes or settings.closed_after is None
    closed = ClosedFolders() if lists_all else closed_folders(*place)
    listing = list_source(
        request.source, settings, request.out, follow_links=request.follow_links,
        done=None if needs_all else done, closed=closed,
    )  # fmt: skip
    if job.labels is not None:
        _check_labels(job, job.labels, MediaIndex((item.uri, item.file) for item in listing.objects))
    joined = join_inputs(
        request.source, settings, listing,
        predictions=job.predictions, detections=job.detections, flags=job.flags, labels=job.labels,
        expected=job.expected,
    )  # fmt: skip
    objects, joined = without_forgotten(store, listing, joined, request.source, folder_levels(settings))
    n_all = len(objects)
    if needs_all:
        objects, joined = without_names(store, not_done(objects, done), joined)
    elif settings.closed_after is not None:
        close_folders(*place, listing, closed, settings.closed_after)
    n_done = n_all - len(objects) + listing.n_done + listing.n_closed
    counts = {"n_done": n_done, "n_closed": listing.n_closed, "n_closed_folders": listing.n_closed_folders}
    if not request.only_complete:
        return Listed(objects, 0, joined, **counts)
    levels = batch_levels(settings)
    newest: dict[str, datetime] = {}
    for folder, state in listing.folders.items():
        upload = folder_of(f"{folder}/", levels)
        newest[upload] = max(newest.get(upload, state.newest), state.newest)
    ready, waiting = split_complete(
        objects,
        listing.markers,
        batch_levels=levels,
        quiet_seconds=settings.quiet_seconds,
        now=datetime.now(UTC),
        newest=newest,
    )
    return Listed(ready, len(waiting), joined, **counts)


def _needs_all(job: Job) -> bool:
    """Whether something was given that is held against all media of SOURCE, also those that are done."""
    given = (job.labels, job.flags, job.detections, job.predictions, job.expected)
    return any(one is not None for one in given) or find_manifest(job.request.source) is not None


def plan_job(job: Job, objects: Sequence[ObjectRef]) -> list[Batch]:
    """Batches of what is not committed yet, unfinished ones of earlier runs included, oldest first.

    Raises:
        RunError: OUT could not be read or written.
    """
    settings = job.config.media
    return plan_batches(
        AuditStore(job.request.out),
        objects,
        model_digest=job.model_digest,
        config_digest=job.config_digest,
        batch_size=settings.batch_size,
        batch_levels=batch_levels(settings),
    )


def _check_labels(job: Job, labels: LabelFile, media: MediaIndex) -> None:
    request = job.request
    allow_new_names = request.allow_new_names or request.allow_unknown_labels
    # Names that occur in a file of predictions need not be all that its tool can give.
    allow_new_names = allow_new_names or (job.predictions is not None and job.predictions.vocabulary is None)
    check_labels(
        labels.labels,
        [label.file for label in labels.labels if not media.find(label.file)],
        None if allow_new_names else {*job.names, *known_names(request.out)},
        "SOURCE",
        allow_waiting=request.allow_waiting or request.allow_unknown_labels,
        allow_new_names=allow_new_names,
    )
