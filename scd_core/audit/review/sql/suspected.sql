-- suspected: labelled targets whose label may be wrong, with what people called them; the surest name of the model first.
WITH doubted AS (
    SELECT batch_key, target_id, media_id, detection_id, content_number, probability, coalesce(cause_evidence, 'labels of one moment differ') AS reason
    FROM errors
    WHERE is_current AND (cause = 'label_suspect' OR list_contains(suspicion_reasons, 'label_conflict'))
),
spoken AS (
    SELECT media_id, list(DISTINCT coalesce(labelled_by, 'somebody') || ': ' || coalesce(individual_id, state, '')) AS said
    FROM labels WHERE media_id IN (SELECT media_id FROM doubted) AND undoes_import_id IS NULL
        AND import_id NOT IN (SELECT undoes_import_id FROM labels WHERE undoes_import_id IS NOT NULL)
    GROUP BY media_id
)
SELECT 'suspected' AS queue, row_number() OVER (ORDER BY probability DESC NULLS LAST, target_id) AS place, batch_key, target_id,
    media_id, detection_id, content_number, NULL::VARCHAR AS group_id, reason, NULL::DOUBLE AS queue_probability, coalesce(list_sort(said), []) AS said,
    NULL::VARCHAR AS labelled_by
FROM doubted LEFT JOIN spoken USING (media_id) ORDER BY place LIMIT $limit
