"""Thresholds of a model package that decide what triage does, through a whole audit."""

from __future__ import annotations

import shutil
from pathlib import Path

from scd_core.audit import read_table
from scd_core.identify import read_package
from scd_core.identify.calibrate import store_calibration
from scd_core.scenes import packaged_model
from tests.services.audits import audit

NONE_MASKED = {"triage": {"control_rate": 0.0, "budget": 0}}


def test_names_near_the_model_s_unknown_threshold_are_flagged(card: Path, tmp_path: Path) -> None:
    package = shutil.copytree(packaged_model("shortcut"), tmp_path / "model")
    store_calibration(str(package), read_package(str(package)).spec.temperature, 0.65)
    audit(card / "images", package, tmp_path / "out", NONE_MASKED)
    rows = read_table(str(tmp_path / "out"), "predictions")
    named = rows[(rows.prediction_status == "ok") & (rows.predicted_id != "unknown")]
    is_low = named.flag_reasons.map(lambda reasons: "low_probability" in reasons)
    assert (named.probability >= 0.65).all() and (is_low == (named.probability < 0.825)).all()
    assert 0 < is_low.sum() < len(named), "fixture: names on both sides"
