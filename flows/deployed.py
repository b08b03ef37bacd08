"""What a run of a deployment owes to others: its version said, and one audit of a SOURCE at a time."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from prefect import runtime
from prefect.client.orchestration import get_client
from prefect.concurrency.sync import concurrency
from prefect.exceptions import ObjectAlreadyExists
from prefect.logging import get_run_logger

from flows.waiting import tidy_waiting
from scd_core import __version__
from scd_core.storage import clean_url

__all__ = ["alone_on", "keep_one_waiting", "limit_of", "warn_of_other_version"]

_LEASE_SECONDS = 60.0
"""How long the slot of a run that died stays taken (s); Prefect takes no less."""
_EVERY_SECONDS = 30.0


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


@contextmanager
def alone_on(source: str) -> Iterator[None]:
    """Be the only run of a deployment on a SOURCE while inside; others wait here, whichever deployment they are of.

    `trapaudit deploy` has them wait in their work queue already, where they hold no worker; this holds for what was
    registered in another way too. Two at once would do no harm but double work, so a slot that the server lost, or a run
    without a deployment, goes on.

    Args:
        source: URL or path of the images.
    """
    if not runtime.deployment.get_id():
        yield
        return
    name = limit_of(source)
    with get_client(sync_client=True) as client, suppress(ObjectAlreadyExists):  # another run made it at this moment
        client.upsert_global_concurrency_limit_by_name(name, 1)
    get_run_logger().info("one audit of %s at a time: limit %s", clean_url(source), name)
    slot = concurrency(name, occupy=1, strict=True, lease_duration=_LEASE_SECONDS, raise_on_lease_renewal_failure=False)
    with slot, keep_one_waiting(source):
        yield


@contextmanager
def keep_one_waiting(source: str, every_seconds: float = _EVERY_SECONDS) -> Iterator[None]:
    """Tidy what waits for a SOURCE (:func:`tidy_waiting`) at once, and again and again while inside, beside the work.

    A server that is away for a while changes nothing: the next time does it.

    Args:
        source: URL or path of the images.
        every_seconds: how often (s).
    """
    ended = threading.Event()

    def tidy() -> None:
        while True:
            # Whatever the server answers, the audit goes on.
            with suppress(Exception), get_client(sync_client=True) as client:
                tidy_waiting(client, source)
            if ended.wait(every_seconds):
                return

    thread = threading.Thread(target=tidy, name="waiting runs", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(timeout=5)


def limit_of(source: str) -> str:
    """Name of the concurrency limit of a SOURCE: readable, and another for another SOURCE."""
    place = clean_url(source).rstrip("/")
    digest = hashlib.sha256(place.encode()).hexdigest()[:8]
    words = re.sub(r"[^A-Za-z0-9]+", "-", place.partition("://")[2] or place).strip("-")
    return f"trapaudit-source-{words[-60:]}-{digest}"
