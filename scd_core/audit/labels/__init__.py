"""Human labels: imported into an audit, and joined to what was classified."""
