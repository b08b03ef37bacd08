"""The settings of an audit's masks: a preset, and what is set on top of it."""

from __future__ import annotations

import pytest
import torch

from scd_core.config import MaskConfig
from scd_core.masks import SCDConfig, fit_masks
from scd_core.masks.settings import mask_settings


def test_presets_are_those_of_the_library() -> None:
    assert mask_settings(MaskConfig()) == SCDConfig()
    assert mask_settings(MaskConfig(preset="published")) == SCDConfig.reference()


def test_what_is_set_goes_before_the_preset() -> None:
    chosen = mask_settings(MaskConfig(preset="published", steps=7, infill="mean"))
    assert chosen == SCDConfig.reference().model_copy(update={"steps": 7, "infill": "mean"})


@pytest.mark.parametrize("infill", ["blur", "mean", "noise", "local_mean"])
def test_every_infill_of_an_audit_can_be_used(infill: str) -> None:
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 12 * 12, 3))
    config = MaskConfig.model_validate({"infill": infill, "steps": 2, "max_samples_per_forward": 1})
    masks = fit_masks(model, torch.rand(1, 3, 12, 12), torch.tensor([1]), mask_settings(config))
    assert masks.joint.isfinite().all() and not masks.failures
