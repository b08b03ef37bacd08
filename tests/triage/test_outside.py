"""The reason `evidence_outside`: limits by default, from labels and from the settings; a surer name needs more."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scd_core.audit.errors.outside import outside_limits
from scd_core.audit.report.refresh import refresh_report_tables
from scd_core.config import AuditConfig, TriageConfig
from scd_core.job import Shard
from scd_core.triage import triage
from scd_core.triage.outside import outside_score
from tasks import triage as task
from tests.audit.audit_builder import AuditBuilder, label


def _flags(
    outside: float | None, probability: float = 0.95, region: str | None = "box", limits: Any = None, **settings: Any
) -> list[str]:
    row: Any = {
        "target_id": "t", "media_id": "m", "detection_id": None, "prediction_status": "ok", "predicted_id": "Luna",
        "probability": probability, "margin": 0.9, "topk": [{"individual_id": "Luna", "probability": probability}],
        "gradient_outside": outside, "gradient_region": region,
    }  # fmt: skip
    media: Any = [{"media_id": "m", "file": "m.jpg", "uri": "", "event_id": "e"}]
    config = TriageConfig(control_rate=0.0, min_probability=0.0, min_margin=0.0, **settings)
    return list(triage([row], media, 3, config, outside_limits=limits or {})[0]["flag_reasons"] or ())


def test_a_name_whose_gradient_lies_outside_is_flagged_and_a_surer_one_needs_more() -> None:
    assert _flags(0.70, 0.9) == ["evidence_outside"]
    assert _flags(0.70, 0.999) == []  # .55 + .04 * ln(999) = .826
    assert _flags(0.83, 0.999) == ["evidence_outside"]
    assert _flags(0.54, 0.5) == []


def test_without_a_box_the_limit_is_another_one() -> None:
    assert _flags(0.45, 0.5, "window") == ["evidence_outside"]
    assert _flags(0.45, 0.5, "box") == []


@pytest.mark.parametrize("region", [None, "picture_is_box", "no_layer", "flat"])
def test_what_was_not_measured_is_not_flagged(region: str | None) -> None:
    assert _flags(None, 0.2, region) == []


def test_the_settings_come_before_labels_and_labels_before_the_default() -> None:
    assert _flags(0.6, 0.5, limits={"box": 0.7}) == []
    assert _flags(0.6, 0.5, limits={"window": 0.7}) == ["evidence_outside"]
    assert _flags(0.6, 0.5, limits={"box": 0.7}, min_outside=0.6) == ["evidence_outside"]


def _audit(tmp_path: Path, shares: list[float], model: str = "m1") -> str:
    """An audit whose names are right, with these shares outside and probability .5."""
    builder = AuditBuilder(tmp_path / "out", model=model)
    for number, share in enumerate(shares):
        builder.predict(f"{number}.jpg", "Luna", 0.5, gradient_outside=share, gradient_region="box")
    builder.predict("wrong.jpg", "Luna", 0.5, gradient_outside=0.99, gradient_region="box")
    out = builder.write()
    truths = {f"{number}.jpg": "Luna" for number in range(len(shares))} | {"wrong.jpg": "Nyx"}
    label(out, tmp_path, truths, now=datetime(2026, 3, 3, tzinfo=UTC))
    refresh_report_tables(out, AuditConfig())
    return out


def test_the_limit_leaves_a_tenth_of_the_right_names_above(tmp_path: Path) -> None:
    shares = [0.3 + 0.006 * number for number in range(100)]
    found = outside_limits(_audit(tmp_path, shares), "m1")
    assert found == {"box": pytest.approx(np.quantile(shares, 0.9), abs=0.007)}
    assert outside_limits(str(tmp_path / "out"), "m2") == {}


def test_a_model_that_looks_at_the_animal_has_a_limit_of_half(tmp_path: Path) -> None:
    assert outside_limits(_audit(tmp_path, [0.1] * 60), "m1") == {"box": 0.5}


def test_too_few_labels_and_no_report_give_no_limit(tmp_path: Path) -> None:
    assert outside_limits(str(tmp_path / "none"), "m1") == {}
    assert outside_limits(_audit(tmp_path, [0.6] * 49), "m1") == {}


def test_a_later_report_does_not_change_the_limits_of_a_batch_in_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shard = Shard("s", "m", "digest", str(tmp_path / "out"), "key", AuditConfig())
    monkeypatch.setattr(task, "outside_limits", lambda out, model: {"box": 0.61})
    assert task.limits_of(shard) == {"box": 0.61}
    monkeypatch.setattr(task, "outside_limits", lambda out, model: {})
    assert task.limits_of(shard) == {"box": 0.61}


def test_the_score_of_an_even_chance_is_the_share() -> None:
    assert outside_score(0.4, 0.5) == pytest.approx(0.4)
    assert outside_score(0.4, 0.9) == pytest.approx(0.4 - 0.04 * math.log(9))
    assert outside_score(0.4, 1.0) < outside_score(0.4, 0.999999) < 0.0


def _rows(count: int, **more: Any) -> list[Any]:
    return [
        {
            "target_id": f"t{number}", "media_id": f"m{number}", "detection_id": None, "prediction_status": "ok",
            "predicted_id": "Luna", "probability": 0.5, "margin": 0.1,
            "topk": [{"individual_id": "Luna", "probability": 0.5}, {"individual_id": "Nyx", "probability": 0.4}],
        } | {key: value[number] if isinstance(value, list) else value for key, value in more.items()}
        for number in range(count)
    ]  # fmt: skip


def _selected(rows: list[Any], **more: Any) -> list[str]:
    media: Any = [{"media_id": row["media_id"], "file": "", "uri": "", "event_id": row["media_id"]} for row in rows]
    config = TriageConfig(control_rate=0.0, budget=more.pop("budget", 100))
    done = triage(rows, media, 3, config, known_confusions=[("Nyx", "Luna")], **more)
    assert [row["is_selected"] for row in done] == [row["inclusion_probability"] == 1.0 for row in done]
    assert all(row["is_selected"] or "cut_by_budget" in (row["flag_reasons"] or ()) for row in done)
    return [row["target_id"] for row in done if row["is_selected"]]


def test_a_pair_that_masks_never_changed_gets_few_of_them() -> None:
    rows = _rows(12)
    assert len(_selected(rows)) == 12
    assert len(_selected(rows, unchanged_confusions=[("Nyx", "Luna")])) == 5
    assert len(_selected(rows, unchanged_confusions=[("Luna", "Nyx")])) == 12


def test_such_a_pair_is_masked_where_there_is_another_reason() -> None:
    rows = _rows(12, gradient_outside=0.9, gradient_region="box")
    assert len(_selected(rows, unchanged_confusions=[("Nyx", "Luna")])) == 12


def test_the_budget_goes_first_to_names_that_lie_furthest_outside() -> None:
    rows = _rows(4, gradient_outside=[0.1, 0.7, 0.95, 0.8], gradient_region="box")
    assert _selected(rows, budget=2) == ["t2", "t3"]
