"""From the report into the review: the commands of the page on disk, and the links of the page that the server serves."""

from __future__ import annotations

import html
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from scd_core.audit.report.write import write_report
from tests.report.browser import Page, chromium
from tests.report.world import World, build_world
from tests.review.site import TOKEN, Visit, served

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """An audit with a report, in a folder whose name a shell would split."""
    made = build_world(tmp_path_factory.mktemp("from report") / "it's here")
    write_report(made.out, made.config)
    return made


@pytest.fixture(scope="module")
def browser() -> Iterator[Page]:
    with chromium() as tab:
        yield tab


def started(command: str) -> tuple[str, str, int]:
    """First line, messages and exit code of a command as the page has it; a server is ended once it has said its address."""
    program, name, *arguments = shlex.split(command)
    assert (program, name) == ("trapaudit", "review")
    code = "import sys; sys.argv[0] = 'trapaudit'; from deployments.cli.entry import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, name, *arguments, "--no-browser"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd="/", env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert process.stdout is not None
    line = process.stdout.readline().strip()
    if line:
        process.kill()
    _, said = process.communicate(timeout=300)
    return line, said, process.returncode


def test_the_commands_of_the_page_open_their_places(world: World) -> None:
    """From any folder: of a picture and of a slice; what is not there is one line and exit code 2."""
    page = (Path(world.out) / "report" / "index.html").read_text("utf-8")
    commands = [html.unescape(found) for found in re.findall(r"<code>(trapaudit review [^<]* --at [^<]*)</code>", page)]
    places = [shlex.split(command)[-1] for command in commands]
    pictures = [place for place in places if not place.startswith("slice:")]
    assert len(pictures) >= 12 and len(places) > len(pictures)
    for place in (pictures[0], next(place for place in places if place.startswith("slice:"))):
        address, said, _ = started(commands[places.index(place)])
        assert parse_qs(urlsplit(address).query)["at"] == [place], said
    wrong = commands[places.index(pictures[0])].replace(pictures[0], "nobody")
    line, said, code = started(wrong)
    assert (line, code) == ("", 2) and said.count("\n") == 1 and "--at nobody: OUT has no such place" in said


def test_a_link_of_the_served_report_opens_its_picture(world: World, browser: Page) -> None:
    with served(world.out) as address:
        browser.open(f"{address}/report?token={TOKEN}", 1400)
        link = browser.run("document.querySelector('.example a[href]').href")
        place = parse_qs(urlsplit(link).query)["at"][0]
        visit = Visit(browser, address)
        browser.run("document.querySelector('.example a[href]').click()")
        visit.until("document.body?.dataset.shown")  # the other page comes, and its picture
        assert visit.shown() == place
