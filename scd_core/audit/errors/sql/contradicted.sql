-- contradicted: names that one person gave to pictures of an event, where another one gave its other pictures another name.
CREATE OR REPLACE TEMP TABLE contradicted AS
WITH named AS (
    SELECT DISTINCT coalesce(event_id, target_id) AS event, true_id, labelled_by
    FROM scored WHERE right_id IS NOT NULL AND is_current AND labelled_by IS NOT NULL
)
SELECT DISTINCT one.event, one.labelled_by, other.true_id AS predicted_id
FROM named one JOIN named other USING (event)
WHERE one.labelled_by <> other.labelled_by AND one.true_id <> other.true_id
