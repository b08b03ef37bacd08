"""Tables: their schema, their files in OUT, commits, and plans of who works on what."""

from scd_core.tables.commit import write_batch

__all__ = ["write_batch"]
