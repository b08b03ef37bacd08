"""Inputs: files that people hand over, read with one reader for each format."""
