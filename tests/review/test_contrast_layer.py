"""A picture's masks of a pair of names, made by the engine, as the review shows them: each under the name that it is of."""

from __future__ import annotations

import io
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from deployments.review.app import create_app
from scd_core.audit.report.refresh import refresh_report_tables
from scd_core.config import AuditConfig
from scd_core.identify import load_model
from scd_core.identify.classify import classify_media
from scd_core.masks.contrast import contrast_masks
from scd_core.masks.rows import mask_predictions
from scd_core.media import list_source
from scd_core.scenes import packaged_model, preset_world, render, sample_specs
from scd_core.tables import write_batch
from scd_core.tables.mask_png import decode_mask
from scd_core.tables.schema import table_from_rows

STAMP = {"run_id": "r1", "batch_key": "k1", "model_digest": "m1"}
HEAD = {"Authorization": "Bearer t"}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str, list[Any]]:
    """OUT with one scene and its three masks, its target, and the two rows of the pair."""
    folder = tmp_path_factory.mktemp("contrast")
    (folder / "cards").mkdir()
    world = preset_world("demo")
    spec = next(spec for spec in sample_specs(world, "audit", 20, 5) if spec.individual_id)
    scene = Image.fromarray(render(world, spec).image)
    scene.save(folder / "cards" / "a.png")
    source, config, classifier = str(folder / "cards"), AuditConfig(), load_model(str(packaged_model("clean")))
    item = list_source(source, config.media).objects[0]
    names = ("media_id", "file", "uri", "etag", "size_bytes", "version_id", "last_modified_at")
    medium: Any = {name: getattr(item, name) for name in names}
    medium |= {"status": "ok", "width": scene.width, "height": scene.height}
    rows = classify_media([medium], classifier, source, config)
    rival = str(rows[0]["topk"][1]["individual_id"])
    pair = contrast_masks(rows, {rows[0]["target_id"]: rival}, {item.media_id: medium}, classifier, source, config)
    masks = mask_predictions(rows, {item.media_id: medium}, classifier, source, config) + pair
    flags = {"is_flagged": True, "is_control": False, "is_selected": True}
    tables = {
        "media": table_from_rows("media", [STAMP | medium]),
        "predictions": table_from_rows("predictions", [STAMP | row | flags for row in rows]),
        "masks": table_from_rows("masks", [STAMP | row for row in masks]),
    }
    started = datetime(2026, 5, 30, tzinfo=UTC)
    run: Any = {"run_id": "r1", "model_digest": "m1", "config_digest": "c1", "source": source, "started_at": started}
    write_batch(str(folder / "out"), tables, date(2026, 5, 30), "k1", run)
    refresh_report_tables(str(folder / "out"), config)
    return str(folder / "out"), rows[0]["target_id"], pair


def test_each_layer_of_a_pair_has_its_own_name_words_and_map(made: tuple[str, str, list[Any]]) -> None:
    out, target, pair = made
    given, rival = pair[0]["predicted_id"], pair[1]["predicted_id"]
    with TestClient(create_app(out, None, "ana", "t"), base_url="http://127.0.0.1:8000", headers=HEAD) as client:
        shown = client.get("/page/screen", params={"target": target}).json()
        layers = [one for one in shown["frames"][0]["targets"][0]["layers"] if one["kind"] == "contrast"]
        assert {one["title"]: one["words"] for one in layers} == {
            f"{given}, not {rival}": f"what stands for {given} and against {rival}",
            f"{rival}, not {given}": f"what stands for {rival} and against {given}",
        }
        for row in pair:
            layer = next(one for one in layers if one["title"].startswith(row["predicted_id"]))
            with Image.open(io.BytesIO(client.get(layer["fill"]).content)) as heat:
                alpha = np.asarray(heat.convert("RGBA"), dtype=np.float64)[..., 3]
            stored = Image.fromarray((decode_mask(row["mask_png"]) * 255).astype(np.uint8))
            strength = np.asarray(stored.resize(alpha.shape[::-1], Image.Resampling.BILINEAR), dtype=np.float64)
            other = next(one for one in pair if one is not row)
            image = Image.fromarray((decode_mask(other["mask_png"]) * 255).astype(np.uint8))
            against = np.asarray(image.resize(alpha.shape[::-1], Image.Resampling.BILINEAR), dtype=np.float64)
            own, crossed = (np.corrcoef(alpha.ravel(), one.ravel())[0, 1] for one in (strength, against))
            assert own > 0.7 and own > crossed
