-- travellers: stays that are an end of a move that no animal can make; `found_stays` are rows of `journeys`.
CREATE OR REPLACE TEMP TABLE travellers AS
SELECT model_digest, predicted_id, event FROM journeys WHERE rowid IN (SELECT stay FROM found_stays)
