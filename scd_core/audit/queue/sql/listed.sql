-- listed: the first places of the list of what to label next.
CREATE OR REPLACE TEMP TABLE listed AS
SELECT * FROM label_queue($seed, $visit_minutes, $most) ORDER BY place LIMIT $limit
