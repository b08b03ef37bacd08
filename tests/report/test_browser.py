"""The page in a real browser: nothing requested of the network, nothing cut off, usable by keyboard and by screen reader."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from urllib.parse import unquote

import pytest

from scd_core.audit.report.page import live_page
from scd_core.audit.report.write import write_report
from tests.report.browser import Page
from tests.report.world import build_world, planted_frames
from tests.services.wait import until

RULES = (Path(__file__).parent / "accessibility.js").read_text("utf-8")
OPEN_ALL = "document.querySelectorAll('details').forEach(found => found.open = true)"
WIDTHS = (1400, 400)


def faults(browser: Page) -> list[str]:
    browser.run(OPEN_ALL)
    return browser.run(f"({RULES.split(chr(10), 1)[1]})()")


@pytest.fixture(scope="session")
def unlabelled_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report without labels and without pictures."""
    frames = planted_frames(n_events=40, label_share=0)
    world = build_world(tmp_path_factory.mktemp("unlabelled"), frames, broken=False, has_pictures=False)
    write_report(world.out, world.config)
    return Path(world.out) / "report" / "index.html"


@pytest.fixture(scope="session")
def long_names_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Names without a place to break, in both directions of writing."""
    frames = planted_frames(n_events=150)
    for frame in frames:
        frame.camera = f"{frame.camera}-" + "north_ridge_station_" * 4
        frame.file = f"{frame.camera}/" + "D" * 120 + frame.file.rsplit("/", 1)[1]
        for field in ("true", "called", "final"):
            setattr(frame, field, getattr(frame, field).replace("Luna", "L" * 90).replace("Nyx", "\u202eنمر عربي"))
    world = build_world(tmp_path_factory.mktemp("long"), frames, broken=False, has_pictures=False)
    write_report(world.out, world.config)
    return Path(world.out) / "report" / "index.html"


@pytest.mark.parametrize("width", WIDTHS)
def test_loads_without_network_and_console_output(browser: Page, page: Path, width: int) -> None:
    browser.requests.clear()
    browser.console.clear()
    browser.open(page.as_uri(), width)
    browser.run(OPEN_ALL)
    assert [request for request in browser.requests if not request.startswith("data:")] == [page.as_uri()]
    assert browser.console == []
    broken = browser.run(
        "[...document.images].filter(i => { i.loading = 'eager'; return i.complete && !i.naturalWidth }).length"
    )
    assert broken == 0 and browser.run("document.images.length") >= 3


def test_the_browser_would_notice(browser: Page, tmp_path: Path) -> None:
    """The fixture's proof: requests, console output, overflow and each kind of fault are seen."""
    bad = tmp_path / "bad.html"
    bad.write_text(
        "<!DOCTYPE html><html><body style='background:#fff'><h2>late</h2><h4>skipped</h4><img src='missing.png'>"
        "<p style='color:#bbb'>pale</p><div style='width:3000px'>wide</div><table><tr><th>a</th></tr></table>"
        "<a href='#nowhere'>x</a><i id=a></i><i id=a></i><script>console.log('hello')</script></body></html>"
    )
    browser.requests.clear()
    browser.console.clear()
    browser.open(bad.as_uri(), 400)
    assert any(request.endswith("missing.png") for request in browser.requests)
    assert any("hello" in line for line in browser.console)
    assert browser.run("document.documentElement.scrollWidth") > 400
    found = " ".join(faults(browser))
    rules = "lang, title, main landmark, one h1, heading order, alt text, contrast, scope, leads somewhere, unique"
    for rule in rules.split(", "):
        assert rule in found, rule


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", ["page", "unlabelled_page", "long_names_page"])
def test_nothing_overflows(browser: Page, request: pytest.FixtureRequest, name: str, width: int) -> None:
    browser.open(request.getfixturevalue(name).as_uri(), width)
    browser.run(OPEN_ALL)
    assert browser.run("document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0
    cut = """[...document.querySelectorAll('p, h1, h2, h3, h4, dd, dt, figcaption, li, summary')].filter(e =>
        e.getClientRects().length && !e.closest('.scroll, .skip') && e.getBoundingClientRect().right > innerWidth + 1).length"""
    assert browser.run(cut) == 0


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("name", ["page", "unlabelled_page"])
def test_accessibility(browser: Page, request: pytest.FixtureRequest, name: str, dark: bool, width: int) -> None:
    browser.open(request.getfixturevalue(name).as_uri(), width, dark=dark)
    assert faults(browser) == []


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("name", ["page", "unlabelled_page", "long_names_page"])
def test_axe(browser: Page, request: pytest.FixtureRequest, name: str, dark: bool, width: int) -> None:
    """The rules of axe-core, which `.ci/run` fetches: `npm pack axe-core`, then AXE_CORE=.../package/axe.min.js."""
    program = os.environ.get("AXE_CORE")
    if not program:
        if os.environ.get("CI"):
            pytest.fail("AXE_CORE names no axe.min.js; .ci/run fetches it")
        pytest.skip("AXE_CORE names no axe.min.js; our own rules are checked above")
    browser.open(request.getfixturevalue(name).as_uri(), width, dark=dark)
    browser.run(OPEN_ALL)
    browser.run(Path(program).read_text("utf-8") + ";0")
    found = browser.run(
        "axe.run().then(r => [r.violations.map(v => [v.id, v.impact, v.nodes.length, v.nodes[0].html.slice(0, 120)]),"
        " r.passes.length])"
    )
    assert found[0] == []
    assert found[1] > 20, "axe looked at the page"


def test_phone_tables_have_their_labels(browser: Page, page: Path) -> None:
    """On a phone a row is a block: each value stands beside the name of its column, and no table is wider than the page."""
    browser.open(page.as_uri(), 400)
    browser.run(OPEN_ALL)
    bare = "[...document.querySelectorAll('table.stack td')].filter(cell => !cell.dataset.label).length"
    assert browser.run(bare) == 0
    wide = "[...document.querySelectorAll('table.stack')].filter(t => t.scrollWidth > t.parentElement.clientWidth + 1).length"
    assert browser.run(wide) == 0


def test_keyboard(browser: Page, page: Path) -> None:
    """Tab reaches the skip link first, then the contents; Enter unfolds; what has the focus is seen to have it."""
    browser.open(page.as_uri(), 1400)
    browser.press("Tab")
    skip = "document.activeElement.className == 'skip' && document.activeElement.getBoundingClientRect().top >= 0"
    until(lambda: browser.run(skip), 60, "the skip link has the focus and is seen")
    browser.press("Enter")
    until(lambda: browser.run("document.activeElement.id == 'main'"), 60, "the contents have the focus")
    for _ in range(40):
        browser.press("Tab")
        if browser.run("document.activeElement.tagName") == "SUMMARY":
            break
    assert browser.run("document.activeElement.tagName") == "SUMMARY"
    assert browser.run("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    browser.press("Enter")
    until(lambda: browser.run("document.activeElement.parentElement.open"), 60, "it unfolds")


def test_motion_is_left_out_where_it_is_not_wanted(browser: Page, page: Path) -> None:
    browser.open(page.as_uri(), 1400)
    browser.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-reduced-motion", "value": "reduce"}])
    assert browser.run("getComputedStyle(document.documentElement).scrollBehavior") == "auto"


def test_script_in_a_name_does_not_run(browser: Page, tmp_path: Path) -> None:
    frames = planted_frames(n_events=30)
    for frame in frames:
        frame.camera = "<img src=x onerror=\"document.title='taken'\"><script>document.title='taken'</script>"
    world = build_world(tmp_path, frames, broken=False, has_pictures=False)
    write_report(world.out, world.config)
    browser.open((Path(world.out) / "report" / "index.html").as_uri(), 1400)
    assert browser.run("document.title").startswith("Trap audit")
    assert browser.run("document.scripts.length") == 0


OPEN_PICTURES = "document.querySelectorAll('.shown:popover-open').length"
FIRST_PICTURE = "document.querySelector('.card .shown button')"


@pytest.mark.parametrize("width", WIDTHS)
def test_a_picture_enlarges_by_pointer_and_by_keyboard_and_the_page_stays_where_it_is(
    browser: Page, page: Path, width: int
) -> None:
    browser.open(page.as_uri(), width)
    browser.run(f"{FIRST_PICTURE}.scrollIntoView({{block: 'center', behavior: 'instant'}})")
    small = browser.run(f"{FIRST_PICTURE}.firstElementChild.getBoundingClientRect().width")
    height = browser.run("document.documentElement.scrollHeight")
    assert browser.run(OPEN_PICTURES) == 0 and small > 50
    x, y = browser.run(
        f"(() => {{ const r = {FIRST_PICTURE}.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2] }})()"
    )
    for kind in ("mousePressed", "mouseReleased"):
        browser.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)
    until(lambda: browser.run(OPEN_PICTURES) == 1, 60, "the picture is large")
    box = browser.run(
        f"(() => {{ const r = {FIRST_PICTURE}.firstElementChild.getBoundingClientRect();"
        " return [r.left, r.top, innerWidth - r.right, innerHeight - r.bottom, r.width] })()"
    )
    assert min(box[:4]) >= 0 and box[4] >= min(0.9 * width, 900)
    assert browser.run("document.documentElement.scrollHeight") == height, (
        "it leaves its place empty, and nothing moves"
    )
    browser.press("Escape")
    until(lambda: browser.run(OPEN_PICTURES) == 0, 60, "Escape closes it")
    browser.run(f"{FIRST_PICTURE}.focus()")
    for key, n_open in (("Enter", 1), (" ", 0), (" ", 1), ("Enter", 0)):
        browser.press(key)
        until(lambda n_open=n_open: browser.run(OPEN_PICTURES) == n_open, 60, f"{key!r} opens and closes")
    assert browser.run(f"document.activeElement === {FIRST_PICTURE}"), "the keyboard goes on from there"


def test_an_open_picture_is_accessible(browser: Page, page: Path) -> None:
    browser.open(page.as_uri(), 1400)
    browser.run(f"{FIRST_PICTURE}.click()")
    assert faults(browser) == []


def test_the_list_to_fill_in_is_saved_from_the_page(browser: Page, page: Path, tmp_path: Path) -> None:
    """The file is in the page, so a page that is sent by mail or read from a bucket has it too."""
    browser.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    browser.open(page.as_uri(), 1400)
    browser.run("document.querySelector('a[download]').click()")
    saved = tmp_path / "label_next.csv"
    until(saved.exists, 60, "the file is there")
    address = browser.run("document.querySelector('a[download]').href")
    assert saved.read_bytes() == base64.b64decode(address.partition(",")[2])


def test_links_into_the_review_are_live_where_a_server_serves_the_page(
    browser: Page, page: Path, tmp_path: Path
) -> None:
    """On disk the commands are there and no link that leads nowhere; served, each picture, card and line has its link."""
    shown = "[...document.querySelectorAll('{}')].filter(e => e.getClientRects().length).length"
    commands, links = shown.format("details.go"), shown.format('a[href*="at="]')
    browser.open(page.as_uri(), 1400)
    browser.run(OPEN_ALL)
    n_commands = browser.run(commands)
    assert n_commands >= 12 and browser.run(links) == 0
    assert "trapaudit review" in browser.run("document.querySelector('.example details.go').innerText")
    served = tmp_path / "served.html"
    served.write_text(live_page(page.read_text("utf-8"), "/?at="), "utf-8")
    browser.open(served.as_uri(), 1400)
    browser.run(OPEN_ALL)
    assert browser.run(commands) == 0 and browser.run(links) > n_commands
    targets = browser.run("[...document.querySelectorAll('.example a[href]')].map(a => a.getAttribute('href'))")
    assert targets and all(target.startswith("/?at=") and len(target) > 20 for target in targets)
    slice_link = browser.run("document.querySelector('.card > .go a').getAttribute('href')")
    assert unquote(slice_link).startswith("/?at=slice:")
    assert faults(browser) == []
