"""Measurements: ``python -m benchmarks.NAME --json FILE [--quick]`` prints a table and writes one JSON object."""
