"""Columns of labels, and of what a report derives from them: errors and error slices."""

from __future__ import annotations

import pyarrow as pa

from scd_core import names
from scd_core.label_names import LabelFormat, LabelState
from scd_core.tables.field import TIME, Field

__all__ = ["FINDING_FIELDS"]

FINDING_FIELDS: dict[str, Field] = {
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
        values=LabelState,
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
    "label_source": Field(pa.string(), "format of the file it is from", values=LabelFormat),
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
    "labelled_at": Field(TIME, "when it was named; the time of import where not given"),
    "imported_at": Field(TIME, "when the label was imported", is_required=True),
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
    "known_at": Field(TIME, "when a label with the true name was first imported; null without a label"),
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
        TIME,
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
}
