"""The columns of the audit tables: one dictionary of fields, from which schemas, checks and documentation are made."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import pyarrow as pa

from scd_core import names

__all__ = ["FIELDS", "Field"]


@dataclass(frozen=True)
class Field:
    """A column: its Arrow type, what it means, its unit where it has one, and the values it may have."""

    type: pa.DataType
    description: str
    unit: str = ""
    values: type[StrEnum] | None = None  # the only values allowed, of the column or of the items of a list
    is_required: bool = False  # never null


_TIME = pa.timestamp("us", tz="UTC")
_CANDIDATES = pa.list_(pa.struct([("individual_id", pa.string()), ("probability", pa.float32())]))

FIELDS: dict[str, Field] = {
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
    "last_modified_at": Field(_TIME, "when the object was last written", is_required=True),
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
    "topk": Field(_CANDIDATES, "most probable candidates, best first"),
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
        _CANDIDATES,
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
    # labels
    "label_id": Field(pa.string(), "hash over the label's content", is_required=True),
    "import_id": Field(pa.string(), "hash over the imported file's content", is_required=True),
    "individual_id": Field(
        pa.string(),
        "individual named by a person; `unknown` where none of the known ones, null where `state` is blank or unclear",
    ),
    "state": Field(
        pa.string(),
        "what the person said; `named` or `unknown` by `individual_id` where null (older imports)",
        values=names.LabelState,
    ),
    "import_file": Field(pa.string(), "name of the imported file"),
    "import_counts": Field(
        pa.string(),
        "what became of the imported file's rows, as `inputs` of `runs`, before any was joined; on one row of an import, null on "
        "the others",
    ),
    "undoes_import_id": Field(
        pa.string(),
        "the import that this row undoes; the row then is no label, its `file` is empty, and all but its ids and time are null",
    ),
    "label_source": Field(pa.string(), "format of the file it is from", values=names.LabelFormat),
    "flank": Field(
        pa.string(), "side of the animal in the picture; null where the label does not give it", values=names.Flank
    ),
    "labelled_by": Field(pa.string(), "who named it; null where not given"),
    "queue": Field(
        pa.string(),
        "the `stratum` that the picture was drawn from for the list of what to label next; null where it was not on the list",
    ),
    "queue_probability": Field(
        pa.float64(),
        "chance that a visit of this stratum stands on the list down to the picture's place, 0-1; null where it was not on it",
    ),
    "review_queue": Field(
        pa.string(),
        "queue of `trapaudit review` in which it was answered: `next`, `slice:ID` and so on; `compare` and `improve` for the "
        "lists of `trapaudit compare` and of `trapaudit improve --label-next`; null elsewhere",
    ),
    "shown": Field(
        pa.list_(pa.string()), "names that were on the screen, most probable first; null outside the review"
    ),
    "answer_seconds": Field(
        pa.float64(), "time from the picture on the screen to the answer; null outside the review", "seconds"
    ),
    "labelled_at": Field(_TIME, "when it was named; the time of import where not given"),
    "imported_at": Field(_TIME, "when the label was imported", is_required=True),
    # errors
    "true_id": Field(
        pa.string(),
        "individual by the newest label, `blank` where it says that there is no animal; null where there is none",
    ),
    "final_id": Field(
        pa.string(), "individual after re-classification: the prediction, or the suggestion where labels certify it"
    ),
    "suggested_id": Field(
        pa.string(), "another name that re-classification gives than the prediction; null where it gives none"
    ),
    "is_certified": Field(
        pa.bool_(),
        "the model's labels show that suggestions as sure as this one break few right names (`reclassify.max_broken`), so it "
        "is the final name; null where nothing is suggested",
    ),
    "final_probability": Field(pa.float32(), "probability of the final name, 0-1"),
    "error_type": Field(pa.string(), "kind of error, or `correct`; null without a label", values=names.ErrorType),
    "is_labelled": Field(pa.bool_(), "a person has named it", is_required=True),
    "is_suspected": Field(pa.bool_(), "no label, but reason to doubt the name", is_required=True),
    "suspicion_reasons": Field(
        pa.list_(pa.string()), "reasons to doubt; empty where there is none", values=names.SuspicionReason
    ),
    "cause": Field(pa.string(), "what explains the wrong name, by the rules below", values=names.Cause),
    "cause_evidence": Field(pa.string(), "what the cause is derived from, in words"),
    "is_recovered": Field(pa.bool_(), "wrong before, right after re-classification"),
    "is_broken": Field(pa.bool_(), "right before, wrong after re-classification"),
    "is_masked": Field(pa.bool_(), "a mask was made and the target classified again"),
    "is_current": Field(pa.bool_(), "from the newest run over this target; slices count only such rows"),
    "quality": Field(pa.string(), "against other pictures of the same camera and light", values=names.Quality),
    "label_probability": Field(
        pa.float64(),
        "labelled share of the batch's predictions with the same first flag reason, or with none, 0-1, less what it stands for "
        "of other batches; null without a label, or where a queue of the review other than `next` and `pairs` led to it",
    ),
    "stratum": Field(
        pa.string(),
        "what `label_probability` is the labelled share of, in the row's batch: the first reason for which triage flagged it, "
        "`unflagged`, or `flagged` where the reasons are not known",
    ),
    "has_flag": Field(pa.bool_(), "triage had a reason to flag it; false for controls"),
    "visit_id": Field(
        pa.string(),
        "hash of the visit: events of one individual, as labelled, else as named, at one camera, with at most "
        "`slices.visit_minutes` between them; null in batches without labels and where a newer run replaced the row",
    ),
    "known_at": Field(_TIME, "when a label with the true name was first imported; null without a label"),
    "event_weight": Field(
        pa.float64(), "events that the row stands for in rates: 1 / (label_probability * predictions of its event)"
    ),
    # error slices
    "slice_id": Field(pa.string(), "hash over the slice's keys and values", is_required=True),
    "slice": Field(pa.map_(pa.string(), pa.string()), "key -> value, for example camera_id -> C07"),
    "family": Field(pa.string(), "the slice's keys, joined by +"),
    "n_events": Field(pa.int64(), "labelled visits in the slice"),
    "n_images": Field(pa.int64(), "labelled images in the slice"),
    "n_errors": Field(pa.int64(), "labelled visits in the slice that err"),
    "exposure": Field(
        pa.float64(),
        "visits that were looked at: labelled ones, and those that nobody flagged where flags were labelled",
    ),
    "n_effective": Field(pa.float64(), "equally weighted visits that would give the error rate as exactly"),
    "error_rate": Field(
        pa.float64(), "weighted share of events that err, 0-1; where `is_lower_bound`, the least it can be"
    ),
    "is_lower_bound": Field(
        pa.bool_(),
        "no visit without a flag is labelled, so the rate is errors per visit that was looked at, the least it can be",
    ),
    "ci_low": Field(pa.float64(), "lower end of Wilson's interval of the error rate, 0-1"),
    "ci_high": Field(pa.float64(), "upper end of Wilson's interval of the error rate, 0-1"),
    "baseline_rate": Field(pa.float64(), "the same rate of all others, 0-1"),
    "lift": Field(pa.float64(), "error rate over the baseline rate"),
    "p_value": Field(pa.float64(), "one-sided p-value of the slice's rate against the baseline"),
    "q_value": Field(
        pa.float64(),
        "Benjamini-Hochberg q-value over all families of the report, each with its share of the error rate",
    ),
    "n_tests": Field(
        pa.int64(),
        "tests that the p-value is held against: slices of all families that chance would put as far up, by the families' "
        "shares of the error rate, over the p-value; where `tested_within` is set, twice the number of wrong names",
    ),
    "tested_within": Field(
        pa.string(),
        "slice_id of the systematic slice of the same true individual among whose names this pair was tested, with the larger "
        "of the two q-values; null for a slice that is tested among all",
    ),
    "n_splits": Field(
        pa.int64(), "labelled visits of known individuals called unknown; there may be more that nobody labelled"
    ),
    "n_combinations": Field(pa.int64(), "labelled visits of unknown individuals called known; there may be more"),
    "is_systematic": Field(pa.bool_(), "q-value below the configured limit"),
    "confused_with": Field(pa.string(), "name that the slice's wrong visits are given most often"),
    "recovered_rate": Field(pa.float64(), "share of the slice's masked errors that re-classification corrected, 0-1"),
    "n_error_images": Field(pa.int64(), "wrong pictures in the slice"),
    "n_masked_errors": Field(pa.int64(), "wrong pictures in the slice that were masked"),
    "n_recovered_errors": Field(pa.int64(), "wrong pictures in the slice that re-classification corrected"),
    "n_of_cause": Field(pa.int64(), "wrong pictures in the slice that have its cause, of `n_cause_seen`"),
    "n_cause_seen": Field(
        pa.int64(),
        "wrong pictures in the slice in which its cause could be seen: masked ones for `overlay`, these and those "
        "with a `gradient_outside` for `background`, those of known flank for `flank`, else all",
    ),
    "relation": Field(
        pa.string(),
        "how the name that was given is related to the true one, where a taxonomy holds both (`lineages` of `runs`) and they are "
        "two words; `same`, `less_exact` and `more_exact` are no errors",
        values=names.Relation,
    ),
    "n_of_type": Field(pa.int64(), "wrong pictures in the slice that are of its `error_type`"),
    "what_to_do": Field(pa.string(), "one line of advice, commands between backticks, OUT for the audit's address"),
    "first_seen": Field(
        pa.timestamp("us"), "`onset` where there is one, else the slice's first error, on the camera's clock"
    ),
    "last_seen": Field(pa.timestamp("us"), "last error of the slice, on the camera's clock"),
    "onset": Field(
        pa.timestamp("us"),
        "when the slice began to err, on the camera's clock: the first error after the change of its rate; null where no change "
        "is seen, so that it may have erred from the start of its records",
    ),
    "onset_low": Field(pa.timestamp("us"), "first day on which that may have been, by a 95 % interval"),
    "onset_high": Field(pa.timestamp("us"), "last day on which that may have been, by a 95 % interval"),
    "e_weight": Field(
        pa.float64(),
        "share of the slice in the evidence of all that are tested: the family's share of the error rate over its slices",
    ),
    "e_value": Field(
        pa.float64(),
        "evidence that the slice errs more, which holds at any number of looks: an e-process over the days on which labels "
        "came in; null where `p_value` is not below 0.05",
    ),
    "announced_at": Field(
        _TIME,
        "last label of the day with which that evidence first sufficed among all slices that are tested; null where it has not",
    ),
    "trend": Field(pa.string(), "against the report before", values=names.Trend),
    "labels_needed": Field(
        pa.int64(),
        "further labelled visits of the slice, if they err nearly as before, until it is settled: a systematic one until its "
        "interval is at most 0.2 wide, another until its test passes with probability 0.8; null where 10 000 are not enough, "
        "another slice explains it, or 200 others are nearer to it",
        "visits",
    ),
    "folded_into": Field(pa.string(), "slice_id of the simpler slice that explains this one; null where none does"),
    "sentence": Field(pa.string(), "the slice in one plain sentence"),
    "example_media_ids": Field(
        pa.list_(pa.string()),
        "media of errors of different visits, drawn at random: in the order of the sha256 of `slice_id:media_id`",
    ),
    # runs
    "source": Field(pa.string(), "SOURCE, without credentials"),
    "started_at": Field(_TIME, "when the run started"),
    "finished_at": Field(_TIME, "when the run had written its rows"),
    "config": Field(pa.string(), "the whole configuration, as JSON"),
    "model_input": Field(pa.string(), "how the model's input is made of a picture, as JSON (`input` of model.json)"),
    "individuals": Field(pa.list_(pa.string()), "names that the model can give"),
    "individuals_by_hash": Field(
        pa.map_(pa.string(), pa.list_(pa.string())),
        "for each `individuals_available` of the batch's pictures the individuals; null in older audits",
    ),
    "versions": Field(pa.string(), "versions of trapaudit, Python, torch, torchvision, prefect, as JSON"),
    "device": Field(pa.string(), "device of the model"),
    "inputs": Field(
        pa.string(),
        "what became of the rows of each given file, as a JSON list: `kind`, `name`, `rows`, `joined`, `waiting`, "
        "`not_understood`, `unusable`, `examples`, `notes`",
    ),
    "n_media": Field(pa.int64(), "objects in the batch"),
    "n_ok": Field(pa.int64(), "media that could be used, duplicates included"),
    "n_quarantined": Field(pa.int64(), "media that could not be used"),
    "n_predictions": Field(pa.int64(), "predictions with a name"),
    "n_flagged": Field(pa.int64(), "predictions flagged"),
    "n_masks": Field(pa.int64(), "masks made"),
    "n_telling_masks": Field(
        pa.int64(),
        "masks that show something: the final decision gives another name, or the name rests on background or strips by the "
        "limits that `slices` has by default; `n_masks / n_telling_masks` are masks per corrected or explained name",
    ),
    "n_second_masks": Field(
        pa.int64(),
        "masked names that got further masks, with other noise, because the first one gave another name or was near to it",
    ),
    "masks_by_reason": Field(
        pa.map_(pa.string(), pa.int64()),
        "masks made for each first reason of a flag, controls that nothing else flags under `control`; null in older audits",
    ),
    "telling_by_reason": Field(
        pa.map_(pa.string(), pa.int64()),
        "of `masks_by_reason`, those that show something, as `n_telling_masks` counts them; triage shares a budget that is too "
        "small out by these; null in older audits",
    ),
    "n_failed": Field(pa.int64(), "predictions and masks that could not be made; each row has its reason"),
    "model_name": Field(
        pa.string(),
        "what gave the names: the last folder of the model package's address, or the tool and version of a file of predictions, "
        "and the file; null in older audits",
    ),
    "n_not_available": Field(
        pa.int64(),
        "masks that were not made because no network here gives the names with gradients: they are another tool's, or of an "
        "ONNX model that PyTorch does not repeat; each row has its reason; null in older audits",
    ),
    "n_flips": Field(pa.int64(), "other names than the model's that the decision suggests"),
    "is_shadow": Field(
        pa.bool_(),
        "a second model named beside the one in use (`--shadow`); such batches are read by `compare` alone; null in older "
        "audits",
    ),
    "lineages": Field(
        pa.map_(pa.string(), pa.string()),
        "name -> its place in a taxonomy: class, order, family, genus and species with `;` between them, then the individual; "
        "null without a taxonomy",
    ),
    "seconds": Field(
        pa.map_(pa.string(), pa.float64()),
        "wall time per stage, as `mask`; besides, as `mask:begin`, when it began, after `started_at`, as `mask:task` the time of "
        "its tasks, which run several at once, and of that what they waited for the storage (`mask:storage`), worked with the "
        "model without its waits for pictures (`mask:model`), and waited for a place on the GPU (`mask:slot`); view `throughput`",
        "seconds",
    ),
}
