"""A row of each table as a typed dictionary, for mypy; `make docs` writes it from ``fields.py`` and ``schema.py``.

Rows are built in steps, so no key is required; a value may be null unless its column never is by the schema.
"""

from __future__ import annotations

from datetime import datetime
from typing import TypedDict

__all__ = [
    "Candidate",
    "CandidateRow",
    "EmbeddingRow",
    "ErrorRow",
    "HiddenBox",
    "LabelRow",
    "MaskRow",
    "MediaRow",
    "PredictionRow",
    "ReclassificationRow",
    "RunRow",
    "SliceRow",
]


class Candidate(TypedDict):
    """A name that the model gives some probability."""

    individual_id: str
    probability: float


class HiddenBox(TypedDict):
    """A box that is neither classified nor shown, in shares."""

    x_min: float
    y_min: float
    width: float
    height: float


class MediaRow(TypedDict, total=False):
    """A row of the table ``media``."""

    run_id: str
    batch_key: str
    model_digest: str
    media_id: str
    uri: str
    file: str
    version_id: str | None
    etag: str
    size_bytes: int
    last_modified_at: datetime
    content_sha256: str | None
    format: str | None
    width: int | None
    height: int | None
    captured_at: datetime | None
    captured_at_source: str | None
    time_not_understood: str | None
    clock_doubt: str | None
    utc_offset_minutes: int | None
    site_id: str | None
    camera_id: str | None
    deployment_id: str | None
    latitude: float | None
    longitude: float | None
    event_id: str | None
    is_infrared: bool | None
    brightness: float | None
    sharpness: float | None
    status: str
    failure_stage: str | None
    failure_reason: str | None
    duplicate_of: str | None


class PredictionRow(TypedDict, total=False):
    """A row of the table ``predictions``."""

    run_id: str
    batch_key: str
    model_digest: str
    target_id: str
    media_id: str
    detection_id: str | None
    content_number: int | None
    bbox_x_min: float | None
    bbox_y_min: float | None
    bbox_width: float | None
    bbox_height: float | None
    hidden_boxes: list[HiddenBox] | None
    detection_confidence: float | None
    prediction_status: str
    failure_reason: str | None
    predicted_id: str | None
    probability: float | None
    margin: float | None
    entropy: float | None
    topk: list[Candidate] | None
    gradient_outside: float | None
    gradient_region: str | None
    embedding: list[float] | None
    candidate_id: str | None
    review_rank: int | None
    event_id: str | None
    event_predicted_id: str | None
    is_flagged: bool
    flag_reasons: list[str] | None
    is_control: bool
    is_selected: bool
    inclusion_probability: float | None
    box_margin: float | None
    gallery_digest: str | None
    individuals_available: str | None
    is_expected: bool | None
    unweighted_id: str | None
    frame_logits: list[float] | None


class MaskRow(TypedDict, total=False):
    """A row of the table ``masks``."""

    run_id: str
    batch_key: str
    model_digest: str
    target_id: str
    media_id: str
    detection_id: str | None
    method: str
    mask_status: str
    failure_reason: str | None
    predicted_id: str | None
    contrast_id: str | None
    mask_png: bytes | None
    ssr_probability: float | None
    sdr_probability: float | None
    area: float | None
    border_mass: float | None
    mass_in_box: float | None
    background_reliance: float | None
    background_log_odds_drop: float | None
    overlay_reliance: float | None
    overlay_log_odds_drop: float | None
    iterations: int | None
    evaluations: int | None
    is_converged: bool | None
    seed: int | None


class ReclassificationRow(TypedDict, total=False):
    """A row of the table ``reclassifications``."""

    run_id: str
    batch_key: str
    model_digest: str
    target_id: str
    media_id: str
    detection_id: str | None
    strategy: str
    strategy_status: str
    predicted_id: str | None
    probability: float | None
    is_flip: bool | None
    crop_x_min: float | None
    crop_y_min: float | None
    crop_width: float | None
    crop_height: float | None
    reason: str | None
    second_evaluations: int | None


class LabelRow(TypedDict, total=False):
    """A row of the table ``labels``."""

    import_id: str
    label_id: str
    file: str
    media_id: str | None
    detection_id: str | None
    individual_id: str | None
    flank: str | None
    label_source: str | None
    labelled_by: str | None
    labelled_at: datetime | None
    imported_at: datetime
    state: str | None
    bbox_x_min: float | None
    bbox_y_min: float | None
    bbox_width: float | None
    bbox_height: float | None
    import_file: str | None
    undoes_import_id: str | None
    queue: str | None
    queue_probability: float | None
    import_counts: str | None
    review_queue: str | None
    shown: list[str] | None
    answer_seconds: float | None


