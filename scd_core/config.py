"""Every setting of an audit, with its unit and range: the one source of the config file, the forms and the docs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from scd_core.errors import InputError

__all__ = [
    "AuditConfig",
    "ClassifyConfig",
    "MediaConfig",
    "ReclassifyConfig",
    "SCDConfig",
    "SliceConfig",
    "TriageConfig",
    "load_config",
]

SliceKey = Literal[
    "camera_id",
    "deployment_id",
    "true_id",
    "predicted_id",
    "pair",
    "light",
    "flank",
    "hour",
    "quality",
    "model_digest",
    "labelled_by",
]

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]


class Settings(BaseModel):
    """Frozen settings that refuse a field they do not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class MediaConfig(Settings):
    """How objects become media: listing, grouping, decoding."""

    path_template: str = Field(
        "{camera_id}/{deployment_id}",
        description="what the leading folders of a path below SOURCE mean: site_id, camera_id, deployment_id, card",
    )
    filename_pattern: str | None = Field(
        None,
        description="regular expression with named groups (camera_id, deployment_id, captured_at) for a file's name",
    )
    filename_time_format: str = Field(
        "%Y%m%d_%H%M", description="strptime format of the group captured_at of filename_pattern"
    )
    batch_template: str | None = Field(
        None,
        description="leading folders below SOURCE that are one upload, such as {site_id}/{deployment_id}/{card}; "
        "batches never span two of them; none: all of SOURCE is one upload",
    )
    quiet_seconds: float = Field(
        900.0,
        ge=0,
        description="an upload without batch.json or _SUCCESS is complete when nothing was written for so long (s)",
    )
    event_gap_seconds: float = Field(
        60.0, gt=0, description="frames of one deployment closer than this are one event (s, from the last frame)"
    )
    max_pixels: int = Field(178_956_970, gt=0, description="largest image that is decoded (pixels); Pillow's own limit")
    max_bytes: int = Field(200_000_000, gt=0, description="largest object that is fetched (bytes)")
    batch_size: int = Field(50_000, gt=0, le=50_000, description="most images in one batch; a larger upload is split")
    shard_size: int = Field(256, gt=0, description="images per task run")
    fetch_workers: int = Field(8, gt=0, description="objects fetched and decoded at once in a task")


class ClassifyConfig(Settings):
    """How images are classified."""

    batch_size: int = Field(32, gt=0, description="images per forward pass")
    topk: int = Field(5, gt=0, description="candidates kept per prediction")
    box_use: Literal["classify", "locate"] = Field(
        "classify",
        description="classify: each animal box on its own; locate: whole frames, boxes only say where the animal is",
    )
    min_detection_confidence: Fraction = Field(0.2, description="detection boxes below this confidence are ignored")
    device: str = Field("auto", description="auto, cpu, cuda or cuda:N")


class TriageConfig(Settings):
    """Which predictions deserve a mask."""

    min_probability: Fraction = Field(0.6, description="a calibrated probability below this is flagged low_probability")
    min_margin: Fraction = Field(0.2, description="a gap between the first two candidates below this is flagged")
    control_rate: Fraction = Field(0.05, description="share of all predictions masked as a random control sample")
    budget: int = Field(5_000, ge=0, description="most predictions masked per batch; what is cut is recorded")
    max_speed_kmh: float = Field(80.0, gt=0, description="faster travel between two deployments is impossible (km/h)")
    seed: int = Field(0, ge=0, description="seed of the control sample and of the masks")


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


class ReclassifyConfig(Settings):
    """How a masked prediction is classified again."""

    strategies: tuple[str, ...] = Field(
        (
            "early_blur",
            "early_inside",
            "early_removed",
            "mask_crop",
            "box_crop",
            "wide_crop",
            "away_crop",
            "center_crop",
        ),
        description="strategies run on every masked prediction; early_inside and box_crop apply only where the animal's "
        "box is known, early_removed and away_crop only where it is not, and none of the four where the picture is the box",
    )
    crop_mass: Fraction = Field(0.5, description="share of the mask's mass that the crop must hold")
    crop_margin: float = Field(0.15, ge=0, description="margin added around the mask's box, as a share of its side")
    crop_min_pixels: float = Field(
        1.25,
        gt=0,
        description="smallest side of a crop (pixels of the picture per pixel of the network's input); less shows no new detail",
    )
    max_sure: Fraction = Field(0.9, description="probability from which a picture's name is not put to a closer look")
    min_gain: float = Field(
        1.6,
        ge=0,
        description="lead over the old name that another name needs in the mean log-probability of the picture (a "
        "quarter) and its closer view (three quarters); 1.6 is five times as probable",
    )
    min_agreement: Fraction = Field(
        0.6,
        description="joint probability that another name needs from the picture without the evidence and the crop away "
        "from it, where no box is known",
    )


