-- capture_lost: pictures with an animal that are in no cell, because they have no time or no camera.
SELECT count(*) FILTER (captured_at IS NULL) AS n_untimed, count(*) FILTER (captured_at IS NOT NULL) AS n_unplaced
FROM whose JOIN capture_pictures USING (media_id) WHERE occasion IS NULL
