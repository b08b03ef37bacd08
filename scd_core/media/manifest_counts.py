"""How many rows of a manifest are of media that are there."""

from __future__ import annotations

from collections.abc import Sequence

from scd_core.config import MediaConfig
from scd_core.inputs.counts import MANIFEST, MAX_EXAMPLES, FileCounts
from scd_core.media.manifest import Manifest
from scd_core.media.metadata import path_facts
from scd_core.storage.objects import ObjectRef

__all__ = ["manifest_counts"]

_MISSED = {"deployments": "no picture is of deployment", "media": "no picture is"}


def manifest_counts(manifest: Manifest, objects: Sequence[ObjectRef], config: MediaConfig) -> list[FileCounts]:
    """What became of the rows of a manifest, table by table, and of what could not be read at all.

    Args:
        manifest: as :func:`scd_core.media.manifest.find_manifest` gives it.
        objects: the media of SOURCE, all of them.
        config: settings of the media stage.

    Raises:
        InputError: the path template or filename pattern of the config is malformed.
    """
    used: dict[str, set[str]] = {"deployments": set(), "media": set()}
    n_without = 0
    for ref in objects:
        facts = manifest.lookup(ref, path_facts(ref.file, config))
        n_without += facts is None
        if ref.etag and facts is not None:
            used["deployments"].add(facts.deployment_id or "")
            used["media"].add(manifest.address_for(ref.uri) or "")
    counts = []
    for table in manifest.tables:
        waiting = {key: n for key, n in table.clean.items() if key not in used[table.name]}
        n_waiting = sum(waiting.values())
        examples = [*table.examples, *(f"{_MISSED[table.name]} {key!r}" for key in waiting)][:MAX_EXAMPLES]
        joined = table.rows - n_waiting - table.not_understood - table.unusable
        counts.append(
            FileCounts(
                MANIFEST, f"{table.name} of {manifest.url}", table.rows, joined, n_waiting, table.not_understood,
                table.unusable, tuple(examples),
            )
        )  # fmt: skip
    notes = [warning.removeprefix(f"manifest {manifest.url}: ") for warning in manifest.warnings]
    if n_without and manifest.tables:
        notes.append(f"{n_without} of {len(objects)} pictures have no deployment in it")
    if notes:
        counts.append(FileCounts(MANIFEST, manifest.url, 0, notes=tuple(notes)))
    return counts
