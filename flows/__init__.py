"""Prefect flows, composed of tasks, and the command line."""
