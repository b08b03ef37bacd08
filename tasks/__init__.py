"""One module per stage: thin Prefect tasks around one call into scd_core each."""
