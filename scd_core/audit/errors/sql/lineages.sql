-- lineages: each name that a model or a file of predictions places in a taxonomy, with its place as the newest one has it.
WITH of_models AS (
    SELECT model_digest, max(finished_at) AS finished_at, arg_max(lineages, finished_at) AS lineages
    FROM runs WHERE lineages IS NOT NULL GROUP BY model_digest
),
placed AS (
    SELECT model_digest, finished_at, unnest(map_keys(lineages)) AS name, unnest(map_values(lineages)) AS lineage FROM of_models
)
SELECT name, arg_max(lineage, (finished_at, model_digest)) AS lineage FROM placed GROUP BY name
