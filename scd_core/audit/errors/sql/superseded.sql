-- superseded: batches and media of which a newer run has named the medium again.
-- Grouping by a hash of 64 bits rather than by the id itself takes a third of the memory.
CREATE OR REPLACE TEMP TABLE superseded AS
WITH numbered AS (
    SELECT batch_key, row_number() OVER (ORDER BY max(finished_at) NULLS FIRST, batch_key) AS number
    FROM runs GROUP BY batch_key
),
seen AS (
    SELECT hash(media_id) AS id, max(number) AS newest FROM predictions JOIN numbered USING (batch_key)
    GROUP BY id HAVING min(number) < max(number)
)
SELECT DISTINCT batch_key, media_id FROM predictions JOIN numbered USING (batch_key) JOIN seen ON hash(media_id) = id
WHERE number < newest
