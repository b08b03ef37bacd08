-- newest_certificate: the certificate of the model of the newest run; no row where it has none.
SELECT certificates.* FROM certificates
SEMI JOIN (SELECT model_digest FROM runs ORDER BY finished_at DESC NULLS LAST LIMIT 1) USING (model_digest)
