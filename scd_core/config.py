"""Every setting of an audit, with its unit and range: the one source of the config file, the forms and the docs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from scd_core.errors import InputError
from scd_core.names import Strategy

__all__ = [
    "AuditConfig",
    "ClassifyConfig",
    "FilesConfig",
    "MaskConfig",
    "MediaConfig",
    "ReclassifyConfig",
    "Settings",
    "SliceConfig",
    "TriageConfig",
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
    "week",
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
    closed_after: float | None = Field(
        30.0,
        gt=0,
        description="a folder all of whose media are committed is closed when nothing was written for so long (days), or for a "
        "day where it has batch.json or _SUCCESS; closed folders are listed once a week, or with --all-prefixes; null: always",
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
        description="classify: each animal box on its own; locate: whole frames, boxes only say where the animal is; where no "
        "setting gives it, that of the model's package (`input.box_use`), if it has one",
    )
    min_detection_confidence: Fraction = Field(0.2, description="detection boxes below this confidence are ignored")
    without_entry: Literal["skip", "name"] = Field(
        "skip",
        description="what becomes of a picture that has no entry in the detections that are given; skip: it is not named and "
        "not shown, since nobody knows who is in it; name: it is named whole",
    )
    measure_gradient: bool = Field(
        True,
        description="measure for each name how far its gradient lies outside the animal, in the pass that names it (at most a "
        "third more time); false leaves gradient_outside empty, and triage's reason evidence_outside never applies",
    )
    expected_weight: float = Field(
        1.0,
        ge=0,
        le=10,
        description="how much more probable an individual that the list of expected ones (`--expected`) has for the place and "
        "time counts than another one, before the picture is seen: natural logarithm of the ratio; 1 is 2.7 times, 0 is nothing",
    )
    device: str = Field("auto", pattern=r"^(auto|cpu|cuda(:\d+)?)$", description="auto, cpu, cuda or cuda:N")


class TriageConfig(Settings):
    """Which predictions deserve a mask."""

    min_probability: Fraction = Field(
        0.6,
        description="a calibrated probability below this is flagged low_probability; a model whose unknown_threshold is not "
        "below it gives no such name, and the limit is half-way from that threshold to 1",
    )
    min_margin: Fraction = Field(0.2, description="a gap between the first two candidates below this is flagged")
    min_outside: Fraction | None = Field(
        None,
        description="share of a name's gradient outside the animal from which it is flagged evidence_outside, where its "
        "probability is .5; a surer name needs more (.09 at .9, .18 at .99). null: what a tenth of the right names lie above, "
        "where 50 of this model are labelled, but not below .5; else .55, and .42 where no box is known",
    )
    control_rate: Fraction = Field(0.05, description="share of all predictions masked as a random control sample")
    budget: int = Field(5_000, ge=0, description="most predictions masked per batch; what is cut is recorded")
    max_speed_kmh: float = Field(80.0, gt=0, description="faster travel between two deployments is impossible (km/h)")
    seed: int = Field(0, ge=0, description="seed of the control sample and of the masks")


class MaskConfig(Settings):
    """How masks are made; null leaves a setting to the preset."""

    preset: Literal["default", "published"] = Field(
        "default",
        description="default: about 55 runs of the model for each mask; published: the paper's setting (Korsch, "
        "Shadaydeh, Denzler 2023), 1,600 runs",
    )
    steps: int | None = Field(None, ge=1, description="most optimisation steps per mask; the default preset's is 16")
    area_weight: float | None = Field(
        None,
        ge=0,
        description="cost of evidence, lambda_1: larger makes smaller masks (score per pixel); the "
        "default preset's is 0.00025",
    )
    infill: Literal["blur", "mean", "noise", "local_mean"] | None = Field(
        None, description="what replaces a removed pixel; every preset's is blur"
    )
    contrast_pictures: int = Field(
        4,
        ge=0,
        description="pictures of a batch that get two masks more for each pair of individuals that the audit has found to be "
        "confused: what is evidence for the one name and not the other, and the reverse",
    )
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="precision of the model's passes; auto is bfloat16 on a GPU and float32 on a CPU"
    )
    compile: Literal["auto", "never", "always"] = Field(
        "auto", description="torch.compile the model; auto does on a GPU when the work outweighs the compilation"
    )
    max_samples_per_forward: int | None = Field(
        None,
        ge=1,
        description="most masked images in one forward pass (on a CPU never more than those of one image); null measures "
        "the model and fits it to memory",
    )


class ReclassifyConfig(Settings):
    """How a masked prediction is classified again."""

    strategies: tuple[Strategy, ...] = Field(
        (
            Strategy.EARLY_INSIDE,
            Strategy.EARLY_REMOVED,
            Strategy.MASK_CROP,
            Strategy.BOX_CROP,
            Strategy.TIGHT_CROP,
            Strategy.LATE_BOX,
            Strategy.WIDE_CROP,
            Strategy.AWAY_CROP,
            Strategy.CENTER_CROP,
        ),
        description="strategies run on every masked prediction; early_inside, box_crop, tight_crop and late_box "
        "apply only where the animal's box is known, early_removed and away_crop only where it is not, and none of the six where "
        "the picture is the box",
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
    min_alone: Fraction = Field(
        0.95,
        description="joint probability that another name needs from the two crops to the animal's box, where the box is "
        "known and the picture without the evidence outside it gives no other name",
    )
    max_broken: float = Field(
        0.01,
        gt=0,
        lt=1,
        description="largest share of the right names that suggestions may make wrong; names are changed only where labels "
        "show that it is less, else they are suggested",
    )
    certain: float = Field(
        0.9, ge=0.5, lt=1, description="confidence with which labels must show that, however often they are looked at"
    )

    @field_validator("strategies", mode="before")
    @classmethod
    def _check_strategies(cls, given: Any) -> Any:
        known = [strategy.value for strategy in Strategy if strategy != Strategy.FUSED]
        names = list(given) if isinstance(given, list | tuple) else []
        for place, name in enumerate(names):
            if name not in known:
                raise ValueError(f"no strategy {name!r}; there are {', '.join(known)}")
            if name in names[:place]:
                raise ValueError(f"strategy {name!r} stands twice")
        return given


class SliceConfig(Settings):
    """Which slices are tested for systematic error, and when evidence counts as a cause; fixed before looking."""

    families: tuple[SliceKey, ...] = Field(
        get_args(SliceKey),
        description="what a slice may be grouped by; a key that is null for a row leaves the row out",
    )
    max_depth: int = Field(2, ge=1, le=2, description="most keys of a slice: 2 also tests pairs of families")
    visit_minutes: int = Field(
        30, ge=0, description="minutes between events of one individual at one camera up to which they are one visit"
    )
    min_events: int = Field(2, ge=1, description="fewest visits a slice needs to be tested")
    min_errors: int = Field(2, ge=1, description="fewest visits that err a slice needs to be tested")
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
    min_gradient_outside: Fraction = Field(
        0.6, description="share of a name's gradient outside the animal's box that makes the background a cause"
    )
    min_gradient_spread: Fraction = Field(
        0.55,
        description="the same where no box is known: share outside the window of half the width and height that holds most of it",
    )
    confusable_probability: Fraction = Field(
        0.1, description="probability given to the true individual from which a wrong name is a near miss"
    )
    label_suspect_probability: Fraction = Field(
        0.9,
        description="probability from which a name that another person gave to the same visit puts a label in doubt",
    )
    low_quality_ratio: Fraction = Field(
        0.4,
        description="sharpness or brightness below this share of the camera's median in that light, or of all cameras', is poor",
    )


class FilesConfig(Settings):
    """Limits of each file that is handed in or found beside media: manifests, tables, labels, boxes, flags, `model.json`."""

    max_bytes: int = Field(10**9, gt=0, le=10**9, description="largest file, as it is and unpacked (bytes)")
    max_small_bytes: int = Field(10_000_000, gt=0, description="largest model.json and file of settings (bytes)")
    max_seconds: float = Field(900.0, gt=0, description="longest reading of one file, and of its rows (s)")


class AuditConfig(Settings):
    """All settings of an audit."""

    media: MediaConfig = MediaConfig()
    classify: ClassifyConfig = ClassifyConfig()
    triage: TriageConfig = TriageConfig()
    masks: MaskConfig = MaskConfig()
    reclassify: ReclassifyConfig = ReclassifyConfig()
    slices: SliceConfig = SliceConfig()
    files: FilesConfig = FilesConfig()

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
            hint = first["msg"].removeprefix("Value error, ")
            if first["type"] == "extra_forbidden":
                hint = _UNKNOWN_FIELD.get(field) or _UNKNOWN_FIELD.get(field.partition(".")[0]) or _UNKNOWN_FIELD[""]
            raise InputError(f"{where}: {field}: {hint}") from error

    @property
    def digest(self) -> str:
        """First 16 hex digits of the sha256 over the settings that can change a row."""
        content = self.model_dump(mode="json", exclude=_NOT_IN_DIGEST)
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


_UNKNOWN_FIELD = {
    "": "no such field; see docs/config.md",
    "masks": f"no such field; there are {', '.join(MaskConfig.model_fields)}; for all settings of a mask, call "
    "scd_core.masks.fit_masks with an SCDConfig",
    "masks.seed": "no such field; triage.seed is the seed of the masks as well",
}
"""Field or section -> what a file that names an unknown field there should do."""

# Speed and reporting settings leave the rows of a batch as they are, so they do not make it new work.
_NOT_IN_DIGEST: dict[str, Any] = {
    "media": {"fetch_workers", "shard_size", "batch_size", "batch_template", "quiet_seconds", "closed_after"},
    "classify": {"device", "batch_size"},
    "masks": {"compile", "max_samples_per_forward"},
    "slices": True,
    "files": True,
    "reclassify": {"max_broken", "certain"},
}
