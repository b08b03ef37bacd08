-- next: what to label next, one picture of each visit in which nothing is labelled, in the order in which it is drawn.
SELECT 'next' AS queue, place, batch_key, target_id, media_id, detection_id, content_number, queue AS group_id, queue AS reason,
    queue_probability, []::VARCHAR[] AS said,
    NULL::VARCHAR AS labelled_by
FROM listed JOIN (SELECT batch_key, target_id, detection_id, content_number FROM predictions) USING (batch_key, target_id) ORDER BY place LIMIT $limit
