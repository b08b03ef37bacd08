"""The relay keeps runs from piling up where no audit runs that could: no worker is there, or none has begun."""

from __future__ import annotations

import asyncio
import logging

from flows.waiting import tidy_all
from scd_core.errors import first_line

__all__ = ["keep_tidy"]

logger = logging.getLogger("trapaudit.relay")


async def keep_tidy(every_seconds: float) -> None:
    """Cancel surplus waiting runs of every SOURCE on the server (:func:`flows.waiting.tidy_all`), until cancelled.

    Args:
        every_seconds: how often (s).
    """
    while True:
        try:
            n_cancelled = await asyncio.to_thread(tidy_all)
        except Exception as error:  # noqa: BLE001 - whatever keeps the server from answering, the next time does it
            logger.warning("waiting runs could not be looked at (%s)", first_line(error))
        else:
            if n_cancelled:
                logger.info("%d waiting runs cancelled: one that waits does their work", n_cancelled)
        await asyncio.sleep(every_seconds)
