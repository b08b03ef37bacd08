"""What descriptions of slices read of wrong pictures, as arrays, because each picture is in many slices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from scd_core.names import Cause

__all__ = ["CAUSES", "Pictures"]

CAUSES: list[str] = list(Cause)
"""A cause's place here is its number."""
_UNKNOWN = np.iinfo(np.int64).min


@dataclass(frozen=True)
class Pictures:
    """Some rows of ``errors``, k of them; what is not known is None in texts."""

    error_type: NDArray[np.object_]  # (k,)
    predicted_id: NDArray[np.object_]  # (k,)
    media_id: NDArray[np.object_]  # (k,)
    relation: NDArray[np.object_]  # (k,) of the true and the given name
    drawn_by: NDArray[np.object_]  # (k,) what draws hash: the content, where it is known, else the target
    cause: NDArray[np.int64]  # (k,) place in CAUSES; -1 for none
    has_flank: NDArray[np.bool_]  # (k,) its flank is known
    has_gradient: NDArray[np.bool_]  # (k,) it is known where the gradient of the name lies
    is_masked: NDArray[np.bool_]  # (k,)
    is_recovered: NDArray[np.bool_]  # (k,)
    is_suggested: NDArray[np.bool_]  # (k,) the right name is suggested, and no certificate covers that
    background_reliance: NDArray[
        np.float64
    ]  # (k,) share of the evidence outside the animal, 0-1; NaN where it is not known
    captured_at: NDArray[
        np.int64
    ]  # (k,) microseconds on the camera's clock; the least number there is where it is not known

    @classmethod
    def of(cls, rows: pa.Table) -> Pictures:
        """The arrays of some rows of ``errors``."""
        taken = rows["captured_at"].combine_chunks().cast(pa.int64())
        is_right = pc.fill_null(pc.equal(rows["suggested_id"], rows["true_id"]), False)
        return cls(
            error_type=_objects(rows["error_type"]),
            predicted_id=_objects(rows["predicted_id"]),
            media_id=_objects(rows["media_id"]),
            relation=_objects(rows["relation"]),
            drawn_by=_objects(pc.coalesce(rows["content_number"].cast(pa.string()), rows["target_id"])),
            cause=pc.fill_null(pc.index_in(rows["cause"], pa.array(CAUSES)), -1).to_numpy().astype(np.int64),
            has_flank=rows["flank"].is_valid().to_numpy(),
            has_gradient=rows["gradient_outside"].is_valid().to_numpy(),
            is_masked=_bools(rows["is_masked"]),
            is_recovered=_bools(rows["is_recovered"]),
            is_suggested=_bools(is_right) & ~_bools(rows["is_certified"]),
            background_reliance=pc.fill_null(rows["background_reliance"].cast(pa.float64()), np.nan).to_numpy(),
            captured_at=pc.fill_null(taken, _UNKNOWN).to_numpy(),
        )

    def take(self, places: NDArray[np.int64]) -> Pictures:
        """Those at some places."""
        return Pictures(**{name: column[places] for name, column in vars(self).items()})

    @property
    def times(self) -> NDArray[np.int64]:
        """When those were taken of which that is known."""
        return self.captured_at[self.captured_at > _UNKNOWN]


def _objects(column: Any) -> NDArray[np.object_]:
    return np.array(column.to_pylist(), dtype=object)


def _bools(column: Any) -> NDArray[np.bool_]:
    return np.asarray(pc.fill_null(column, False).to_numpy(zero_copy_only=False)).astype(bool)
