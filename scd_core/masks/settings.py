"""Every setting of a mask, and the presets of an audit."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from scd_core.config import MaskConfig, Settings

__all__ = ["SCDConfig", "mask_settings"]


class SCDConfig(Settings):
    """How a Simplified Concrete Dropout mask is optimised (Korsch, Shadaydeh, Denzler 2023)."""

    steps: int = Field(16, ge=1, description="most optimisation steps per image")
    samples: int = Field(2, ge=1, description="samples of each of the two maps per step")
    antithetic: bool = Field(True, description="draw samples in pairs (u, 1 - u) rather than independently")
    temperature: float = Field(1.0, gt=0, description="temperature t of the relaxation; small is nearly binary")
    form: Literal["simplified", "original"] = Field(
        "simplified", description="concrete dropout on logits, or in its original form through p and clamped logs"
    )
    mask_size: int | Literal["auto"] | None = Field(
        "auto",
        description="cells along the shorter side of the map; auto is 5 per cell of the network's last feature map "
        "(35 at 224 pixels and stride 32); null is one cell per pixel",
    )
    smoothing: float = Field(0.0, ge=0, description="Gaussian smoothing of the map (sigma, cells)")
    spread_temperature: float = Field(
        6.0,
        gt=0,
        description="how the finished map is interpolated between its cells: 1 interpolates probabilities, a large value logits",
    )
    sample_first: bool = Field(
        True, description="sample the coarse map and upsample the sample; false upsamples the logits and samples pixels"
    )
    pixel_unit: Literal["image", "frame_224"] = Field(
        "frame_224",
        description="the pixel that area_weight, variation_weight and eps count in: one of the image, or one of a "
        "frame of 224 x 224, so that a larger image costs no more",
    )
    score_unit: Literal["log_odds", "logit_range"] = Field(
        "logit_range",
        description="what the score is counted in: log-odds, or the range of the image's own logits (largest minus "
        "mean), so that a mask depends neither on the network's temperature nor on its number of classes",
    )
    area_weight: float = Field(2.5e-4, ge=0, description="cost of evidence, lambda_1 (score per pixel)")
    variation_weight: float = Field(
        5e-5,
        ge=0,
        description="cost of the map's total variation, lambda_tv (score per pixel of the cells along an edge, so "
        "that coarse cells are smoothed more)",
    )
    ramp_steps: int = Field(3, ge=0, description="steps over which both costs rise from 0 to their weight")
    learning_rate: float = Field(10.0, gt=0, description="step size of AdamW (logits)")
    learning_rate_decay: float = Field(1.0, gt=0, le=1, description="factor on the step size after every step")
    betas: tuple[float, float] = Field((0.9, 0.999), description="decay of AdamW's two moments")
    eps: float = Field(
        3e-4, gt=0, description="AdamW's epsilon (score per logit and pixel; a cell's is that of all its pixels)"
    )
    weight_decay: float = Field(0.0, ge=0, description="AdamW's decoupled weight decay (per step and step size)")
    infill: Literal["blur", "mean", "noise", "local_mean", "background"] = Field(
        "blur", description="what replaces a removed pixel; background needs the argument backgrounds of fit_masks"
    )
    infill_sigma: float = Field(
        10.0, gt=0, description="width of blur and local mean (sigma, pixels of a frame whose shorter side is 224)"
    )
    seed: int = Field(0, ge=0, description="seed of every image where fit_masks is given none")
    average: bool = Field(
        True, description="the result is the mean of the logits over the steps, step i with weight i, not the last ones"
    )
    tolerance: float = Field(
        4e-3,
        ge=0,
        description="an image has converged when neither map moved by more between two looks (mean change of p); 0 is never",
    )
    check_every: int = Field(2, ge=1, description="steps between two looks at convergence")
    max_samples_per_forward: int | None = Field(
        None,
        ge=1,
        description="most masked images in one forward pass (on a CPU never more than those of one image); null measures "
        "the model and fits it to memory",
    )
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="precision of the model's passes; auto is bfloat16 on a GPU and float32 on a CPU"
    )
    compile: Literal["auto", "never", "always"] = Field(
        "auto", description="torch.compile the model; auto does on a GPU when the work outweighs the compilation"
    )

    @field_validator("mask_size")
    @classmethod
    def _check_mask_size(cls, size: int | str | None) -> int | str | None:
        if isinstance(size, int) and size < 2:
            raise ValueError(f"expected at least 2 cells, got {size}")
        return size

    @classmethod
    def reference(cls) -> SCDConfig:
        """The published setting: 8 independent samples per map, 100 steps, full resolution, AdamW(10, eps 0.1)."""
        return cls(
            steps=100, samples=8, antithetic=False, temperature=1.0, mask_size=None, smoothing=0.0,
            pixel_unit="image", score_unit="log_odds", area_weight=1e-3, variation_weight=1e-2, ramp_steps=5, learning_rate=10.0,
            learning_rate_decay=1.0, betas=(0.9, 0.999), eps=0.1, weight_decay=0.01, infill="blur", infill_sigma=10.0,
            average=False, tolerance=0.0, spread_temperature=1.0,
        )  # fmt: skip


def mask_settings(config: MaskConfig) -> SCDConfig:
    """The settings of an audit's masks: those of its preset, and on top what its section `masks` sets itself."""
    preset = SCDConfig.reference() if config.preset == "published" else SCDConfig()
    chosen = {
        name: value
        for name, value in config.model_dump(exclude={"preset", "contrast_pictures"}).items()
        if value is not None
    }
    return SCDConfig(**(preset.model_dump() | chosen))
