"""The upload relay: bucket notifications in, one Prefect event per upload out."""
