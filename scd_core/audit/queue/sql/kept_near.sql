-- kept_near: named pictures near those of kept_lots, with what makes them visits.
FROM rows_near() UNION ALL BY NAME FROM near ANTI JOIN deep USING (batch_key)
