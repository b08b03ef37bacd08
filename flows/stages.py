"""The stages of one batch, in one list: each takes the tables made so far and adds its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from flows.batch_state import BatchState
from scd_core.identify.candidates import with_candidates
from scd_core.identify.embeddings import split_embeddings
from scd_core.identify.given import NO_NETWORK, no_decisions, no_masks
from scd_core.inputs.copies import boxes_of_copies, copies_of, differing_words, flags_of_copies, names_of_copies
from scd_core.media.time_notes import time_notes
from scd_core.names import MediaStatus, Stage
from scd_core.tables.schema import empty_table, table_from_rows
from tasks.given import TAKE_NAMES
from tasks.group import GROUP
from tasks.ingest import DESCRIBE, FINISH_MEDIA
from tasks.shards import cut
from tasks.triage import TRIAGE, confusions_of, limits_of, unchanged_of, yields_of

__all__ = ["STAGES"]

# What computes with a network is imported inside the functions: a run of given names needs no torch.

MASK_SHARDS = 8
"""A mask costs tens of evaluations where a name costs one, so its shards are this many times smaller."""


def _ingest(state: BatchState) -> None:
    """`media`: every object described, then duplicates, clocks and events over the whole batch."""
    size, objects = state.job.config.media.shard_size, state.batch.objects
    parts = [objects[start : start + size] for start in range(0, len(objects), size)]
    names = state.job.joined.manifest_names
    of_parts = [{item.uri: names[item.uri] for item in part if item.uri in names} for part in parts]
    described = state.map(Stage.INGEST, DESCRIBE, parts, state.same(parts), of_parts)
    state.tables["media"] = state.runner.call(FINISH_MEDIA, described, state.job.config.media)
    for line in time_notes(state.tables["media"]):
        state.note(line)


def _classify(state: BatchState) -> None:
    """`predictions` of the usable media, and their `embeddings`."""
    media = state.tables["media"]
    usable = list(
        cut(media.filter(pc.equal(media.column("status"), MediaStatus.OK)), state.job.config.media.shard_size)
    )
    files = [part.column("file").to_pylist() for part in usable]
    given, copies = state.job.joined.boxes, copies_of(media)
    boxes = [None if given is None else boxes_of_copies(given, some, copies) for some in files]
    if state.job.predictions is not None or state.job.spec is None:
        state.tables["predictions"] = _take_names(state, usable, boxes)
        return
    from tasks.classify import CLASSIFY

    named = state.map(Stage.CLASSIFY, CLASSIFY, usable, state.same(usable), boxes)
    together, space = _together("predictions", named), state.job.spec.embedding_space
    state.tables["predictions"], state.tables["embeddings"] = split_embeddings(together, space)


def _triage(state: BatchState) -> None:
    """`predictions` with reasons, controls and the selection to mask; `candidates` of its unknowns."""
    names, job = state.tables["predictions"], state.job
    flagged = flags_of_copies(job.joined.flagged, copies_of(state.tables["media"], "uri"))
    with state.runner.progress.stage(Stage.TRIAGE, len(names)):
        state.tables["predictions"] = state.runner.call(
            TRIAGE, names, state.tables["media"], len(job.names), state.shard, flagged,
            confusions_of(state.shard), job.unknown_threshold, limits_of(state.shard),
            unchanged_of(state.shard), yields_of(state.shard, len(names)), job.lineages, job.searched,
        )  # fmt: skip
        if job.is_shadow:
            return  # new individuals are the model in use's to find
        embeddings = state.tables.get("embeddings", empty_table("embeddings"))
        grouped = state.runner.call(GROUP, state.tables["predictions"], embeddings, state.shard)
        found = state.taken(Stage.TRIAGE, grouped)
        state.tables |= {"predictions": with_candidates(state.tables["predictions"], found), "candidates": found}


def _mask(state: BatchState) -> None:
    """`masks` of the selected predictions."""
    predictions, media = state.tables["predictions"], state.tables["media"]
    if state.job.spec is None:
        selected = predictions.filter(predictions.column("is_selected")).to_pylist()
        state.tables["masks"] = table_from_rows("masks", no_masks(selected, NO_NETWORK))
        return
    from scd_core.masks.contrast import choose_contrasts
    from scd_core.masks.overlay_frames import choose_overlay_frames, of_deployments
    from tasks.mask import MASK

    size = max(1, state.job.config.media.shard_size // MASK_SHARDS)
    state.selected = list(cut(predictions.filter(predictions.column("is_selected")), size))
    frames = choose_overlay_frames(predictions, media)
    near = [of_deployments(frames, _media_of(media, part)) for part in state.selected]
    seen = [_media_of(media, part, near[number]) for number, part in enumerate(state.selected)]
    chosen = predictions.filter(predictions.column("is_selected")).to_pylist()
    rivals = choose_contrasts(chosen, confusions_of(state.shard), state.job.config.masks.contrast_pictures)
    pairs = [
        {name: rivals[name] for name in part.column("target_id").to_pylist() if name in rivals}
        for part in state.selected
    ]
    state.masks = state.map(Stage.MASK, MASK, state.selected, seen, near, pairs, state.same(state.selected))
    state.tables["masks"] = _together("masks", state.masks)


def _reclassify(state: BatchState) -> None:
    """`reclassifications` of the masked predictions."""
    if state.job.spec is None:
        kept = no_decisions(state.tables["masks"].to_pylist())
        state.tables["reclassifications"] = table_from_rows("reclassifications", kept)
        return
    from tasks.reclassify import RECLASSIFY

    of_shard = [_media_of(state.tables["media"], part) for part in state.selected]
    outcomes = state.map(
        Stage.RECLASSIFY, RECLASSIFY, state.selected, state.masks, of_shard, state.same(state.selected)
    )
    state.tables["reclassifications"] = _together("reclassifications", outcomes)


STAGES: dict[Stage, Callable[[BatchState], None]] = {
    Stage.INGEST: _ingest,
    Stage.CLASSIFY: _classify,
    Stage.TRIAGE: _triage,
    Stage.MASK: _mask,
    Stage.RECLASSIFY: _reclassify,
}
"""Every stage, in order."""


def _take_names(state: BatchState, usable: list[pa.Table], boxes: list[Any]) -> pa.Table:
    """`predictions` from the names that another tool gave."""
    given, copies = state.job.joined.names or {}, copies_of(state.tables["media"])
    names = [names_of_copies(given, part.column("file").to_pylist(), copies) for part in usable]
    if words := differing_words(entry for part in names for entry in part.values()):
        state.runner.progress.note(f"predictions: {words}")
    return _together("predictions", state.map(Stage.CLASSIFY, TAKE_NAMES, usable, state.same(usable), names, boxes))


def _media_of(media: pa.Table, *predictions: pa.Table) -> pa.Table:
    """The media rows of some predictions."""
    wanted = pa.concat_arrays([part.column("media_id").combine_chunks() for part in predictions])
    return media.filter(pc.is_in(media.column("media_id"), wanted))


def _together(table: str, parts: list[pa.Table]) -> pa.Table:
    return pa.concat_tables(parts) if parts else empty_table(table)
