"""How long a person waits at the review's page: from the key that answers to the next picture on the screen.

A real Chromium is driven by its keyboard over an audit of 12-megapixel JPEGs, whose tables are made without a model. The clock
runs in the page, from `keydown` to the frame that is drawn after the next picture was decoded. Between two keys a person looks at
the picture for `--look` seconds; 3 seconds are 20 events a minute. Nothing is kept from an earlier sitting.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.common import ROOT, Report, options, resolve_device
from tests.report.browser import chromium
from tests.report.world import build_world, planted_frames
from tests.services.wait import until

__all__ = ["main"]

_SIZE = (4000, 3000)
_CLOCK = """(() => {
  window.waits = [];
  let pressed = 0;
  document.addEventListener("keydown", () => { pressed = performance.now(); }, true);
  new MutationObserver(() => requestAnimationFrame(() => requestAnimationFrame(() => waits.push(performance.now() - pressed))))
    .observe(document.body, { attributes: true, attributeFilter: ["data-shown"] });
})()"""


def main() -> None:
    """Measure, print, and write the JSON where a file is named."""
    parser = options(__doc__.splitlines()[0])
    parser.add_argument("--look", type=float, default=1.5, help="seconds between a picture on the screen and the key")
    arguments = parser.parse_args()
    report = Report("review", resolve_device(arguments.device))
    n_events = 12 if arguments.quick else 60
    with tempfile.TemporaryDirectory(prefix="trapaudit-") as folder:
        frames = planted_frames(arguments.seed[0], n_events=round(1.4 * n_events), label_share=0.15)
        world = build_world(Path(folder), frames, broken=False, size=_SIZE)
        report.progress(f"{len(frames)} pictures of {_SIZE[0]} x {_SIZE[1]} pixels")
        waits = _sitting(world.out, n_events, arguments.look)
    ordered = sorted(waits)
    report.rows = [{"answer": place, "milliseconds": wait} for place, wait in enumerate(waits, 1)]
    report.summary = {
        "answers": float(len(waits)),
        "median_milliseconds": statistics.median(waits),
        "p95_milliseconds": ordered[int(0.95 * (len(ordered) - 1))],
        "longest_milliseconds": ordered[-1],
    }
    report.notes = {"picture": f"JPEG, {_SIZE[0]} x {_SIZE[1]} pixels", "look_seconds": arguments.look}
    report.finish(arguments.json)


def _sitting(out: str, n_events: int, look: float) -> list[float]:
    """Milliseconds from each of some answers to the next picture."""
    command = [sys.executable, "-m", "deployments.cli", "review", out, "--no-browser", "--port", "0"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=os.environ)
    try:
        assert server.stdout is not None
        address = server.stdout.readline().strip()
        with chromium() as page:
            page.open(f"{address}&queue=next", 1400)
            until(lambda: page.run("document.body.dataset.shown"), 300, "the first picture")
            page.run(_CLOCK)
            for place in range(1, n_events + 1):
                time.sleep(look)
                page.press("Enter")
                until(lambda n=place: page.run("waits.length") >= n, 300, "the next picture")  # type: ignore[misc]
            return list(page.run("waits"))
    finally:
        server.kill()
        server.wait()


if __name__ == "__main__":
    main()
