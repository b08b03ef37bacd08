"""What masks have shown decides how a budget that is too small is shared out."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest

from scd_core.audit.slices.mask_yields import mask_yields
from scd_core.config import AuditConfig, TriageConfig
from scd_core.job import Shard
from scd_core.tables.counts import mask_counts
from scd_core.tables.schema import empty_table, table_from_rows
from scd_core.triage import triage
from tasks import triage as task
from tests.audit.audit_builder import AuditBuilder

_STAMP = {"run_id": "r", "batch_key": "b", "model_digest": "m"}


def _rows(unknown: int, unsure: int) -> list[dict[str, Any]]:
    found = []
    for number in range(unknown + unsure):
        is_unknown = number < unknown
        found.append(
            {
                "target_id": f"t{number:03}", "media_id": f"m{number:03}", "detection_id": None, "prediction_status": "ok",
                "predicted_id": "unknown" if is_unknown else "Luna", "probability": 0.9 if is_unknown else 0.5, "margin": 0.8,
                "topk": [{"individual_id": "Luna", "probability": 0.5}],
            }
        )  # fmt: skip
    return found


def _selected(rows: list[dict[str, Any]], yields: dict[str, float], flags: set[str] = frozenset()) -> Counter[str]:  # type: ignore[assignment]
    media = [{"media_id": row["media_id"], "file": row["media_id"], "uri": "", "event_id": None} for row in rows]
    done = triage(rows, media, 3, TriageConfig(control_rate=0.0, budget=40), flags, yields=yields)
    return Counter(row["flag_reasons"][0] for row in done if row["is_selected"])


def test_masks_go_to_the_reasons_in_proportion_to_what_masks_have_shown() -> None:
    rows = _rows(100, 100)
    assert _selected(rows, {}) == {"unknown": 40}  # one reason after another
    shared = _selected(rows, {"unknown": 0.1, "low_probability": 0.3})
    assert shared == {"unknown": 10, "low_probability": 30}
    assert _selected(rows, {"unknown": 0.5}) == {"unknown": 20, "low_probability": 20}  # not tried yet counts a half


def test_a_reason_with_few_names_leaves_its_masks_to_the_others() -> None:
    assert _selected(_rows(4, 100), {"unknown": 0.5, "low_probability": 0.1}) == {"unknown": 4, "low_probability": 36}


def test_what_people_flag_comes_first_whatever_masks_have_shown() -> None:
    rows = _rows(100, 100)
    flags = {f"m{number:03}" for number in range(170, 200)}
    found = _selected(rows, {"human_flag": 0.01, "unknown": 0.9, "low_probability": 0.9}, flags)
    assert found["human_flag"] == 30


def test_a_mask_counts_for_the_first_reason_of_its_name() -> None:
    flags = {"a": ["unknown", "low_probability"], "b": ["low_probability"], "c": ["control"], "d": [], "e": ["unknown"]}
    target = {name: _STAMP | {"target_id": name, "media_id": name} for name in flags}
    masks = [
        target[name] | {"method": "scd", "mask_status": "failed" if name == "e" else "ok"}
        | ({"background_reliance": 0.8, "background_log_odds_drop": 2.0} if name == "a" else {})
        for name in flags
    ]  # fmt: skip
    fused = [target[name] | {"strategy": "fused", "strategy_status": "ok", "is_flip": name == "c"} for name in flags]
    predictions = [
        target[name] | {"prediction_status": "ok", "is_flagged": bool(flags[name]), "flag_reasons": flags[name],
                        "is_control": name == "c", "is_selected": True, "inclusion_probability": 1.0}
        for name in flags
    ]  # fmt: skip
    tables: dict[str, pa.Table] = {
        "media": empty_table("media"),
        "predictions": table_from_rows("predictions", predictions),
        "masks": table_from_rows("masks", masks),
        "reclassifications": table_from_rows("reclassifications", fused),
    }
    assert mask_counts(tables) == {
        "masks_by_reason": {"control": 1, "low_probability": 1, "unknown": 1},
        "telling_by_reason": {"control": 1, "unknown": 1},
    }


def _audit(out: str, key: str, model: str, made: dict[str, int], telling: dict[str, int]) -> None:
    builder = AuditBuilder(out, batch_key=key, model=model, finished=datetime(2026, 3, 2, tzinfo=UTC))
    builder.predict(f"{key}.jpg", "Luna")
    builder.run = {"masks_by_reason": made, "telling_by_reason": telling}
    builder.write()


def test_yields_are_those_of_the_models_own_batches(tmp_path: Any) -> None:
    out = str(tmp_path / "out")
    assert mask_yields(out, "m1") == {}
    _audit(out, "b1", "m1", {"unknown": 10, "low_probability": 3}, {"unknown": 4})
    _audit(out, "b2", "m1", {"unknown": 8}, {"unknown": 5})
    _audit(out, "b3", "m2", {"unknown": 100}, {"unknown": 100})
    assert mask_yields(out, "m1") == {"low_probability": pytest.approx(1 / 5), "unknown": pytest.approx(10 / 20)}


def test_yields_are_looked_for_only_where_the_budget_may_be_short(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    shard = Shard("s", "m", "digest", str(tmp_path / "out"), "key", AuditConfig())
    monkeypatch.setattr(task, "mask_yields", lambda out, model: {"unknown": 0.25})
    assert task.yields_of(shard, shard.config.triage.budget) == {}
    assert task.yields_of(shard, shard.config.triage.budget + 1) == {"unknown": 0.25}
    monkeypatch.setattr(task, "mask_yields", lambda out, model: {})
    assert task.yields_of(shard, shard.config.triage.budget + 1) == {"unknown": 0.25}  # a batch in work keeps them
