"""Embeddings of predictions: what the network sees in each picture, apart from its name."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from scd_core.names import UNKNOWN
from scd_core.tables.schema import TABLES, conform, table_schema

__all__ = ["feature_matrix", "split_embeddings", "unit_rows"]

_BLOCK = 10_000
_LARGEST = float(np.finfo(np.float16).max)


def split_embeddings(predictions: pa.Table, space: str) -> tuple[pa.Table, pa.Table]:
    """Move the features of all predictions of a batch into a table of their own, in half precision.

    Args:
        predictions: rows as :func:`scd_core.identify.classify.classify_media` gives them: `embedding` is filled for every name.
        space: `embedding_space` of the model package.

    Returns:
        `predictions`, in which only unknowns keep their `embedding`, made of unit length; and rows of `embeddings`, without
        their stamp. A row whose features are not finite, or all 0, is not in it.
    """
    places = np.flatnonzero(pc.is_valid(predictions["embedding"]).to_numpy(zero_copy_only=False))
    named = predictions.take(pa.array(places))
    features = feature_matrix(named["embedding"])
    lengths = np.linalg.norm(features.astype(np.float64), axis=1)
    usable = np.isfinite(lengths) & (lengths > 0)
    schema = table_schema("embeddings")
    held = named.filter(pa.array(usable))
    half = np.clip(features[usable], -_LARGEST, _LARGEST).astype(np.float16)
    columns = {name: held[name] for name in ("target_id", "media_id", "detection_id")}
    columns |= {"embedding_space": pa.array([space] * len(held), pa.string()), "features": _lists(half)}
    embeddings = conform(pa.table(columns), schema)
    is_unknown = pc.fill_null(pc.equal(named["predicted_id"], UNKNOWN), False).to_numpy(zero_copy_only=False) & usable
    unit = features[is_unknown] / lengths[is_unknown, None]
    kept: list[NDArray[np.float32] | None] = [None] * len(predictions)
    for place, row in zip(places[is_unknown].tolist(), unit.astype(np.float32), strict=True):
        kept[place] = row
    at = TABLES["predictions"].index("embedding")
    field = predictions.schema.field(at)
    return predictions.set_column(at, field, pa.array(kept, field.type)), embeddings


def feature_matrix(column: pa.ChunkedArray) -> NDArray[np.float32]:
    """A column of lists of one length, without nulls, as (N, D) float32; (0, 0) where it is empty.

    Raises:
        ValueError: the lists have several lengths.
    """
    if not len(column):
        return np.zeros((0, 0), dtype=np.float32)
    sizes = pc.unique(pc.list_value_length(column)).to_pylist()
    if len(sizes) != 1:
        raise ValueError(f"embeddings of several lengths: {min(sizes)} and {max(sizes)}; they are not of one space")
    flat = pc.list_flatten(column).combine_chunks().to_numpy(zero_copy_only=False)
    return flat.astype(np.float32).reshape(len(column), sizes[0])


def unit_rows(features: NDArray[np.floating]) -> NDArray[np.float32]:
    """(N, D) -> (N, D) float32, each row of length 1; a row of zeros stays.

    >>> unit_rows(np.array([[3.0, 4.0]])).round(3).tolist()
    [[0.6000000238418579, 0.800000011920929]]
    """
    found = np.empty(features.shape, dtype=np.float32)
    for start in range(0, len(features), _BLOCK):  # in parts: double precision takes twice the memory
        part = features[start : start + _BLOCK].astype(np.float64)
        lengths = np.sqrt(np.einsum("nd,nd->n", part, part))[:, None]
        found[start : start + _BLOCK] = part / np.maximum(lengths, np.finfo(np.float64).tiny)
    return found


def _lists(rows: NDArray[np.float16]) -> pa.Array:
    """(N, D) as N lists of half floats."""
    offsets = np.arange(len(rows) + 1, dtype=np.int32) * (rows.shape[1] if len(rows) else 0)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(rows.reshape(-1).astype(np.float32)))
