"""What an audit is asked to do, checked before any work starts."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from scd_core.audit.labels.importing import check_labels
from scd_core.config import AuditConfig
from scd_core.errors import InputError
from scd_core.identify.package import read_package
from scd_core.identify.spec import PackageSpec
from scd_core.inputs.config import load_config
from scd_core.inputs.detections import Detection, Detections, read_detections
from scd_core.inputs.flags import read_flags
from scd_core.inputs.joining import PathIndex
from scd_core.inputs.labels import Label, read_labels
from scd_core.media import batch_levels, list_source
from scd_core.names import MediaStatus
from scd_core.storage import clean_url, has_password, open_source
from scd_core.storage.objects import ObjectRef
from scd_core.tables.batches import Batch, split_complete
from scd_core.tables.plans import plan_batches
from scd_core.tables.store import AuditStore

__all__ = ["Job", "Shard", "boxes_of", "count_new", "list_job", "plan_job", "prepare_job"]


@dataclass(frozen=True)
class Job:
    """One audit of a SOURCE with a model, its inputs read and checked."""

    source: str
    model: str
    out: str
    config: AuditConfig
    spec: PackageSpec
    model_digest: str
    detections: Detections | None = None
    labels_url: str | None = None
    labels: Sequence[Label] | None = None
    flags: Mapping[str, str] = field(default_factory=dict)
    allow_unknown_labels: bool = False

    @property
    def config_digest(self) -> str:
        """Hash over everything besides the objects and the model that can change a row."""
        told: Any = None
        if self.detections is not None:
            boxes = {file: [str(box) for box in found] for file, found in self.detections.boxes.items()}
            told = boxes | dict(self.detections.failures)
        content = json.dumps([self.config.digest, told, sorted(self.flags)], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Shard:
    """What a task needs besides its rows: small, and the same on any machine."""

    source: str
    model: str
    model_digest: str
    out: str
    batch_key: str
    config: AuditConfig


def prepare_job(
    source: str,
    model: str,
    out: str,
    *,
    detections: str | None = None,
    labels: str | None = None,
    flags: str | None = None,
    config: str | Mapping[str, Any] | AuditConfig | None = None,
    allow_unknown_labels: bool = False,
) -> Job:
    """Read and check everything an audit is given, except SOURCE itself.

    Raises:
        InputError: an input cannot be used, or OUT cannot be written; nothing was written then.
    """
    for url in (source, model, out, detections, labels, flags, config):
        if isinstance(url, str) and has_password(url):
            raise InputError(
                f"{clean_url(url)}: user names and passwords do not belong in a URL, which Prefect's server keeps; "
                "use the AWS variables or an fsspec config"
            )
    if isinstance(config, Mapping):
        settings = AuditConfig.from_mapping(config, "config")
    else:
        settings = config if isinstance(config, AuditConfig) else load_config(config)
    package = read_package(model)
    job = Job(
        source=source,
        model=model,
        out=out,
        config=settings,
        spec=package.spec,
        model_digest=package.digest,
        detections=read_detections(detections) if detections else None,
        labels_url=labels,
        labels=read_labels(labels).labels if labels else None,
        flags=read_flags(flags) if flags else {},
        allow_unknown_labels=allow_unknown_labels,
    )
    AuditStore(out).check_writable()
    return job


def list_job(job: Job, *, only_complete: bool = False) -> tuple[list[ObjectRef], int]:
    """List SOURCE, and hold labels, flags and detections against it.

    Args:
        job: a prepared job.
        only_complete: leave out uploads that are still under way (no marker file, and not quiet for long enough).

    Returns:
        The objects to audit, and how many wait for their upload to be complete.

    Raises:
        InputError: SOURCE cannot be listed, holds no images or is OUT; labels, flags or detections do not fit it. Files of
            an OUT below SOURCE are left out.
    """
    settings = job.config.media
    if open_source(job.source).url.rstrip("/") == open_source(job.out).url.rstrip("/"):
        raise InputError(
            f"OUT {clean_url(job.out)}: is SOURCE itself; choose a folder of its own, or the audit's files would be audited"
        )
    listing = list_source(job.source, settings, job.out)
    objects = listing.objects
    files = [item.file for item in objects]
    known = {*files, *(item.uri for item in objects)}
    if job.labels is not None and not job.allow_unknown_labels:
        doubts = check_labels(job.labels, known, job.spec.labels)
        if doubts:
            raise InputError(f"{doubts[0]}; mend the file, or pass --allow-unknown-labels where this is meant")
    _check_flags(job.flags, known)
    if job.detections is not None:
        job.detections.match(files, source=clean_url(job.source))
    if not only_complete:
        return objects, 0
    ready, waiting = split_complete(
        objects,
        listing.markers,
        batch_levels=batch_levels(settings),
        quiet_seconds=settings.quiet_seconds,
        now=datetime.now(UTC),
    )
    return ready, len(waiting)


def count_new(job: Job, objects: Sequence[ObjectRef]) -> int:
    """How many objects are not committed for this model and these settings; reads only."""
    done = AuditStore(job.out).media_statuses(job.model_digest, job.config_digest)
    return sum(1 for item in objects if done.get(item.media_id, MediaStatus.MISSING) == MediaStatus.MISSING)


def plan_job(job: Job, objects: Sequence[ObjectRef]) -> list[Batch]:
    """Batches of what is not committed yet, unfinished ones of earlier runs included, oldest first.

    Raises:
        RunError: OUT could not be read or written.
    """
    settings = job.config.media
    return plan_batches(
        AuditStore(job.out),
        objects,
        model_digest=job.model_digest,
        config_digest=job.config_digest,
        batch_size=settings.batch_size,
        batch_levels=batch_levels(settings),
    )


def boxes_of(job: Job, files: Collection[str]) -> dict[str, tuple[Detection, ...] | str] | None:
    """Detections by media file, for some files, or why the detector gave none; None where no detections were given."""
    if job.detections is None:
        return None
    source = clean_url(job.source)
    boxes = job.detections.match(files, strict=False, source=source)
    return boxes | job.detections.failed([file for file in files if file not in boxes], source)


def _check_flags(flags: Mapping[str, str], known: Collection[str]) -> None:
    missing = PathIndex(known).absent(flags)
    if missing:
        raise InputError(
            f"flags: {len(missing)} of {len(flags)} files are not in SOURCE, first {missing[0]!r}; "
            "paths must be relative to SOURCE, or full URIs"
        )
