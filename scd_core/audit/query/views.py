"""Ready views for the usual questions, by name: the SQL behind ``docs/queries.md``."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["READY_VIEWS", "VIEWS", "View"]


@dataclass(frozen=True)
class View:
    """A question that is asked often, and its answer as SQL over the tables and the views before it."""

    question: str
    sql: str


VIEWS: dict[str, View] = {
    "systematic_errors": View(
        "Which errors are systematic, and not explained by another one? Most events first.",
        """
        SELECT sentence, slice, cause, trend, n_errors, n_events, error_rate, ci_low, ci_high, baseline_rate, lift, q_value,
            recovered_rate, confused_with, first_seen, last_seen, slice_id, example_media_ids
        FROM error_slices WHERE is_systematic AND folded_into IS NULL ORDER BY n_errors DESC, q_value
        """,
    ),
    "worst_cameras": View(
        "Which cameras err most? Weighted rates over events, with the events they stand on.",
        """
        SELECT camera_id, count(DISTINCT coalesce(event_id, target_id)) AS n_events,
            coalesce(sum(event_weight) FILTER (error_type <> 'correct'), 0) / sum(event_weight) AS error_rate,
            mode(predicted_id) FILTER (error_type <> 'correct') AS confused_with,
            mode(cause) FILTER (error_type <> 'correct') AS cause
        FROM errors WHERE is_labelled AND is_current AND event_weight > 0
        GROUP BY camera_id ORDER BY error_rate DESC NULLS LAST, n_events DESC
        """,
    ),
    "confused_pairs": View(
        "Which individuals are taken for which? Events, and the share of the true individual's events.",
        """
        WITH pairs AS (
            SELECT true_id, predicted_id, error_type, count(DISTINCT coalesce(event_id, target_id)) AS n_events,
                sum(event_weight) AS weight, count(*) FILTER (is_recovered) AS n_recovered, mode(cause) AS cause
            FROM errors WHERE is_labelled AND is_current GROUP BY true_id, predicted_id, error_type
        )
        SELECT true_id, predicted_id, n_events, weight / sum(weight) OVER (PARTITION BY true_id) AS share_of_true,
            n_recovered, cause
        FROM pairs QUALIFY error_type <> 'correct' ORDER BY n_events DESC, true_id, predicted_id
        """,
    ),
    "causes": View(
        "What causes the errors, and how many of them do masks correct?",
        """
        SELECT cause, count(*) AS n_errors, count(DISTINCT coalesce(event_id, target_id)) AS n_events,
            count(*) FILTER (is_masked) AS n_masked, count(*) FILTER (is_recovered) AS n_recovered
        FROM errors WHERE is_labelled AND is_current AND error_type <> 'correct' GROUP BY cause ORDER BY n_events DESC
        """,
    ),
    "model_changes": View(
        "What did the newest model change? Labelled targets that two models named, each model against the one before.",
        """
        WITH models AS (
            SELECT model_digest, rank() OVER (ORDER BY min(finished_at)) AS place FROM runs GROUP BY model_digest
        ),
        named AS (
            SELECT place, model_digest, target_id, true_id, predicted_id, error_type = 'correct' AS is_right
            FROM errors JOIN models USING (model_digest) WHERE is_labelled
            QUALIFY row_number() OVER (PARTITION BY model_digest, target_id ORDER BY is_current DESC, batch_key) = 1
        )
        SELECT old.model_digest AS old_model, new.model_digest AS new_model, new.true_id, count(*) AS n_targets,
            count(*) FILTER (NOT old.is_right AND new.is_right) AS n_mended,
            count(*) FILTER (old.is_right AND NOT new.is_right) AS n_spoilt
        FROM named new JOIN named old ON new.target_id = old.target_id AND new.place = old.place + 1
        GROUP BY ALL ORDER BY new_model, n_spoilt DESC, n_mended DESC, new.true_id
        """,
    ),
    "to_review": View(
        "What should a person look at next? Suspected names, those with most reasons and of systematic slices first.",
        """
        SELECT media_id, target_id, file, camera_id, captured_at, predicted_id, probability, final_id, suspicion_reasons,
            len(suspicion_reasons)
                + coalesce(predicted_id IN (SELECT confused_with FROM error_slices WHERE is_systematic), false)::INT AS urgency
        FROM errors LEFT JOIN (SELECT media_id, any_value(file) AS file FROM media GROUP BY media_id) USING (media_id)
        WHERE is_suspected AND is_current ORDER BY urgency DESC, probability, target_id
        """,
    ),
    "recovered_by_masks": View(
        "How often does each re-classification mend a wrong name, and how often does it spoil a right one?",
        """
        SELECT strategy, count(*) AS n_labelled,
            count(*) FILTER (errors.error_type <> 'correct' AND reclassifications.predicted_id = true_id) AS n_mended,
            count(*) FILTER (errors.error_type = 'correct' AND reclassifications.predicted_id IS DISTINCT FROM true_id)
                AS n_spoilt
        FROM reclassifications JOIN errors USING (batch_key, target_id)
        WHERE is_labelled AND is_current AND strategy_status = 'ok' GROUP BY strategy ORDER BY n_mended DESC, strategy
        """,
    ),
    "calibration": View(
        "Are the probabilities honest? Weighted share of right names per tenth of probability.",
        """
        SELECT floor(least(probability, 0.999) * 10) / 10 AS probability_from, count(*) AS n,
            sum(event_weight * probability) / sum(event_weight) AS mean_probability,
            coalesce(sum(event_weight) FILTER (error_type = 'correct'), 0) / sum(event_weight) AS share_right
        FROM errors WHERE is_labelled AND is_current AND probability IS NOT NULL GROUP BY 1 ORDER BY 1
        """,
    ),
    "count_effect": View(
        "What do the errors do to the count of individuals? Ghosts are counted too many, losses too few.",
        """
        WITH known AS (
            SELECT true_id, bool_or(error_type = 'split') AS was_split, bool_and(error_type = 'combination') AS was_swallowed,
                count(DISTINCT coalesce(event_id, target_id)) FILTER (error_type = 'split') AS n_split_events,
                count(DISTINCT coalesce(event_id, target_id)) FILTER (error_type = 'combination') AS n_combined_events
            FROM errors WHERE is_labelled AND is_current GROUP BY true_id
        )
        SELECT count(*) FILTER (true_id <> 'unknown') AS n_individuals_labelled,
            count(*) FILTER (was_split) AS n_individuals_split, coalesce(sum(n_split_events), 0)::BIGINT AS n_ghost_events,
            count(*) FILTER (was_swallowed) AS n_individuals_lost,
            coalesce(sum(n_combined_events), 0)::BIGINT AS n_combined_events
        FROM known
        """,
    ),
    "slice_trends": View(
        "How did each systematic slice develop over the reports?",
        """
        SELECT slice_id, slice, report_date, report_id, n_events, n_errors, error_rate, ci_low, ci_high, q_value, trend
        FROM error_slices_history
        WHERE slice_id IN (SELECT slice_id FROM error_slices_history WHERE is_systematic AND folded_into IS NULL)
        ORDER BY slice_id, report_id
        """,
    ),
    "quarantine": View(
        "What could not be used, and why?",
        """
        SELECT status, failure_stage, failure_reason, count(DISTINCT media_id) AS n_media, min(file) AS example
        FROM media WHERE status NOT IN ('ok', 'duplicate') GROUP BY ALL ORDER BY n_media DESC, status
        """,
    ),
    "nights": View(
        "How did each batch go?",
        """
        SELECT batch_date, batch_key, model_digest, n_media, n_quarantined, n_predictions, n_flagged, n_masks, n_failed,
            n_flips,
            round(epoch(finished_at - started_at), 1) AS seconds
        FROM runs ORDER BY batch_date DESC, batch_key
        """,
    ),
}
"""View -> question and SQL."""

READY_VIEWS: dict[str, str] = {name: view.sql for name, view in VIEWS.items()}
"""View -> SQL."""
