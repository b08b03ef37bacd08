"""How many rows of a manifest are of media that are there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from scd_core.config import MediaConfig
from scd_core.inputs.counts import MANIFEST, MAX_EXAMPLES, FileCounts
from scd_core.media.left_out import left_out_reason
from scd_core.media.manifest import Manifest
from scd_core.media.manifest_join import MediaJoin
from scd_core.media.manifest_tables import TableRows
from scd_core.media.metadata import path_facts
from scd_core.storage.objects import ObjectRef

__all__ = ["manifest_counts"]

_MISSED = {"deployments": "no picture is of deployment", "media": "no picture is"}


def manifest_counts(
    manifest: Manifest, objects: Sequence[ObjectRef], config: MediaConfig, join: MediaJoin | None = None
) -> list[FileCounts]:
    """What became of the rows of a manifest, table by table, and of what could not be read at all.

    Args:
        manifest: as :func:`scd_core.media.manifest.find_manifest` gives it.
        objects: the media of SOURCE, all of them.
        config: settings of the media stage.
        join: of the manifest and the objects; None makes it.

    Raises:
        InputError: the path template or filename pattern of the config is malformed.
    """
    join = manifest.join(objects) if join is None else join
    used: dict[str, set[str]] = {"deployments": set(), "media": set()}
    n_without = 0
    for ref in objects:
        facts = manifest.lookup(ref, path_facts(ref.file, config), join.names)
        n_without += facts is None
        if ref.etag and facts is not None:
            used["deployments"].add(facts.deployment_id or "")
            used["media"].add(manifest.name_of(ref.uri, join.names) or "")
    counts = []
    for table in manifest.tables:
        reasons = {
            key: f"{key!r} fits {file!r} of SOURCE no better than another" for key, file in join.doubtful.items()
        }
        if table.name == "media":
            reasons |= _left_out(manifest, table.clean)
        waiting = {key: n for key, n in table.clean.items() if key not in used[table.name]}
        refused = {key: waiting.pop(key) for key in list(waiting) if key in reasons or key in table.elsewhere}
        n_waiting, n_unusable = sum(waiting.values()), table.unusable + sum(refused.values())
        examples = [*table.examples, *(reasons.get(key) or _elsewhere(key, table) for key in refused)]
        examples += [f"{_MISSED[table.name]} {key!r}" for key in waiting]
        joined = table.rows - n_waiting - table.not_understood - n_unusable
        counts.append(
            FileCounts(
                MANIFEST, f"{table.name} of {manifest.url}", table.rows, joined, n_waiting, table.not_understood,
                n_unusable, tuple(examples[:MAX_EXAMPLES]),
            )
        )  # fmt: skip
    notes = [warning.removeprefix(f"manifest {manifest.url}: ") for warning in manifest.warnings]
    if n_without and manifest.tables:
        has = "has" if n_without == 1 else "have"
        notes.append(
            f"{n_without} of {len(objects)} {'picture' if len(objects) == 1 else 'pictures'} {has} no deployment in it"
        )
    if notes:
        counts.append(FileCounts(MANIFEST, manifest.url, 0, notes=tuple(notes)))
    return counts


def _left_out(manifest: Manifest, names: Iterable[str]) -> dict[str, str]:
    """Why rows of files that are no media, such as deleted ones, are not used, by the file's name."""
    folder = f"{manifest.url.rpartition('/')[0]}/"
    files = {name: name.removeprefix(folder) for name in names}
    return {name: f"{file!r} is left out: {why}" for name, file in files.items() if (why := left_out_reason(file))}


def _elsewhere(name: str, table: TableRows) -> str:
    """Why the row of a path on another machine is not used."""
    return table.shorten(f"{table.elsewhere[name]}, and no picture of SOURCE alone ends so")
