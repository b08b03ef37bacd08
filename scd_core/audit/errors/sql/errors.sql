-- errors: the rows of the report; a wrong name has the first cause whose rule holds (in words in causes.py).
WITH signs AS (
    SELECT scored.* EXCLUDE (quality), coalesce(quality, 'good') AS quality,
        coalesce(repeated_pairs.is_recurrent, false) AS is_recurrent_pair,
        repeated_pairs.true_id IS NOT NULL AS is_repeated_pair,
        weak_flanks.flank IS NOT NULL AS is_weak_flank,
        one_labellers_pairs.labelled_by IS NOT NULL AS is_one_labellers_pair
    FROM scored
    LEFT JOIN repeated_pairs USING (true_id, predicted_id)
    LEFT JOIN weak_flanks USING (true_id, flank)
    LEFT JOIN one_labellers_pairs USING (true_id, predicted_id, labelled_by)
),
explained AS (
    SELECT *, CASE
        WHEN NOT is_wrong THEN CASE WHEN list_contains(suspicion_reasons, 'label_conflict') THEN 'label_suspect' END
        WHEN overlay_reliance >= $min_overlay_reliance::FLOAT AND overlay_log_odds_drop >= $min_log_odds_drop::FLOAT
            THEN 'overlay'
        WHEN (background_reliance >= $min_background_reliance::FLOAT
                AND (background_log_odds_drop >= $min_log_odds_drop::FLOAT OR is_box_flip))
            OR (background_reliance >= $min_background_reliance / 2 AND is_inside_flip)
            THEN 'background'
        WHEN is_one_labellers_pair OR (probability >= $label_suspect_probability::FLOAT
                AND is_masked AND final_id = predicted_id AND coalesce(event_predicted_id, predicted_id) = predicted_id
                AND true_probability < 0.02
                AND (detection_id IS NOT NULL OR coalesce(background_reliance, 1) < $min_background_reliance::FLOAT)
                AND coalesce(overlay_reliance, 0) < $min_overlay_reliance::FLOAT AND NOT is_repeated_pair)
            THEN 'label_suspect'
        WHEN quality <> 'good' THEN 'image_quality'
        WHEN is_weak_flank THEN 'flank'
        WHEN true_probability >= $confusable_probability::FLOAT OR is_recurrent_pair THEN 'confusable_pair'
        ELSE 'unexplained' END AS cause
    FROM signs
)
SELECT $report_id AS report_id, batch_key, model_digest, target_id, media_id, detection_id, event_id, camera_id,
    deployment_id, captured_at, is_infrared, true_id, predicted_id, probability, final_id, final_probability, error_type,
    true_id IS NOT NULL AS is_labelled, true_id IS NULL AS is_suspected,
    CASE WHEN true_id IS NULL THEN suspicion_reasons ELSE [] END AS suspicion_reasons,
    cause, CASE cause
        WHEN 'overlay'
            THEN printf('%.0f %% of the evidence lies on burned-in strips; without them the log-odds fall by %.1f',
                100 * overlay_reliance, overlay_log_odds_drop)
        WHEN 'background'
            THEN printf('%.0f %% of the evidence lies outside the animal', 100 * background_reliance) || CASE
                WHEN background_log_odds_drop >= $min_log_odds_drop::FLOAT
                    THEN printf('; without it the log-odds fall by %.1f', background_log_odds_drop)
                WHEN is_inside_flip THEN '; once it is blurred, the picture is given another name'
                ELSE '; the animal alone is given another name' END
        WHEN 'label_suspect' THEN CASE
            WHEN NOT is_wrong THEN 'labels of one moment name different individuals'
            WHEN is_one_labellers_pair THEN 'only the pictures labelled by ' || labelled_by || ' are confused so'
            ELSE printf('the evidence lies on the animal, all frames agree, and the label is given %.3f', true_probability) END
        WHEN 'image_quality' THEN 'the picture is ' || quality || ' for this camera'
        WHEN 'flank' THEN 'the ' || flank || ' flank of this individual is mostly misread, the other one is not'
        WHEN 'confusable_pair' THEN CASE
            WHEN true_probability >= $confusable_probability::FLOAT
                THEN printf('the true individual was given %.2f', true_probability)
            ELSE 'this confusion recurs' END
        END AS cause_evidence,
    is_masked, is_recovered, is_broken, is_current, flank, labelled_by, quality, background_reliance,
    inclusion_probability, label_probability, control_probability, event_weight
FROM explained ORDER BY batch_key, target_id