class SliceConfig(Settings):
    """Which slices are tested for systematic error, and when evidence counts as a cause; fixed before looking."""

    families: tuple[SliceKey, ...] = Field(
        get_args(SliceKey), description="what a slice may be told by; a key that is null for a row leaves the row out"
    )
    max_depth: int = Field(2, ge=1, le=2, description="most keys of a slice: 2 also tests pairs of families")
    min_events: int = Field(5, ge=1, description="fewest events a slice needs to be tested")
    min_errors: int = Field(3, ge=1, description="fewest events that err a slice needs to be tested")
    min_lift: float = Field(1.5, ge=1, description="a slice is systematic from this multiple of the baseline rate on")
    max_q: Fraction = Field(0.05, description="a slice is systematic when its Benjamini-Hochberg q-value is below")
    confidence: Fraction = Field(0.95, description="level of the Wilson intervals")
    examples: int = Field(4, ge=0, description="example images per slice in the report")
    min_background_reliance: Fraction = Field(
        0.5, description="share of the evidence outside the animal that is suspect"
    )
    min_overlay_reliance: Fraction = Field(0.2, description="share of the evidence on burned-in strips that is suspect")
    min_log_odds_drop: float = Field(
        1.0,
        ge=0,
        description="fall of the name's log-odds without the background, or the strips, that makes it a cause",
    )
    confusable_probability: Fraction = Field(
        0.1, description="probability given to the true individual from which a wrong name is a near miss"
    )
    label_suspect_probability: Fraction = Field(
        0.9, description="probability from which a name that the evidence supports speaks against its label"
    )
    low_quality_ratio: Fraction = Field(
        0.4, description="sharpness or brightness below this share of the camera's median in that light is poor"
    )


class AuditConfig(Settings):
    """All settings of an audit."""

    media: MediaConfig = MediaConfig()
    classify: ClassifyConfig = ClassifyConfig()
    triage: TriageConfig = TriageConfig()
    masks: SCDConfig = SCDConfig()
    reclassify: ReclassifyConfig = ReclassifyConfig()
    slices: SliceConfig = SliceConfig()

    @classmethod
    def from_mapping(cls, content: Any, where: str) -> AuditConfig:
        """Settings from a mapping of sections.

        Raises:
            InputError: not a mapping, or with a field or value that the settings do not allow.
        """
        if content is not None and not isinstance(content, Mapping):
            raise InputError(f"{where}: expected a mapping of sections, got {type(content).__name__}")
        try:
            return cls.model_validate(content or {})
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(str(part) for part in first["loc"])
            hint = "no such field; see docs/config.md" if first["type"] == "extra_forbidden" else first["msg"]
            raise InputError(f"{where}: {field}: {hint}") from error

    @property
    def digest(self) -> str:
        """First 16 hex digits of the sha256 over the settings that can change a row."""
        content = self.model_dump(mode="json", exclude=_NOT_IN_DIGEST)
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


# Speed and reporting settings leave the rows of a batch as they are, so they do not make it new work.
_NOT_IN_DIGEST: dict[str, Any] = {
    "media": {"fetch_workers", "shard_size", "batch_size", "batch_template", "quiet_seconds"},
    "classify": {"device", "batch_size"},
    "masks": {"compile", "max_samples_per_forward"},
    "slices": True,
}


def load_config(url: str | None) -> AuditConfig:
    """Read an :class:`AuditConfig` from a YAML or JSON file.

    Args:
        url: fsspec URL or path; None gives the defaults.

    Raises:
        InputError: the file cannot be read or parsed, or has a field or value that the settings do not allow.
    """
    if url is None:
        return AuditConfig()
    from scd_core.inputs.text import read_user_file

    try:
        content = yaml.safe_load(read_user_file(url, "config"))
    except yaml.YAMLError as error:
        raise InputError(f"config {url}: not YAML or JSON ({error})") from error
    return AuditConfig.from_mapping(content, f"config {url}")
