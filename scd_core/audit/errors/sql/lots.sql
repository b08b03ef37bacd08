-- lots: how many named pictures a batch has by primary flag reason, and those of them that are drawn first: up to which lot, and which.
CREATE OR REPLACE TEMP TABLE lots AS
WITH named AS NOT MATERIALIZED (
    SELECT batch_key, target_id, content_number, primary_reason(flag_reasons, inclusion_probability) AS stratum
    FROM predictions WHERE prediction_status = 'ok'
),
sizes AS MATERIALIZED (SELECT batch_key, stratum, count(*) AS n_pictures, 12 / count(*) AS last_lot FROM named GROUP BY ALL),
small AS MATERIALIZED (
    SELECT batch_key, target_id, stratum, draw_lot($seed::BIGINT, content_number, target_id) AS lot
    FROM named JOIN sizes USING (batch_key, stratum) WHERE draw_lot($seed::BIGINT, content_number, target_id) <= last_lot
),
firsts AS (
    SELECT batch_key, stratum, list(struct_pack(
            target_id := target_id, media_id := media_id, individual := coalesce(event_predicted_id, predicted_id), lot := lot
        ) ORDER BY lot, target_id) AS firsts
    FROM small JOIN predictions USING (batch_key, target_id) GROUP BY ALL
)
SELECT batch_key, stratum, n_pictures, last_lot, coalesce(firsts, []) AS firsts
FROM sizes LEFT JOIN firsts USING (batch_key, stratum)
