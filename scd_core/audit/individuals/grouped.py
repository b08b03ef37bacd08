"""The unknowns of a batch beside the candidates that OUT holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from scd_core.identify.candidates import MOST_REGROUPED, group_unknowns
from scd_core.identify.embeddings import feature_matrix
from scd_core.identify.grouping import fit_grouping
from scd_core.identify.likeness import halves_alike
from scd_core.identify.package import Package, read_package
from scd_core.identify.splitting import split_in_parts, split_rows
from scd_core.identify.standing import replay
from scd_core.names import UNKNOWN
from scd_core.tables.rows import CandidateRow
from scd_core.tables.schema import empty_table, table_from_rows
from scd_core.tables.store import AuditStore

__all__ = ["group_batch", "read_candidates"]

_SURE = 0.9
"""Probability from which a name counts as known when the grouping is fitted to the batch itself."""

_MOST_KNOWN = 1000
"""Pictures of known individuals that the mean of all pictures is taken of."""

_COLUMNS = ("target_id", "predicted_id", "content_number", "media_id", "detection_id", "embedding", "topk")


def group_batch(out: str, model: str | None, predictions: pa.Table, embeddings: pa.Table) -> pa.Table:
    """Put the unknowns of a batch to candidates, those of earlier batches first.

    How alike pictures of one individual are is of the package, where it holds that, and else of the names of this batch that
    are sure.

    Args:
        out: OUT.
        model: URL or path of the package; None where another tool gave the names, so that each unknown is a candidate of its own.
        predictions: of the whole batch; unknowns have their `embedding`.
        embeddings: of the whole batch.

    Returns:
        Rows of `candidates`, without the batch's stamp.

    Raises:
        InputError: the package cannot be read.
        RunError: OUT could not be read.
    """
    unknown = predictions.filter(pc.fill_null(pc.equal(predictions["predicted_id"], UNKNOWN), False))
    if not len(unknown):
        return empty_table("candidates")
    if model is None or not pc.any(pc.is_valid(unknown["embedding"])).as_py():
        taken = {str(row["candidate_id"]) for row in read_candidates(out)}
        alone = group_unknowns(unknown.select(_COLUMNS).to_pylist(), {}, replay([], {}), 1.0, taken)
        return table_from_rows("candidates", [{**row, "embedding_space": "none"} for row in alone])
    package = read_package(model)
    space = package.spec.embedding_space
    earlier_rows = read_candidates(out, space)
    seen = unknown.filter(pc.is_valid(unknown["embedding"]))
    new = feature_matrix(seen["embedding"])
    held = list({row["target_id"]: row for row in earlier_rows if row.get("embedding") is not None}.values())
    old = np.array([row["embedding"] for row in held], dtype=np.float32).reshape(len(held), new.shape[1])
    features, names = _sure(predictions, embeddings)
    gallery = None if package.gallery is None else _gallery(package)
    known = [_named(predictions, embeddings, new.shape[1]), *([] if gallery is None else [_some(gallery[0])])]
    pictures = np.concatenate([*known, old, new])
    grouping = fit_grouping(features, names, pictures, package.read_whitening(), package.spec.candidate_similarity)
    embedded = dict(zip((str(row["target_id"]) for row in held), grouping.space(old), strict=True)) if held else {}
    standing = replay(earlier_rows, embedded)
    embedded |= dict(zip(seen["target_id"].to_pylist(), grouping.space(new), strict=True)) if len(seen) else {}
    rows = group_unknowns(unknown.select(_COLUMNS).to_pylist(), embedded, standing, grouping.similarity)
    if len(embedded) > MOST_REGROUPED:
        ratios = [one.ratio for one in halves_alike(*(gallery or (features, names))).values()]
        rows += _splits([*earlier_rows, *rows], rows, embedded, grouping.similarity, ratios)
    return table_from_rows("candidates", [{**row, "embedding_space": space} for row in rows])


def _splits(
    rows: Sequence[CandidateRow],
    new: Sequence[CandidateRow],
    embedded: Mapping[str, NDArray[np.floating]],
    similarity: float,
    known: Sequence[float],
) -> list[CandidateRow]:
    """Rows of pictures that leave candidates which this batch has changed, where there are too many to be grouped anew."""
    standing, homes, members = replay(rows, embedded)
    changed = {homes[str(row["candidate_id"])] for row in new}
    of: dict[str, dict[str, CandidateRow]] = {}
    for target, (own, row) in sorted(members.items()):
        if own in changed and target in embedded:
            of.setdefault(own, {})[target] = row
    found: list[CandidateRow] = []
    for own, held in sorted(of.items()):
        parts = split_in_parts({target: embedded[target] for target in held}, similarity, known)
        taken = {*homes, *(str(row["candidate_id"]) for row in found)}
        found += split_rows(own, standing[own].version, parts, held, taken)
    return found


def _gallery(package: Package) -> tuple[NDArray[np.float32], list[str]]:
    """Embeddings and names of a package's gallery."""
    from scd_core.identify.gallery import read_gallery  # with torch, which an audit of given names does without

    embeddings, classes = read_gallery(package.gallery or b"", package.spec)
    return embeddings.numpy(), [package.spec.labels[place] for place in classes.tolist()]


def read_candidates(out: str, space: str | None = None) -> list[CandidateRow]:
    """Rows of `candidates` of all committed batches, in the order of their files; those of one embedding space where given.

    Raises:
        RunError: OUT could not be read.
    """
    rows = AuditStore(out).read("candidates")
    if space is not None:
        rows = rows.filter(pc.equal(rows["embedding_space"], space))
    return rows.to_pylist()


def _named(predictions: pa.Table, embeddings: pa.Table, size: int) -> NDArray[np.float32]:
    """(N, size) features of pictures of the batch that have a known name, at most 1 000."""
    is_named = pc.fill_null(pc.not_equal(predictions["predicted_id"], UNKNOWN), False)
    named = predictions.filter(is_named)["target_id"].combine_chunks()
    found = embeddings.filter(pc.is_in(embeddings["target_id"], named))["features"]
    return feature_matrix(found.take(_spread(len(found)))).reshape(-1, size)


def _some(features: NDArray[np.float32]) -> NDArray[np.float32]:
    """At most 1 000 rows."""
    return features[_spread(len(features))]


def _spread(n: int) -> NDArray[np.int64]:
    """At most 1 000 places of n, evenly spread."""
    return np.linspace(0, n - 1, min(n, _MOST_KNOWN)).astype(np.int64)


def _sure(predictions: pa.Table, embeddings: pa.Table) -> tuple[NDArray[np.float32], list[str]]:
    """Features and names of the predictions that are sure."""
    is_sure = pc.and_(
        pc.greater_equal(predictions["probability"], _SURE), pc.not_equal(predictions["predicted_id"], UNKNOWN)
    )
    sure = predictions.filter(pc.fill_null(is_sure, False))
    of = dict(zip(sure["target_id"].to_pylist(), sure["predicted_id"].to_pylist(), strict=True))
    found = embeddings.filter(pc.is_in(embeddings["target_id"], pa.array(list(of), pa.string())))
    return feature_matrix(found["features"]), [of[target] for target in found["target_id"].to_pylist()]