class ErrorRow(TypedDict, total=False):
    """A row of the table ``errors``."""

    report_id: str
    batch_key: str
    model_digest: str
    target_id: str
    media_id: str
    detection_id: str | None
    event_id: str | None
    camera_id: str | None
    deployment_id: str | None
    captured_at: datetime | None
    is_infrared: bool | None
    true_id: str | None
    predicted_id: str | None
    probability: float | None
    final_id: str | None
    final_probability: float | None
    error_type: str | None
    is_labelled: bool
    is_suspected: bool
    suspicion_reasons: list[str] | None
    cause: str | None
    cause_evidence: str | None
    is_masked: bool | None
    suggested_id: str | None
    is_certified: bool | None
    is_recovered: bool | None
    is_broken: bool | None
    is_current: bool | None
    flank: str | None
    labelled_by: str | None
    quality: str | None
    background_reliance: float | None
    gradient_outside: float | None
    gradient_region: str | None
    inclusion_probability: float | None
    label_probability: float | None
    event_weight: float | None
    has_flag: bool | None
    stratum: str | None
    visit_id: str | None
    known_at: datetime | None
    content_number: int | None
    relation: str | None


class SliceRow(TypedDict, total=False):
    """A row of the table ``error_slices``."""

    report_id: str
    slice_id: str
    slice: list[tuple[str, str]] | None
    family: str | None
    n_events: int | None
    n_images: int | None
    n_errors: int | None
    exposure: float | None
    n_effective: float | None
    error_rate: float | None
    is_lower_bound: bool | None
    ci_low: float | None
    ci_high: float | None
    baseline_rate: float | None
    lift: float | None
    p_value: float | None
    q_value: float | None
    n_tests: int | None
    e_weight: float | None
    tested_within: str | None
    is_systematic: bool | None
    error_type: str | None
    confused_with: str | None
    n_splits: int | None
    n_combinations: int | None
    cause: str | None
    background_reliance: float | None
    recovered_rate: float | None
    n_error_images: int | None
    n_masked_errors: int | None
    n_recovered_errors: int | None
    n_of_cause: int | None
    n_cause_seen: int | None
    n_of_type: int | None
    what_to_do: str | None
    first_seen: datetime | None
    last_seen: datetime | None
    onset: datetime | None
    onset_low: datetime | None
    onset_high: datetime | None
    e_value: float | None
    announced_at: datetime | None
    trend: str | None
    labels_needed: int | None
    folded_into: str | None
    sentence: str | None
    example_media_ids: list[str] | None


class RunRow(TypedDict, total=False):
    """A row of the table ``runs``."""

    run_id: str
    batch_key: str
    model_digest: str
    config_digest: str | None
    source: str | None
    started_at: datetime | None
    finished_at: datetime | None
    config: str | None
    model_input: str | None
    versions: str | None
    device: str | None
    individuals: list[str] | None
    inputs: str | None
    n_media: int | None
    n_ok: int | None
    n_quarantined: int | None
    n_predictions: int | None
    n_flagged: int | None
    n_masks: int | None
    n_failed: int | None
    n_flips: int | None
    n_telling_masks: int | None
    seconds: list[tuple[str, float]] | None
    model_name: str | None
    n_not_available: int | None
    n_second_masks: int | None
    masks_by_reason: list[tuple[str, int]] | None
    telling_by_reason: list[tuple[str, int]] | None
    lineages: list[tuple[str, str]] | None
    is_shadow: bool | None
    individuals_by_hash: list[tuple[str, list[str]]] | None


class EmbeddingRow(TypedDict, total=False):
    """A row of the table ``embeddings``."""

    run_id: str
    batch_key: str
    model_digest: str
    target_id: str
    media_id: str
    detection_id: str | None
    embedding_space: str
    features: list[float]


class CandidateRow(TypedDict, total=False):
    """A row of the table ``candidates``."""

    run_id: str
    batch_key: str
    model_digest: str
    candidate_id: str | None
    version: int
    change: str
    change_reason: str | None
    merged_into: str | None
    target_id: str | None
    media_id: str | None
    detection_id: str | None
    embedding_space: str
    embedding: list[float] | None
    resembles: list[Candidate] | None
    split_from: str | None
    n_moves: int | None
