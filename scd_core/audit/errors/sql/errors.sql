-- errors: the rows of the report; a wrong name has the first cause whose rule holds (in words in causes.py).
WITH signs AS (
    SELECT scored.* EXCLUDE (quality), coalesce(quality, 'good') AS quality, quality_signs AS poor_camera,
        repeated_pairs.n_places, near_pairs.n_near, near_pairs.n_pictures, labeller_signs AS labeller, place_signs AS place,
        CASE WHEN of_pair.x IS NOT NULL THEN of_pair WHEN of_animal.x IS NOT NULL THEN of_animal ELSE of_all END AS weak_flank,
        contradicted.event IS NOT NULL AS is_contradicted,
        coalesce(gradient_region = 'box' AND gradient_outside >= $min_gradient_outside::FLOAT
            OR gradient_region = 'window' AND gradient_outside >= $min_gradient_spread::FLOAT, false) AS is_gradient_outside,
        coalesce(background_reliance >= $min_background_reliance::FLOAT
                AND (background_log_odds_drop >= $min_log_odds_drop::FLOAT OR is_box_flip)
            OR background_reliance >= $min_background_reliance / 2 AND is_inside_flip, false) AS is_mask_outside
    FROM scored
    LEFT JOIN quality_signs ON quality_signs.camera = scored.camera_id
        AND quality_signs.is_infrared IS NOT DISTINCT FROM scored.is_infrared
    LEFT JOIN repeated_pairs USING (true_id, predicted_id)
    LEFT JOIN near_pairs USING (true_id, predicted_id)
    LEFT JOIN labeller_signs ON labeller_signs.true_id = scored.true_id
        AND labeller_signs.predicted_id = scored.predicted_id AND labeller_signs.labelled_by = scored.labelled_by
        AND labeller_signs.place = coalesce(scored.deployment_id, scored.camera_id)
    LEFT JOIN place_signs ON place_signs.camera = scored.camera_id AND place_signs.predicted_id = scored.predicted_id
        AND scored.true_id <> 'blank'
    LEFT JOIN flank_signs of_pair ON of_pair.true_id = scored.true_id AND of_pair.predicted_id = scored.predicted_id
        AND of_pair.flank = scored.flank
    LEFT JOIN flank_signs of_animal ON of_animal.true_id = scored.true_id AND of_animal.predicted_id IS NULL
        AND of_animal.flank = scored.flank
    LEFT JOIN flank_signs of_all ON of_all.true_id IS NULL AND of_all.flank = scored.flank
    LEFT JOIN contradicted ON contradicted.event = coalesce(scored.event_id, scored.target_id)
        AND contradicted.labelled_by = scored.labelled_by AND contradicted.predicted_id = scored.predicted_id
),
explained AS (
    SELECT *, CASE
        WHEN NOT is_wrong THEN CASE WHEN list_contains(suspicion_reasons, 'label_conflict') THEN 'label_suspect' END
        WHEN overlay_reliance >= $min_overlay_reliance::FLOAT AND overlay_log_odds_drop >= $min_log_odds_drop::FLOAT
            THEN 'overlay'
        WHEN is_mask_outside THEN 'background'
        WHEN labeller.x IS NOT NULL
            OR (is_contradicted AND probability >= $label_suspect_probability::FLOAT AND true_probability < 0.02)
            THEN 'label_suspect'
        WHEN quality <> 'good' OR poor_camera.x IS NOT NULL THEN 'image_quality'
        -- A poor picture has its gradient anywhere, and a label in doubt says nothing of the model.
        WHEN is_gradient_outside THEN 'background'
        WHEN weak_flank.x IS NOT NULL THEN 'flank'
        WHEN place.x IS NOT NULL THEN 'place'
        WHEN predicted_id <> 'unknown' AND true_id NOT IN ('unknown', 'blank')
            AND (true_probability >= $confusable_probability::FLOAT OR n_near IS NOT NULL OR n_places IS NOT NULL)
            THEN 'confusable_pair'
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
        WHEN 'background' THEN CASE
            WHEN NOT is_mask_outside AND gradient_region = 'box'
                THEN printf('%.0f %% of the gradient of the name lies outside the animal', 100 * gradient_outside)
            WHEN NOT is_mask_outside
                THEN printf('%.0f %% of the gradient of the name lies outside the quarter of the picture that holds most of it',
                    100 * gradient_outside)
            ELSE printf('%.0f %% of the evidence lies outside the animal', 100 * background_reliance) || CASE
                WHEN background_log_odds_drop >= $min_log_odds_drop::FLOAT
                    THEN printf('; without it the log-odds fall by %.1f', background_log_odds_drop)
                WHEN is_inside_flip THEN '; once it is blurred, the picture is given another name'
                ELSE '; the animal alone is given another name' END END
        WHEN 'label_suspect' THEN CASE
            WHEN NOT is_wrong THEN 'labels of one moment name different individuals'
            WHEN labeller.x IS NOT NULL
                THEN printf('of the visits of %s and %s at the same cameras, %s calls %d of %d %s against the model, the others %d of %d',
                    true_id, predicted_id, labelled_by, labeller.x, labeller.n, true_id, labeller.x_others, labeller.n_others)
            ELSE 'another person calls other pictures of this event ' || predicted_id || ', as the model does' END
        WHEN 'image_quality' THEN CASE WHEN quality <> 'good' THEN 'the picture is ' || quality || ' for this camera'
            ELSE printf('pictures of this camera are %s against those of the others in this light; %d of %d visits err, there %d of %d',
                poor_camera.camera_quality, poor_camera.x, poor_camera.n, poor_camera.x_others, poor_camera.n_others) END
        WHEN 'flank' THEN printf('the %s flank of %s is misread in %d of %d visits, the other one in %d of %d',
            flank, CASE WHEN weak_flank.true_id IS NULL THEN 'all individuals' ELSE 'this individual' END,
            weak_flank.x, weak_flank.n, weak_flank.x_others, weak_flank.n_others)
        WHEN 'place' THEN printf('at this camera %d individuals are called %s, in %d visits', place.n_individuals, predicted_id,
            place.n_called)
        WHEN 'confusable_pair' THEN CASE
            WHEN true_probability >= $confusable_probability::FLOAT
                THEN printf('the true individual was given %.2f', true_probability)
            WHEN n_near IS NOT NULL
                THEN printf('the true individual was a near miss in %d of the %d pictures with this mistake', n_near, n_pictures)
            ELSE printf('this confusion recurs, at %d cameras', n_places) END
        END AS cause_evidence,
    is_masked, suggested_id, is_certified, is_recovered, is_broken, is_current, flank, labelled_by, quality, background_reliance, gradient_outside, gradient_region,
    inclusion_probability, label_probability, event_weight, has_flag, stratum, visit_id, known_at,
    content_number, relation
FROM explained ORDER BY batch_key, target_id
