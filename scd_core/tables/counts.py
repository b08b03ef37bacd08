"""The counters of a batch's row in `runs`, from the rows of its other tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc

from scd_core.config import SliceConfig
from scd_core.names import FlagReason, MaskStatus, MediaStatus, PredictionStatus, Strategy

__all__ = ["batch_counts", "mask_counts", "plain_masks"]

_USABLE = (MediaStatus.OK, MediaStatus.DUPLICATE)


def batch_counts(tables: Mapping[str, pa.Table]) -> dict[str, int]:
    """The counters of a batch's row in `runs`."""
    status = Counter(tables["media"].column("status").to_pylist())
    usable, masks = sum(status[name] for name in _USABLE), plain_masks(tables["masks"])
    fused = tables["reclassifications"].filter(pc.equal(tables["reclassifications"].column("strategy"), Strategy.FUSED))
    return {
        "n_media": len(tables["media"]),
        "n_ok": usable,
        "n_quarantined": len(tables["media"]) - usable,
        "n_predictions": _count(tables["predictions"], "prediction_status", PredictionStatus.OK),
        "n_flagged": sum(tables["predictions"].column("is_flagged").to_pylist()),
        "n_masks": _count(masks, "mask_status", MaskStatus.OK),
        "n_failed": _count(tables["predictions"], "prediction_status", PredictionStatus.FAILED)
        + _count(masks, "mask_status", MaskStatus.FAILED),
        "n_not_available": _count(masks, "mask_status", MaskStatus.NOT_AVAILABLE),
        "n_second_masks": len(fused) - fused.column("second_evaluations").null_count,
        "n_flips": sum(fused.column("is_flip").to_pylist()),
        "n_telling_masks": len(_telling(masks) | set(_targets(fused.filter(fused.column("is_flip"))))),
    }


def mask_counts(tables: Mapping[str, pa.Table]) -> dict[str, dict[str, int]]:
    """What masks were spent on: the columns `masks_by_reason` and `telling_by_reason` of a batch's row in `runs`.

    A mask counts for the first reason for which its name was flagged.
    """
    masks, again = plain_masks(tables["masks"]), tables["reclassifications"]
    made = set(_targets(masks.filter(pc.equal(masks.column("mask_status"), MaskStatus.OK))))
    flips = again.filter(pc.and_(pc.equal(again.column("strategy"), Strategy.FUSED), again.column("is_flip")))
    telling = _telling(masks) | set(_targets(flips))
    rows = tables["predictions"].select(["target_id", "flag_reasons"])
    rows = rows.filter(pc.is_in(rows.column("target_id"), pa.array(sorted(made), pa.string()))).to_pylist()
    first = {
        row["target_id"]: next((one for one in row["flag_reasons"] or () if one != FlagReason.CUT_BY_BUDGET), None)
        for row in rows
    }
    reasons = {target: reason for target, reason in first.items() if reason is not None}
    return {
        "masks_by_reason": dict(sorted(Counter(reasons.values()).items())),
        "telling_by_reason": dict(sorted(Counter(reasons[one] for one in reasons.keys() & telling).items())),
    }


def plain_masks(masks: pa.Table) -> pa.Table:
    """The masks of names; not those of one name against another."""
    return masks.filter(pc.is_null(masks.column("contrast_id")))


def _telling(masks: pa.Table) -> set[str]:
    """Targets whose name rests on background or strips: the mask lies there, and without them the name loses log-odds."""
    limits = SliceConfig()
    found: set[str] = set()
    for kind, least in (("background", limits.min_background_reliance), ("overlay", limits.min_overlay_reliance)):
        lies_there = pc.greater_equal(masks.column(f"{kind}_reliance"), least)
        matters = pc.greater_equal(masks.column(f"{kind}_log_odds_drop"), limits.min_log_odds_drop)
        found |= set(_targets(masks.filter(pc.and_(lies_there, matters))))
    return found


def _targets(rows: pa.Table) -> list[str]:
    return rows.column("target_id").to_pylist()


def _count(table: pa.Table, column: str, value: str) -> int:
    return int(pc.sum(pc.equal(table.column(column), value)).as_py() or 0)
