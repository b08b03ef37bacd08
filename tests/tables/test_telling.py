"""Which masks tell something: those that change a name, and those that show background or strips to decide."""

from __future__ import annotations

import pyarrow as pa

from scd_core.tables.counts import batch_counts
from scd_core.tables.schema import empty_table, table_from_rows

_STAMP = {"run_id": "r", "batch_key": "b", "model_digest": "m"}


def _count(masks: list[dict[str, float]], flips: list[bool]) -> int:
    rows = [
        _STAMP | {"target_id": f"t{number}", "media_id": "m", "method": "scd", "mask_status": "ok"} | mask
        for number, mask in enumerate(masks)
    ]
    again = [
        _STAMP
        | {"target_id": f"t{number}", "media_id": "m", "strategy": "fused", "strategy_status": "ok", "is_flip": flip}
        for number, flip in enumerate(flips)
    ]
    tables: dict[str, pa.Table] = {name: empty_table(name) for name in ("media", "predictions")}
    tables |= {
        "masks": table_from_rows("masks", rows),
        "reclassifications": table_from_rows("reclassifications", again),
    }
    return batch_counts(tables)["n_telling_masks"]


def test_a_share_of_the_mask_tells_nothing_unless_the_name_loses_by_it() -> None:
    outside = {"background_reliance": 0.8, "background_log_odds_drop": 2.0}
    strip = {"overlay_reliance": 0.3, "overlay_log_odds_drop": 1.5}
    idle = {"background_reliance": 0.8, "background_log_odds_drop": 0.2}
    inside = {"background_reliance": 0.2, "background_log_odds_drop": 3.0}
    assert _count([outside, strip, idle, inside, {}], [False] * 5) == 2
    assert _count([outside, strip, idle, inside, {}], [True, False, True, False, False]) == 3  # one of them counts once
    assert _count([], []) == 0
