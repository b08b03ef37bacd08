"""Settings: what is refused, what changes the digest, and that their page is up to date."""

from __future__ import annotations

from pathlib import Path

import pytest

from scd_core.config import AuditConfig
from scd_core.config_doc import render_config_doc
from scd_core.errors import InputError
from scd_core.inputs.config import load_config


def test_the_page_of_settings_is_up_to_date() -> None:
    page = Path(__file__).resolve().parents[1] / "docs" / "config.md"
    assert page.read_text() == render_config_doc(), "run `make docs`"


def test_every_setting_is_described() -> None:
    for section in AuditConfig.model_fields.values():
        for name, field in section.annotation.model_fields.items():  # type: ignore[union-attr]
            assert field.description, name


def test_speed_settings_do_not_make_new_work() -> None:
    base = AuditConfig().digest
    assert AuditConfig.model_validate({"media": {"shard_size": 7}, "classify": {"device": "cpu"}}).digest == base
    assert AuditConfig.model_validate({"masks": {"compile": "never", "max_samples_per_forward": 4}}).digest == base
    assert AuditConfig.model_validate({"triage": {"min_margin": 0.3}}).digest != base
    assert AuditConfig.model_validate({"masks": {"preset": "published"}}).digest != base
    assert AuditConfig.model_validate({"media": {"event_gap_seconds": 30}}).digest != base


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("triage: {min_probabilty: 1}", "triage.min_probabilty: no such field"),
        ("triage: {min_probability: 2}", "triage.min_probability"),
        ("- a\n- b", "mapping"),
        ("a: [", "not YAML"),
        ("masks: {steps: many}", "masks.steps"),
        ("masks: {infill: background}", "masks.infill: Input should be 'blur', 'mean', 'noise' or 'local_mean'"),
        ("masks: {seed: 5}", "masks.seed: no such field; triage.seed is the seed of the masks"),
        (
            "masks: {temperature: 0.1}",
            "masks.temperature: no such field; there are preset, .* scd_core.masks.fit_masks",
        ),
        (
            "reclassify: {strategies: [early_background]}",
            "strategies: no strategy 'early_background'; there are early_blur",
        ),
    ],
)
def test_a_bad_file_is_refused_in_one_line(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(InputError, match=words) as caught:
        load_config(str(tmp_path / "c.yaml"))
    assert "\n" not in str(caught.value)


def test_settings_are_frozen_and_json_works(tmp_path: Path) -> None:
    (tmp_path / "c.json").write_text('{"triage": {"seed": 3}}')
    config = load_config(str(tmp_path / "c.json"))
    assert config.triage.seed == 3
    with pytest.raises(ValueError):
        config.triage.seed = 4  # type: ignore[misc]
