"""The stills of docs/review.md: the page over the demo's OUT, in a real Chromium, driven by its keyboard.

``python -m benchmarks.review_stills DEMO docs`` takes the folder of ``trapaudit demo --out DEMO``, leaves it as it is, and
works on a copy in which six pictures in ten are labelled, so that something is left to review.
"""

from __future__ import annotations

import argparse
import base64
import csv
import io
import shutil
import tempfile
import threading
import time
from pathlib import Path

import uvicorn
from PIL import Image

from deployments.cli.demo import DEMO_CONFIG
from deployments.review.app import create_app
from scd_core.audit.labels.importing import import_labels
from scd_core.audit.report.refresh import refresh_report_tables
from tests.report.browser import Page, chromium
from tests.services.ports import free_port
from tests.services.wait import until

__all__ = ["main"]

_TOKEN = "stills"
_DERIVED = ("labels", "errors", "error_slices", "state", "review", "report")
_SHARE = 6  # of ten


def main() -> None:
    """Make the stills."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("demo", type=Path, help="folder of `trapaudit demo --out`")
    parser.add_argument("to", type=Path, help="folder for the stills")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="trapaudit-") as folder:
        out = Path(folder) / "audit"
        _copy(arguments.demo, out)
        port = free_port()
        server = uvicorn.Server(
            uvicorn.Config(create_app(str(out), None, "ana", _TOKEN), host="127.0.0.1", port=port, log_level="warning")
        )
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        until(lambda: server.started, 60, "the server has started")
        with chromium() as page:
            _film(page, f"http://127.0.0.1:{port}/?token={_TOKEN}", arguments.to)
        server.should_exit = True
        thread.join(30)


def _copy(demo: Path, out: Path) -> None:
    """The demo's audit with a part of its labels."""
    shutil.copytree(demo / "audit", out, ignore=shutil.ignore_patterns(*_DERIVED))
    with (demo / "scenes" / "labels.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    part = out.parent / "labels.csv"
    with part.open("w", newline="") as file:
        csv.writer(file).writerows([rows[0], *(row for number, row in enumerate(rows[1:]) if number % 10 < _SHARE)])
    import_labels(str(out), str(part))
    refresh_report_tables(str(out), DEMO_CONFIG)


def _film(page: Page, address: str, to: Path) -> None:
    def opened(query: str, width: int, height: int) -> None:
        page.open(address + query, width, height)
        until(lambda: page.run("document.body.dataset.shown"), 120, "something is shown")

    def still(name: str) -> None:
        time.sleep(1.5)  # pictures beside the large one
        answer = page.call("Page.captureScreenshot", format="png")
        with Image.open(io.BytesIO(base64.b64decode(answer["data"]))) as shot:
            shot.convert("RGB").save(to / f"review-{name}.webp", quality=62, method=6)

    opened("", 1280, 620)
    still("queues")
    opened("&queue=next", 1280, 860)
    for _ in range(30):  # one whose evidence lies elsewhere
        if page.run("layers().length > 2 && layers()[1].words !== '' && parseInt(layers()[1].words) >= 60"):
            break
        before = page.run("document.body.dataset.shown")
        page.press("s")
        until(lambda shown=before: page.run("document.body.dataset.shown") != shown, 120, "another picture")  # type: ignore[misc]
    still("event")
    page.press("h")
    until(lambda: page.run("document.getElementById('overlay').naturalWidth > 0"), 120, "the evidence")
    still("evidence")
    page.press("/")
    page.write("o")
    still("name")
    page.press("Escape")
    opened("&queue=pairs", 1280, 640)
    still("pair")
    opened("&queue=next", 390, 844)
    still("phone")


if __name__ == "__main__":
    main()
