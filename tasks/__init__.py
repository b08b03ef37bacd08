"""One module per stage: a function around one call into scd_core, and how it is run."""
