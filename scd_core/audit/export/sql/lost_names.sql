-- lost_names: names of individuals and deployments in the package that mean a missing value there.
SELECT DISTINCT name FROM (
    SELECT "individualID" AS name FROM camtrap_observations UNION ALL SELECT "deploymentID" FROM camtrap_deployments
) WHERE list_contains($missing, name) ORDER BY name
