"""What was handed in for an audit, joined to the media of SOURCE."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from scd_core.config import MediaConfig
from scd_core.inputs.counts import LEFT_OUT, FileCounts
from scd_core.inputs.detections import Detections, Entry
from scd_core.inputs.expected import Expected
from scd_core.inputs.flags import Flags
from scd_core.inputs.joining import MediaIndex
from scd_core.inputs.labels import LabelFile
from scd_core.inputs.predictions import GivenEntry, Predictions
from scd_core.media import Manifest, find_manifest
from scd_core.media.left_out import left_out_words
from scd_core.media.manifest_counts import manifest_counts
from scd_core.media.metadata import path_facts
from scd_core.storage import clean_url
from scd_core.storage.object_table import Listing

__all__ = ["Joined", "join_inputs"]


@dataclass(frozen=True)
class Joined:
    """What was handed in for the media of SOURCE, joined to them."""

    names: Mapping[str, GivenEntry] | None = None
    """Medium, as a path relative to SOURCE -> the names that another tool gave; None where the model gives them."""
    boxes: Mapping[str, Entry] | None = None
    """Medium, as a path relative to SOURCE -> what the detections hold about it; None where no detections were given."""
    flagged: frozenset[str] = frozenset()
    """Addresses of the media that people flagged."""
    inputs: tuple[FileCounts, ...] = ()
    """What became of the rows of each file."""
    manifest_names: Mapping[str, str] = field(default_factory=dict)
    """Address of a medium -> its name in a manifest, where that is not the address."""


def join_inputs(
    source_url: str,
    config: MediaConfig,
    listing: Listing,
    *,
    predictions: Predictions | None,
    detections: Detections | None,
    flags: Flags | None,
    labels: LabelFile | None,
    expected: Expected | None = None,
) -> Joined:
    """Join what was handed in and a manifest to the media of SOURCE, and count what became of each file's rows.

    Args:
        source_url: SOURCE.
        config: settings of the media stage.
        listing: of SOURCE; of all its media, where something is given or there is a manifest.
        predictions: names that another tool gave; None for none, as for the others.
        detections: boxes.
        flags: files to look at.
        labels: names that people gave.
        expected: individuals that are expected, by place and time.

    Raises:
        InputError: detections or flags do not fit the media, or SOURCE names a manifest that cannot be read.
        RunError: the storage of SOURCE did not answer.
    """
    counts: list[FileCounts] = []
    boxes: Mapping[str, Entry] | None = None
    flagged: frozenset[str] = frozenset()
    names: Mapping[str, GivenEntry] | None = None
    files, source = [item.file for item in listing.objects], clean_url(source_url)
    if predictions is not None:
        join = predictions.join(files, source)
        names = predictions.by_file(join)
        counts.append(predictions.counts(join, len(files)))
        if detections is None and (own := predictions.detections) is not None:
            boxes = own.entries(own.join(files, source, strict=False))
    if detections is not None:
        join = detections.join(files, source)
        boxes = detections.entries(join)
        counts.append(detections.counts(join, len(files)))
    if flags is not None or labels is not None:
        media = MediaIndex((item.uri, item.file) for item in listing.objects)
        if flags is not None:
            flagged, of_flags = flags.join(media)
            counts.append(of_flags)
        if labels is not None:
            counts.append(labels.join(media))
    if listing.left_out:
        n = sum(one.n for one in listing.left_out)
        examples = tuple(left_out_words(listing.left_out))
        counts.append(FileCounts(LEFT_OUT, clean_url(source_url), n, unusable=n, examples=examples))
    in_manifest: Mapping[str, str] = {}
    manifest = find_manifest(source_url)
    if expected is not None:
        counts.append(expected.counts(_places(listing, config, manifest)))
    if manifest is not None:
        of_manifest = manifest.join(listing.objects)
        in_manifest = of_manifest.names
        counts += manifest_counts(manifest, listing.objects, config, of_manifest)
    return Joined(names, boxes, flagged, tuple(counts), in_manifest)


def _places(listing: Listing, config: MediaConfig, manifest: Manifest | None) -> set[tuple[str | None, str | None]]:
    """Camera and site of the media, as their paths and a manifest give them."""
    names = manifest.join(listing.objects).names if manifest is not None else {}
    found = set()
    for item in listing.objects:
        path = path_facts(item.file, config)
        facts = manifest.lookup(item, path, names) if manifest is not None else None
        found.add(
            (
                (facts.camera_id if facts else None) or path.camera_id,
                (facts.site_id if facts else None) or path.site_id,
            )
        )
    return found
