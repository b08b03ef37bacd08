"""A deployment and the code that runs it: the two must be of one version."""

from __future__ import annotations

from prefect import runtime
from prefect.logging import get_run_logger

from scd_core import __version__

__all__ = ["warn_of_other_version"]


def warn_of_other_version() -> bool:
    """Log a warning where the running code is not the version that was deployed; the run goes on.

    Parameters are checked by Prefect against the flow's own signature, so an old deployment either fits or is refused
    there; what it may lack are new schedules and triggers.

    Returns:
        Whether the versions differ; False outside a deployment.
    """
    deployed = runtime.deployment.get_version()
    if deployed is None or deployed == __version__:
        return False
    get_run_logger().warning("deployed by trapaudit %s, run by %s: run `trapaudit deploy` again", deployed, __version__)
    return True
