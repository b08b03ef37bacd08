"""The upload relay: it receives bucket notifications and emits one Prefect event per upload."""
