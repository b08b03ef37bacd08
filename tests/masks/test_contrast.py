"""Masks of confused pairs: which pictures get them, what they show, and that nothing else takes them for a name's mask."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
import torch
from PIL import Image

from scd_core.config import AuditConfig
from scd_core.identify import load_model
from scd_core.identify.classify import classify_media
from scd_core.masks.contrast import choose_contrasts, contrast_masks
from scd_core.masks.rows import mask_predictions
from scd_core.media import list_source
from scd_core.scenes import packaged_model, preset_world, render, sample_specs
from scd_core.tables.commit import _check_sums
from scd_core.tables.counts import batch_counts
from scd_core.tables.mask_png import decode_mask
from scd_core.tables.schema import empty_table, table_from_rows


def _row(number: int, *names: str, **more: Any) -> Any:
    topk = [{"individual_id": name, "probability": 0.5} for name in names]
    start = {"target_id": f"t{number}", "predicted_id": names[0], "topk": topk, "flag_reasons": ["known_confusion"]}
    return start | more


def test_a_few_pictures_of_each_confused_pair_are_chosen_whatever_their_order() -> None:
    rows = [_row(number, "Luna", "Nyx", "Orion") for number in range(9)] + [_row(9, "Nyx", "Luna")]
    pairs = [("Nyx", "Luna"), ("Orion", "Luna")]
    found = choose_contrasts(rows, pairs, 2)
    assert sorted(found.values()) == ["Nyx", "Nyx", "Orion", "Orion"]
    assert found == choose_contrasts(rows[::-1], pairs, 2)
    assert choose_contrasts(rows, pairs, 0) == {}


def test_what_is_no_confusion_of_the_audit_is_not_chosen() -> None:
    rows = [
        _row(0, "Luna", "Nyx", flag_reasons=["low_probability"]),
        _row(1, "Luna", "Tom"),
        _row(2, "Luna", "Nyx", predicted_id="unknown"),
        _row(3, "Nyx", "Luna"),  # the pair the other way round
    ]
    assert choose_contrasts(rows, [("Nyx", "Luna")], 4) == {}


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A scene, its prediction row, and the package that named it."""
    folder = tmp_path_factory.mktemp("contrast")
    world = preset_world("demo")
    spec = next(spec for spec in sample_specs(world, "audit", 20, 5) if spec.individual_id)
    Image.fromarray(render(world, spec).image).save(folder / "a.png")
    classifier = load_model(str(packaged_model("clean")))
    names = ("media_id", "file", "uri", "etag", "size_bytes", "version_id")
    media: Any = [
        {name: getattr(item, name) for name in names} for item in list_source(str(folder), AuditConfig().media).objects
    ]
    rows = classify_media(media, classifier, str(folder), AuditConfig())
    return folder, rows, {row["media_id"]: row for row in media}, classifier


def test_each_map_holds_what_speaks_for_its_name_against_the_other(named: Any) -> None:
    folder, rows, media, classifier = named
    given, rival = (candidate["individual_id"] for candidate in rows[0]["topk"][:2])
    found = contrast_masks(rows, {rows[0]["target_id"]: rival}, media, classifier, str(folder), AuditConfig())
    assert [(row["predicted_id"], row["contrast_id"]) for row in found] == [(given, rival), (rival, given)]
    assert (
        table_from_rows(
            "masks", [row | {"run_id": "r", "batch_key": "b", "model_digest": "m"} for row in found]
        ).num_rows
        == 2
    )
    with Image.open(folder / "a.png") as picture:
        image = classifier.preprocess(picture)
    classes = classifier.best_class(classifier.logits(image[None]).repeat(2, 1), [given, rival]).tolist()

    def lead(name: int, mask: Any) -> float:
        """Logit of a name less the other's, on the picture with only what a map holds."""
        keep = torch.from_numpy(mask)
        logits = classifier.logits((keep * image)[None])[0]
        return float(logits[classes[name]] - logits[classes[1 - name]])

    maps = [decode_mask(row["mask_png"]) for row in found]  # type: ignore[arg-type]
    assert lead(0, maps[0]) > lead(0, maps[1])
    assert contrast_masks(rows, {}, media, classifier, str(folder), AuditConfig()) == []


def test_a_batch_counts_masks_of_names_only(named: Any) -> None:
    folder, rows, media, classifier = named
    rival = rows[0]["topk"][1]["individual_id"]
    masks = mask_predictions(rows, media, classifier, str(folder), AuditConfig())
    masks += contrast_masks(rows, {rows[0]["target_id"]: rival}, media, classifier, str(folder), AuditConfig())
    stamp = {"run_id": "r", "batch_key": "b", "model_digest": "m"}
    tables = {name: empty_table(name) for name in ("media", "reclassifications", "embeddings", "candidates")}
    flags = {"is_flagged": True, "is_control": False, "is_selected": True}
    tables["predictions"] = table_from_rows("predictions", [stamp | row | flags for row in rows])
    tables["masks"] = table_from_rows("masks", [stamp | row for row in masks])
    assert len(tables["masks"]) == 3
    assert batch_counts(tables)["n_masks"] == 1
    key = rows[0]["media_id"]
    described = {"media_id": key, "uri": "u", "file": "f", "etag": "e", "size_bytes": 1, "status": "corrupt"}
    tables["media"] = table_from_rows(
        "media", [stamp | described | {"last_modified_at": datetime(2026, 1, 1, tzinfo=UTC)}]
    )
    _check_sums("b", tables)  # the picture's two masks more are no mistake
