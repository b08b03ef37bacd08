-- placed_labels: incoming labels with the media_id of the one object that their file fits.
SELECT incoming.* REPLACE (CASE WHEN n_objects = 1 THEN label_media.media_id END AS media_id)
FROM incoming LEFT JOIN label_media USING (file)
