"""Columns of a run: its settings, its model, what it counted and how long it took."""

from __future__ import annotations

import pyarrow as pa

from scd_core.tables.field import TIME, Field

__all__ = ["RUN_FIELDS"]

RUN_FIELDS: dict[str, Field] = {
    # runs
    "source": Field(pa.string(), "SOURCE, without credentials"),
    "started_at": Field(TIME, "when the run started"),
    "finished_at": Field(TIME, "when the run had written its rows"),
    "config": Field(pa.string(), "the whole configuration, as JSON"),
    "model_input": Field(pa.string(), "how the model's input is made of a picture, as JSON (`input` of model.json)"),
    "individuals": Field(pa.list_(pa.string()), "names that the model can give"),
    "individuals_by_hash": Field(
        pa.map_(pa.string(), pa.list_(pa.string())),
        "for each `individuals_available` of the batch's pictures the individuals; null in older audits",
    ),
    "versions": Field(pa.string(), "versions of trapaudit, Python, torch, torchvision, prefect, as JSON"),
    "device": Field(pa.string(), "device of the model"),
    "inputs": Field(
        pa.string(),
        "what became of the rows of each given file, as a JSON list: `kind`, `name`, `rows`, `joined`, `waiting`, "
        "`not_understood`, `unusable`, `examples`, `notes`",
    ),
    "n_media": Field(pa.int64(), "objects in the batch"),
    "n_ok": Field(pa.int64(), "media that could be used, duplicates included"),
    "n_quarantined": Field(pa.int64(), "media that could not be used"),
    "n_predictions": Field(pa.int64(), "predictions with a name"),
    "n_flagged": Field(pa.int64(), "predictions flagged"),
    "n_masks": Field(pa.int64(), "masks made"),
    "n_telling_masks": Field(
        pa.int64(),
        "masks that show something: the final decision gives another name, or the name rests on background or strips by the "
        "limits that `slices` has by default; `n_masks / n_telling_masks` are masks per corrected or explained name",
    ),
    "n_second_masks": Field(
        pa.int64(),
        "masked names that got further masks, with other noise, because the first one gave another name or was near to it",
    ),
    "masks_by_reason": Field(
        pa.map_(pa.string(), pa.int64()),
        "masks made for each first reason of a flag, controls that nothing else flags under `control`; null in older audits",
    ),
    "telling_by_reason": Field(
        pa.map_(pa.string(), pa.int64()),
        "of `masks_by_reason`, those that show something, as `n_telling_masks` counts them; triage shares a budget that is too "
        "small out by these; null in older audits",
    ),
    "n_failed": Field(pa.int64(), "predictions and masks that could not be made; each row has its reason"),
    "model_name": Field(
        pa.string(),
        "what gave the names: the last folder of the model package's address, or the tool and version of a file of predictions, "
        "and the file; null in older audits",
    ),
    "n_not_available": Field(
        pa.int64(),
        "masks that were not made because no network here gives the names with gradients: they are another tool's, or of an "
        "ONNX model that PyTorch does not repeat; each row has its reason; null in older audits",
    ),
    "n_flips": Field(pa.int64(), "other names than the model's that the decision suggests"),
    "is_shadow": Field(
        pa.bool_(),
        "a second model named beside the one in use (`--shadow`); such batches are read by `compare` alone; null in older "
        "audits",
    ),
    "lineages": Field(
        pa.map_(pa.string(), pa.string()),
        "name -> its place in a taxonomy: class, order, family, genus and species with `;` between them, then the individual; "
        "null without a taxonomy",
    ),
    "seconds": Field(
        pa.map_(pa.string(), pa.float64()),
        "wall time per stage, as `mask`; besides, as `mask:begin`, when it began, after `started_at`, as `mask:task` the time of "
        "its tasks, which run several at once, and of that what they waited for the storage (`mask:storage`), worked with the "
        "model without its waits for pictures (`mask:model`), and waited for a place on the GPU (`mask:slot`); view `throughput`",
        "seconds",
    ),
}
