-- capture_cells: one row per individual, occasion and detector; name is null for unknowns that are in no candidate.
-- n_certain: pictures that people named. n_suspect: pictures with a name that no person has seen and the newest report suspects.
SELECT individual_id AS name, CASE WHEN individual_id IS NULL THEN 'unknown' WHEN bool_or(is_candidate) THEN 'candidate'
        ELSE 'known' END AS kind,
    occasion, place, count(*) AS n_pictures, count(DISTINCT coalesce(pictures.event_id, media_id)) AS n_events,
    count(label_id) AS n_certain,
    count(*) FILTER (label_id IS NULL AND len(coalesce(suspicion_reasons, [])) > 0) AS n_suspect,
    count(clock_doubt) AS n_doubtful_times
FROM whose JOIN capture_pictures AS pictures USING (media_id)
LEFT JOIN (SELECT target_id, batch_key, suspicion_reasons FROM newest_predictions) USING (target_id, batch_key)
WHERE occasion IS NOT NULL
GROUP BY individual_id, occasion, place ORDER BY name, occasion, place
