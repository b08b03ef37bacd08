"""The entry point of the command `trapaudit`: what a signal does is settled before anything else is imported."""

from __future__ import annotations

from deployments.cli.interrupt import exit_on_signals

__all__ = ["main"]


def main() -> None:
    """Run the command line."""
    exit_on_signals()
    from deployments.cli.main import main as run  # only now: a signal during seconds of imports ends in one line too

    run()
