-- contradicted: names that a visit's pictures were given by a person, where another one gave its other pictures another name.
CREATE OR REPLACE TEMP TABLE contradicted AS
SELECT DISTINCT one.visit, one.labelled_by, other.true_id AS predicted_id
FROM seen one JOIN seen other USING (visit)
WHERE one.labelled_by <> other.labelled_by AND one.true_id <> other.true_id
