"""Tables: their schema, their files in OUT, commits, and plans of who works on what."""
