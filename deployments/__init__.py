"""How the flows run by themselves: Prefect deployments, the upload relay, logging."""
