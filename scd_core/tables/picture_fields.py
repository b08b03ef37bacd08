"""Columns of what a run finds in pictures: who wrote a row, media, predictions, masks, reclassifications."""

from __future__ import annotations

import pyarrow as pa

from scd_core import names
from scd_core.tables.field import CANDIDATES, TIME, Field

__all__ = ["PICTURE_FIELDS"]

PICTURE_FIELDS: dict[str, Field] = {
    # who, when, from what
    "run_id": Field(pa.string(), "run that wrote the row", is_required=True),
    "batch_key": Field(
        pa.string(), "hash over the batch's objects, the model's digest and the config's digest", is_required=True
    ),
    "model_digest": Field(
        pa.string(),
        "sha256 over the model package; or over the name and version of the tool and the file of predictions",
        is_required=True,
    ),
    "config_digest": Field(pa.string(), "hash over the settings that can change a row"),
    "report_id": Field(pa.string(), "report that wrote the row", is_required=True),
    # media
    "media_id": Field(
        pa.string(),
        "hash of the object's URI (without credentials) and its version, or ETag and size",
        is_required=True,
    ),
    "uri": Field(pa.string(), "where the object is, without credentials", is_required=True),
    "file": Field(pa.string(), "path relative to SOURCE", is_required=True),
    "version_id": Field(pa.string(), "version of the object, where the bucket keeps versions"),
    "etag": Field(pa.string(), "ETag; on a disk, the modification time in nanoseconds", is_required=True),
    "size_bytes": Field(pa.int64(), "size of the object", "bytes", is_required=True),
    "last_modified_at": Field(TIME, "when the object was last written", is_required=True),
    "content_sha256": Field(pa.string(), "sha256 of the object's bytes"),
    "format": Field(pa.string(), "image format found in the bytes, whatever the file is called"),
    "width": Field(pa.int32(), "width as seen, after EXIF orientation", "pixels"),
    "height": Field(pa.int32(), "height as seen, after EXIF orientation", "pixels"),
    "captured_at": Field(pa.timestamp("us"), "when the picture was taken, on the camera's clock; null where unknown"),
    "captured_at_source": Field(
        pa.string(), "where the time is from; null where the time is unknown", values=names.TimeSource
    ),
    "time_not_understood": Field(
        pa.string(),
        "what EXIF has in place of a time, where it cannot be read (`a damaged block` where it may have been in a part that is "
        "lost); null where nothing stands there",
    ),
    "clock_doubt": Field(
        pa.string(),
        "why the time is in doubt, in words: the clock runs backwards here (the file before has a later time), is impossible, or "
        "the manifest has another time; then also which was taken",
    ),
    "utc_offset_minutes": Field(pa.int32(), "the camera clock's offset from UTC; null where unknown", "minutes"),
    "site_id": Field(pa.string(), "site, from the path or the manifest"),
    "camera_id": Field(pa.string(), "camera, from the path or the manifest"),
    "deployment_id": Field(pa.string(), "deployment: one camera at one place for one period"),
    "latitude": Field(pa.float64(), "of the deployment, from the manifest", "degrees"),
    "longitude": Field(pa.float64(), "of the deployment, from the manifest", "degrees"),
    "event_id": Field(
        pa.string(),
        "burst of frames of one deployment, which are not independent; `untimed-...`: all frames of one folder without a time",
    ),
    "is_infrared": Field(pa.bool_(), "grey picture of an infrared flash, derived from the pixels"),
    "brightness": Field(pa.float32(), "mean grey value, 0-1"),
    "sharpness": Field(pa.float32(), "variance of the Laplacian of the grey picture at 256 px"),
    "status": Field(pa.string(), "whether the object can be used", values=names.MediaStatus, is_required=True),
    "failure_stage": Field(pa.string(), "where it failed; null where nothing failed", values=names.FailureStage),
    "failure_reason": Field(pa.string(), "why the object cannot be used, in words"),
    "duplicate_of": Field(pa.string(), "media_id of the first object with the same content"),
    # predictions
    "target_id": Field(pa.string(), "what was classified: the media_id, or media_id:detection_id", is_required=True),
    "content_number": Field(
        pa.int64(),
        "hash of the object's bytes and the detection, from which the seed of the mask and random draws are made, so that a "
        "picture has the same wherever it lies; null where they could not be read, and in older audits",
    ),
    "detection_id": Field(pa.string(), "detection box within the media; null where the whole frame was classified"),
    "detection_confidence": Field(pa.float32(), "the detector's confidence, 0-1"),
    "bbox_x_min": Field(pa.float32(), "left edge of the box as a share of the width, 0-1"),
    "bbox_y_min": Field(pa.float32(), "top edge of the box as a share of the height, 0-1"),
    "bbox_width": Field(pa.float32(), "width of the box as a share of the image's, 0-1"),
    "bbox_height": Field(pa.float32(), "height of the box as a share of the image's, 0-1"),
    "box_margin": Field(
        pa.float32(),
        "share of the box, on each of its sides, shown to the model with it (`input.box_margin` of its package); null: none",
    ),
    "hidden_boxes": Field(
        pa.list_(pa.struct([(name, pa.float32()) for name in ("x_min", "y_min", "width", "height")])),
        "boxes of persons and vehicles, neither classified nor shown, as shares of the image; all of it where the detector "
        "failed or has no entry; null without detections",
    ),
    "prediction_status": Field(
        pa.string(),
        "whether it was named; `no_animal`: detections given, none of an animal; `no_detections`: detections given that have "
        "no entry for the image; `not_named`: names of another tool given, none of this image or box",
        values=names.PredictionStatus,
        is_required=True,
    ),
    "predicted_id": Field(
        pa.string(),
        "individual named by the classifier on the original picture, or by the tool whose predictions were given",
    ),
    "probability": Field(
        pa.float32(),
        "calibrated probability of the name, of `unknown` that of the likeliest known name, 0-1; that of a tool's predictions "
        "as it is there, null where it has none",
    ),
    "margin": Field(
        pa.float32(),
        "probability of the first candidate less that of the second, 0-1; null where the second is not known",
    ),
    "entropy": Field(
        pa.float32(),
        "entropy of the probabilities over its maximum, 0-1; null for a tool's predictions, which hold the first few",
    ),
    "topk": Field(CANDIDATES, "most probable candidates, best first"),
    "gradient_outside": Field(
        pa.float32(),
        "share of the name's positive gradient map (Grad-CAM of its log-odds) outside the animal, 0-1; null where "
        "`gradient_region` is the reason why, and where `classify.measure_gradient` is off",
    ),
    "gradient_region": Field(
        pa.string(),
        "what `gradient_outside` is measured outside of: `box`, the animal's box with a tenth more on each side; `window`, where "
        "no box is known, the window of half the width and height that holds most of the map; or why it is null",
        values=names.GradientRegion,
    ),
    "embedding": Field(
        pa.list_(pa.float32()),
        "the picture as the network sees it, of unit length, to group unknowns by; null for known ones",
    ),
    "embedding_space": Field(
        pa.string(),
        "hash of the network up to its head and of its preprocessing; embeddings of one space can be compared",
        is_required=True,
    ),
    "features": Field(
        pa.list_(pa.float32()),
        "what the head of the network reads of the picture, or, with a gallery, the network's output; in half precision, of any "
        "length: pictures are compared by the angle between them",
        is_required=True,
    ),
    "version": Field(
        pa.int32(), "of the candidate: 1 where it begins, one more with each batch that adds to it", is_required=True
    ),
    "change": Field(pa.string(), "what the row does to the candidate", values=names.CandidateChange, is_required=True),
    "change_reason": Field(pa.string(), "why, in words"),
    "merged_into": Field(
        pa.string(), "candidate that all pictures of this one belong to from here on; null where it is not merged"
    ),
    "split_from": Field(pa.string(), "candidate that the picture leaves for this one; null where it leaves none"),
    "n_moves": Field(
        pa.int32(),
        "how often the picture went from one candidate to another so far; of its rows the one with the most moves counts",
    ),
    "resembles": Field(
        CANDIDATES,
        "known individuals by their mean probability over the batch's pictures of the candidate, the three most like first",
    ),
    "review_rank": Field(
        pa.int32(),
        "place of the candidate in the order in which a label is worth most, 1 is first; null for known ones",
    ),
    "candidate_id": Field(pa.string(), "group of unknowns that look like one new individual; null for known ones"),
    "event_predicted_id": Field(pa.string(), "individual named by all frames of the event together"),
    "gallery_digest": Field(
        pa.string(),
        "sha256 of the gallery that the picture was compared with; null without a gallery, and in older audits",
    ),
    "individuals_available": Field(
        pa.string(),
        "hash over the individuals that are expected at the picture's place and time, or over all names that could be given "
        "where none are stated; `runs` has the names (`individuals_by_hash`); null without a name, and in older audits",
    ),
    "is_expected": Field(
        pa.bool_(),
        "whether the individual that the picture looks most like is expected at its place and time; null where none are stated, "
        "for unknowns, and in older audits",
    ),
    "unweighted_id": Field(
        pa.string(),
        "individual that the picture by itself gives, where the list of expected ones made another one `predicted_id`; else null",
    ),
    "frame_logits": Field(
        pa.list_(pa.float32()),
        "what the whole frame adds to the logits of a box, by class, where the model names by both (`frame_head` in its "
        "package); else null",
    ),
    "is_flagged": Field(pa.bool_(), "deserves a mask, for a reason or as a control", is_required=True),
    "flag_reasons": Field(pa.list_(pa.string()), "why it was flagged; empty where it was not", values=names.FlagReason),
    "is_control": Field(pa.bool_(), "drawn into the random control sample", is_required=True),
    "is_selected": Field(pa.bool_(), "flagged and within the batch's budget, so it gets a mask", is_required=True),
    "inclusion_probability": Field(pa.float64(), "probability with which triage selects this row, 0-1; 1 for a reason"),
    # masks
    "method": Field(pa.string(), "mask method", values=names.MaskMethod, is_required=True),
    "mask_status": Field(pa.string(), "whether the mask could be made", values=names.MaskStatus, is_required=True),
    "contrast_id": Field(pa.string(), "rival individual of a pairwise mask; null for a plain one"),
    "mask_png": Field(pa.binary(), "joint map as an 8-bit grey PNG over the classified picture; 255 = evidence"),
    "ssr_probability": Field(
        pa.float32(),
        "probability of the name with only the sufficient region kept, 0-1; what `frame_logits` adds stays",
    ),
    "sdr_probability": Field(
        pa.float32(), "probability of the name with the destroying region removed, 0-1; what `frame_logits` adds stays"
    ),
    "area": Field(pa.float32(), "mean of the joint map, 0-1"),
    "border_mass": Field(pa.float32(), "share of the joint map within 1/8 of the border, 0-1"),
    "mass_in_box": Field(
        pa.float32(), "share of the joint map inside the animal's box, 0-1; null where no box is known in the picture"
    ),
    "background_reliance": Field(
        pa.float32(), "share of the joint map outside the animal, 0-1; null where no box is known in the picture"
    ),
    "background_log_odds_drop": Field(pa.float32(), "fall of the name's log-odds when the outside is replaced"),
    "overlay_reliance": Field(pa.float32(), "share of the joint map on burned-in strips, 0-1"),
    "overlay_log_odds_drop": Field(pa.float32(), "fall of the name's log-odds when the strips are replaced"),
    "iterations": Field(pa.int32(), "optimiser steps"),
    "evaluations": Field(pa.int32(), "images put through the model", "images"),
    "is_converged": Field(pa.bool_(), "stopped because the mask no longer changed"),
    "seed": Field(pa.int64(), "seed of the mask's noise"),
    # reclassifications
    "strategy": Field(
        pa.string(),
        "what was classified again; `center_crop` is the control, `fused` the decision",
        values=names.Strategy,
        is_required=True,
    ),
    "strategy_status": Field(
        pa.string(), "whether the strategy gave a name", values=names.StrategyStatus, is_required=True
    ),
    "is_flip": Field(pa.bool_(), "the name differs from the one on the original picture"),
    "crop_x_min": Field(pa.float32(), "left edge of the crop as a share of the image's width, 0-1"),
    "crop_y_min": Field(pa.float32(), "top edge of the crop as a share of the image's height, 0-1"),
    "crop_width": Field(pa.float32(), "width of the crop as a share of the image's, 0-1"),
    "crop_height": Field(pa.float32(), "height of the crop as a share of the image's, 0-1"),
    "reason": Field(pa.string(), "why this outcome, in words"),
    "second_evaluations": Field(
        pa.int32(),
        "images put through the model for further masks, with other noise, of which one to three are fitted where the decision "
        "gives another name, or is near to it; null where none was",
        "images",
    ),
}
