"""A review that is served for a test, and the page of it in a browser."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

from deployments.review.app import create_app
from scd_core.audit.query.connection import open_tables
from tests.report.browser import Page
from tests.services.ports import free_port
from tests.services.wait import until

__all__ = ["TOKEN", "Visit", "labels", "served"]

TOKEN = "secret-of-the-test"


class Visit:
    """A person at the page."""

    def __init__(self, browser: Page, address: str) -> None:
        self.browser, self.address = browser, address

    def open(self, query: str = "", width: int = 1400, height: int = 900, dark: bool = False) -> None:
        """Open a place of the page, and wait until something is shown."""
        self.browser.open(f"{self.address}/?token={TOKEN}{query}", width, height, dark)
        self.until("document.body.dataset.shown")

    def until(self, script: str, what: str = "") -> Any:
        """Wait until a script gives something true, and give it."""
        return until(lambda: self.browser.run(script), 120, lambda: f"{what or script}; {self.browser.console[-3:]}")

    def shown(self) -> str:
        """The target on the screen."""
        return str(self.browser.run("document.body.dataset.shown"))

    def text(self, selector: str) -> str:
        """Text of an element as it is seen."""
        return str(self.browser.run(f"document.querySelector({selector!r}).innerText")).strip()

    def click(self, selector: str) -> None:
        """Click an element as a mouse does."""
        x, y = self.browser.run(
            f"(() => {{ const one = document.querySelector({selector!r}); one.scrollIntoView({{block: 'center'}});"
            " const box = one.getBoundingClientRect(); return [box.left + box.width / 2, box.top + box.height / 2] })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.browser.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def answer(self, key: str, *more: str) -> None:
        """Press keys that answer, and wait for another picture."""
        before = self.shown()
        self.press(key, *more)
        self.until(f"document.body.dataset.shown !== {before!r}", f"another picture than {before}")

    def press(self, *keys: str) -> None:
        """Press keys, one after the other."""
        for key in keys:
            self.browser.press(key)

    def saved(self) -> None:
        """Wait until the server has every answer."""
        self.until("document.getElementById('saved').textContent === 'all answers saved'")


@contextmanager
def served(out: str, *, source: str | None = None, who: str = "ana", port: int | None = None) -> Iterator[str]:
    """The address of a review that is served from this process."""
    port = port or free_port()
    app = create_app(out, source, who, TOKEN)
    server = uvicorn.Server(
        uvicorn.Config(app, host="127.0.0.1", port=port, log_level="critical", timeout_graceful_shutdown=1)
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        until(lambda: server.started, 120, "the server has started")
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(60)


def labels(out: str, where: str = "labelled_by = 'ana' AND label_source = 'review'") -> list[dict[str, Any]]:
    """Rows of the table `labels` that were not undone."""
    sql = f"""SELECT file, individual_id, state, queue, queue_probability, flank, shown, answer_seconds, review_queue, import_id,
        detection_id, bbox_x_min FROM labels WHERE undoes_import_id IS NULL AND {where} AND import_id NOT IN
        (SELECT undoes_import_id FROM labels WHERE undoes_import_id IS NOT NULL) ORDER BY labelled_at, file"""
    with open_tables(out) as connection:
        answer = connection.execute(sql)
        names = [column[0] for column in answer.description or ()]
        return [dict(zip(names, row, strict=True)) for row in answer.fetchall()]
