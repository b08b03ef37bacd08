-- superseded: batches and media of which another run counts: the newest that could use the medium, else the newest of all.
-- Grouping by a hash of 64 bits rather than by the id itself takes a third of the memory; at 20 million rows the chance
-- that two ids share one is 1 in 100 000.
CREATE OR REPLACE TEMP TABLE superseded AS
WITH numbered AS (
    SELECT batch_key, row_number() OVER (ORDER BY max(finished_at) NULLS FIRST, batch_key) AS number
    FROM runs GROUP BY batch_key
),
seen AS (
    SELECT hash(media_id) AS id, coalesce(max(number) FILTER (status = 'ok'), max(number)) AS counting
    FROM seen_media JOIN numbered USING (batch_key) GROUP BY id HAVING min(number) < max(number)
)
SELECT DISTINCT batch_key, media_id FROM seen_media JOIN numbered USING (batch_key) JOIN seen ON hash(media_id) = id
WHERE number <> counting
