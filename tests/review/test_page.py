"""The review's page in a real browser, by the keyboard: what is answered is in the tables, whatever happens in between."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.report.browser import Page, chromium
from tests.report.test_browser import faults
from tests.report.world import World, build_world, planted_frames
from tests.review.site import TOKEN, Visit, labels, served
from tests.services.ports import free_port
from tests.services.wait import until

WIDTHS = (1400, 390)


@pytest.fixture(scope="module")
def browser() -> Iterator[Page]:
    with chromium() as tab:
        yield tab


@pytest.fixture
def world(tmp_path: Path) -> World:
    """An audit of which a part is labelled."""
    return build_world(tmp_path, planted_frames(n_events=60, label_share=0.4), broken=False)


@pytest.fixture
def visit(browser: Page, world: World) -> Iterator[Visit]:
    """A person at the page of the queue of what to label next, each time in a browser that kept nothing."""
    browser.console.clear()
    browser.requests.clear()
    with served(world.out) as address:
        browser.open(f"{address}/?token={TOKEN}", 1400)
        browser.run("localStorage.clear()")
        yield Visit(browser, address)
        browser.open("about:blank", 1400)


@pytest.fixture(scope="module")
def kept_world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """An audit that no test answers in."""
    return build_world(tmp_path_factory.mktemp("kept"), planted_frames(n_events=60, label_share=0.4), broken=False)


@pytest.fixture(scope="module")
def kept(browser: Page, kept_world: World) -> Iterator[Visit]:
    with served(kept_world.out) as address:
        yield Visit(browser, address)


def files(visit: Visit) -> list[str]:
    """Files of the event on the screen."""
    return visit.browser.run("state.screen.frames.map(frame => frame.words)")


def truth(world: World, file: str) -> str:
    return next(frame.true for frame in world.frames if frame.file == file)


def test_answers_by_keys_are_in_the_table(visit: Visit, world: World) -> None:
    visit.open("&queue=next")
    wanted: dict[str, tuple[str | None, str]] = {}

    def expect(name: str | None, state: str) -> None:
        wanted.update(dict.fromkeys(files(visit), (name, state)))

    name = visit.text("#name")
    expect(name, "named")
    visit.answer("Enter")
    second = visit.text("#candidates li:nth-child(2) bdi")
    expect(second, "named")
    visit.answer("l", "2")
    expect("unknown", "unknown")
    visit.answer("u")
    expect(None, "blank")
    visit.answer("b")
    expect(None, "unclear")
    visit.answer("x")
    expect("Orso", "named")
    visit.press("/")
    visit.browser.write("ors")
    visit.answer("Enter")
    expect("Zoë", "named")
    visit.press("n")
    visit.browser.write("Zoë")
    visit.answer("Enter")
    skipped = files(visit)
    visit.answer("s")
    visit.saved()
    rows = labels(world.out)
    assert {row["file"]: (row["individual_id"], row["state"]) for row in rows} == wanted
    assert not set(skipped) & set(wanted)
    assert {row["review_queue"] for row in rows} == {"next"}
    assert all(row["answer_seconds"] > 0 for row in rows)
    assert {row["flank"] for row in rows if row["individual_id"] == second} >= {"left"}
    assert sum(row["queue_probability"] is not None for row in rows) >= len({row["import_id"] for row in rows})
    assert visit.browser.console == []
    assert all(request.startswith((visit.address, "data:", "about:")) for request in visit.browser.requests)


def test_the_mouse_does_what_keys_do(visit: Visit, world: World) -> None:
    visit.open("&queue=next", width=390, height=844)
    names = []
    for button in ("#confirm", "#candidates li:nth-child(2) button", "#unknown", "#blank", "#unclear"):
        before = visit.shown()
        names.append(files(visit)[0])
        visit.click(button)
        visit.until(f"document.body.dataset.shown !== {before!r}")
    visit.saved()
    states = {row["file"]: row["state"] for row in labels(world.out)}
    assert [states[name] for name in names] == ["named", "named", "unknown", "blank", "unclear"]


def test_undo_takes_the_answer_back_and_shows_its_picture(visit: Visit, world: World) -> None:
    visit.open("&queue=next")
    first = visit.shown()
    visit.answer("u")
    visit.saved()
    assert labels(world.out)
    visit.answer("z")
    assert visit.shown() == first
    until(lambda: not labels(world.out), 60, "the answer is undone")
    visit.answer("b")
    visit.saved()
    assert {row["state"] for row in labels(world.out)} == {"blank"}


def test_undo_and_done_after_the_page_was_opened_again(visit: Visit, world: World) -> None:
    visit.open("&queue=next")
    first = visit.shown()
    visit.answer("u")
    second = visit.shown()
    visit.answer("u")
    visit.saved()
    visit.open("&queue=next")
    visit.press("z")
    visit.until(f"document.body.dataset.shown === {second!r}", "the newest answer's picture")
    visit.press("z")
    visit.until(f"document.body.dataset.shown === {first!r}", "the answer's picture before")
    until(lambda: not labels(world.out), 60, "both answers are undone")
    visit.answer("b")
    visit.saved()
    visit.open()
    visit.browser.run("document.querySelector('#home button.done').click()")  # the lines above it still come
    visit.until("!!document.querySelector('#home .done-words a')", "the new report is offered")
    assert list((Path(world.out) / "error_slices").rglob("*.parquet"))
    visit.browser.run("document.querySelector('#home button.done').click()")  # the lines above it still come
    visit.until("document.querySelector('#home .done-words').textContent.startsWith('Nothing')", "nothing is new")
    assert {row["state"] for row in labels(world.out)} == {"blank"}


def test_one_frame_of_an_event_by_itself(visit: Visit, world: World) -> None:
    visit.open("&queue=next")
    while len(files(visit)) < 2:
        visit.answer("s")
    first, second = files(visit)[:2]
    visit.press("ArrowLeft", "ArrowLeft", "f", "u")
    visit.until("state.step === 1")
    visit.answer("f", "Enter") if visit.browser.run("!state.frameOnly") else visit.answer("Enter")
    visit.saved()
    rows = {row["file"]: row["individual_id"] for row in labels(world.out)}
    assert rows[first] == "unknown" and rows[second] != "unknown"


def test_a_box_is_drawn_by_keys_and_by_dragging(visit: Visit, world: World) -> None:
    visit.open("&queue=next")
    file = visit.browser.run("current().frame.words")
    visit.press("d")
    visit.until("state.drawing")
    visit.browser.run(
        "(() => { const box = document.getElementById('sheet').getBoundingClientRect();"
        " const at = (kind, x, y) => document.getElementById('stage').dispatchEvent(new PointerEvent(kind, {pointerId: 1,"
        " clientX: box.left + x * box.width, clientY: box.top + y * box.height, bubbles: true}));"
        " document.getElementById('stage').setPointerCapture = () => {};"
        " at('pointerdown', .5, .1); at('pointermove', .8, .4); at('pointerup', .8, .4) })()"
    )
    assert visit.browser.run("state.box.map(one => Math.round(100 * one))") == [50, 10, 30, 30]
    visit.press("ArrowRight", "Enter")
    visit.until("!state.drawing && Math.round(100 * state.box[0]) === 52", "the box is moved and kept")
    visit.press("u")
    visit.saved()
    until(lambda: any(row["file"] == file for row in labels(world.out)), 60, "the answer is written")
    (row,) = [row for row in labels(world.out) if row["bbox_x_min"] is not None and row["bbox_x_min"] > 0.5]
    assert row["bbox_x_min"] == pytest.approx(0.52, abs=0.01) and row["individual_id"] == "unknown"


def test_space_shows_the_evidence_and_what_the_network_saw(visit: Visit) -> None:
    visit.open("&queue=next")
    while visit.browser.run("layers().length") < 3:
        visit.answer("s")
    assert visit.browser.run("document.getElementById('overlay').hidden")
    visit.press(" ")
    visit.until("!document.getElementById('overlay').hidden && document.getElementById('overlay').naturalWidth > 100")
    assert "outline" in visit.browser.run("document.getElementById('overlay').src")
    clear = (
        "(() => { const c = document.createElement('canvas'); const i = document.getElementById('overlay');"
        " c.width = i.naturalWidth; c.height = i.naturalHeight; const x = c.getContext('2d'); x.drawImage(i, 0, 0);"
        " const d = x.getImageData(0, 0, c.width, c.height).data; let n = 0;"
        " for (let k = 3; k < d.length; k += 4) n += d[k] === 0; return n / (d.length / 4) })()"
    )
    outline = visit.browser.run(clear)
    assert outline > 0.95, "an outline leaves the marks to be seen"
    visit.press("h")
    visit.until(
        "document.getElementById('overlay').src.includes('heat') && document.getElementById('overlay').complete"
    )
    assert visit.browser.run(clear) < outline - 0.01
    visit.press(" ")
    visit.until(
        "document.getElementById('picture').src.includes('kind=seen') && document.getElementById('picture').complete"
    )
    assert visit.browser.run("document.getElementById('picture').naturalWidth") > 10
    visit.press(" ")
    visit.until("document.getElementById('picture').src.includes('size=screen')")


def test_zoom_pan_and_brightness(visit: Visit) -> None:
    visit.open("&queue=next")
    visit.press("+", "+")
    assert visit.text("#zoom").startswith("225")
    visit.until("document.getElementById('picture').src.includes('size=full')", "all pixels where one looks closely")
    visit.browser.call("Input.dispatchMouseEvent", type="mouseWheel", x=400, y=300, deltaX=0, deltaY=-400)
    visit.until("parseInt(document.getElementById('zoom').textContent) > 400")
    visit.press("0", ".")
    assert visit.text("#zoom").startswith("100")
    assert visit.browser.run("document.getElementById('picture').style.filter") == "brightness(1.25)"


def test_two_fingers_zoom_and_one_moves(visit: Visit) -> None:
    visit.open("&queue=next", 390, 844)

    def touch(kind: str, *points: tuple[float, float]) -> None:
        given = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(points)]
        visit.browser.call("Input.dispatchTouchEvent", type=kind, touchPoints=given)

    touch("touchStart", (150, 200), (240, 200))
    for step in range(1, 6):
        touch("touchMove", (150 - 12 * step, 200), (240 + 12 * step, 200))
    touch("touchEnd")
    visit.until("view.scale > 1.5", "two fingers that part make it larger")
    before = visit.browser.run("view.x")
    touch("touchStart", (200, 200))
    for step in range(1, 5):
        touch("touchMove", (200 + 8 * step, 200))
    touch("touchEnd")
    visit.until(f"view.x > {before}", "a finger moves it")


def test_names_with_markup_are_text(browser: Page, tmp_path: Path) -> None:
    frames = planted_frames(n_events=30, label_share=0.3)
    bad = "<img src=x onerror=\"document.title='taken'\"><script>document.title='taken'</script>"
    for frame in frames:
        frame.true, frame.called = frame.true.replace("Luna", bad), frame.called.replace("Luna", bad)
        frame.final, frame.camera = frame.final.replace("Luna", bad), bad
    world = build_world(tmp_path, frames, broken=False, has_pictures=False)
    with served(world.out, who=bad) as address:
        visit = Visit(browser, address)
        visit.open()
        visit.open("&queue=next")
        for _ in range(4):
            visit.press("/")
            visit.until("!!document.querySelector('dialog[open]')")
            visit.press("Escape")
            visit.until("!document.querySelector('dialog[open]')")
            visit.answer("s")
        assert bad in visit.browser.run("document.body.textContent")
        assert visit.browser.run("document.title").startswith("Review") and not visit.browser.run(
            "!!document.querySelector('img[src=x]')"
        )
        browser.open("about:blank", 1400)


def test_a_key_right_after_a_dialog_is_taken(visit: Visit) -> None:
    visit.open("&queue=next")
    for n in range(1, 9):
        visit.press("/")
        visit.until("!!document.querySelector('dialog[open]')")
        visit.press("Escape")
        visit.until("!document.querySelector('dialog[open]')")
        visit.press("s")
        visit.until(f"state.place === {n}", f"picture {n}")


def test_two_keys_while_the_next_pictures_come_end_nothing(visit: Visit) -> None:
    visit.open("&queue=next")
    visit.browser.run("state.items.splice(state.place + 1); window.ends = 0; finish = () => (window.ends += 1); 0")
    visit.press("s", "s")
    visit.until("state.place === 1 && document.body.dataset.shown === state.items[1].target_id", "the next picture")
    assert visit.browser.run("window.ends") == 0


def test_a_picture_that_is_gone_leaves_its_reason(visit: Visit, world: World) -> None:
    for path in world.source.rglob("*.JPG"):
        path.unlink()
    visit.open("&queue=next")
    visit.until("!document.getElementById('missing').hidden")
    assert "no picture" in visit.text("#missing")
    visit.answer("u")
    visit.saved()
    assert labels(world.out), "a picture that cannot be seen any more can still be answered"


def test_what_somebody_else_answered_is_offered(visit: Visit, world: World) -> None:
    visit.open("&queue=next")
    target = visit.shown()
    with served(world.out, who="ben") as other:
        request = urllib.request.Request(
            f"{other}/api/labels?token={TOKEN}",
            data=json.dumps([{"target_id": target, "individual_id": "Mara", "seconds": 1}]).encode(),
            headers={"Content-Type": "application/json"},
        )
        assert urllib.request.urlopen(request, timeout=60).status == 200
    visit.answer("u")
    visit.until("!!document.querySelector('#notices button')")
    assert "Mara" in visit.text("#notices")
    visit.click("#notices button")
    until(lambda: {row["individual_id"] for row in labels(world.out)} == {"unknown"}, 60, "both are kept")
    assert {row["individual_id"] for row in labels(world.out, "labelled_by = 'ben'")} == {"Mara"}


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("place", ["", "&queue=next", "&queue=pairs", "help", "chooser"])
def test_axe(kept: Visit, place: str, dark: bool, width: int) -> None:
    program = os.environ.get("AXE_CORE")
    if not program:
        if os.environ.get("CI"):
            pytest.fail("AXE_CORE names no axe.min.js; .ci/run fetches it")
        pytest.skip("AXE_CORE names no axe.min.js; our own rules are checked below")
    kept.open("&queue=next" if place in ("help", "chooser") else place, width, dark=dark)
    if place in ("help", "chooser"):
        kept.press("?" if place == "help" else "/")
        kept.until(f"document.getElementById({place!r}).open")
    kept.browser.run(Path(program).read_text("utf-8") + ";0")
    found = kept.browser.run(
        "axe.run().then(r => [r.violations.map(v => [v.id, v.impact, v.nodes.length, v.nodes[0].html.slice(0, 160)]),"
        " r.passes.length])"
    )
    assert found[0] == []
    assert found[1] > 15, "axe looked at the page"


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("place", ["", "&queue=next", "&queue=pairs"])
def test_nothing_is_wider_than_the_page_and_our_own_rules_hold(kept: Visit, place: str, width: int) -> None:
    kept.open(place, width)
    assert kept.browser.run("document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0
    assert [fault for fault in faults(kept.browser) if not fault.startswith("landmark nav")] == []


def test_every_key_is_in_the_list_of_keys(kept: Visit) -> None:
    kept.open("&queue=next")
    kept.press("?")
    kept.until("document.getElementById('help').open")
    listed = set(
        kept.browser.run("[...document.querySelectorAll('#help dt kbd')].map(one => one.textContent.toLowerCase())")
    )
    words = {" ": "space", "arrowleft": "←", "arrowright": "→", "arrowup": "↑", "arrowdown": "↓", "=": "+"}
    known = kept.browser.run("[KEYS, ALWAYS, OF_PAIRS, OF_GROUPS].flatMap(Object.keys)")
    assert {words.get(key.lower(), key.lower()) for key in known} <= listed
    kept.press("Escape")
    kept.until("!document.getElementById('help').open")


def test_without_javascript_the_page_says_so(kept: Visit) -> None:
    kept.browser.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        kept.browser.open(f"{kept.address}/?token={TOKEN}", 1400)
    finally:
        kept.browser.call("Emulation.setScriptExecutionDisabled", value=False)
    assert "needs JavaScript" in kept.browser.run("document.querySelector('noscript').innerText")


def test_sixty_events_with_a_server_killed_half_way(browser: Page, tmp_path: Path) -> None:
    world = build_world(tmp_path, planted_frames(n_events=120, label_share=0.2), broken=False)
    port, wanted = free_port(), {}

    def start() -> tuple[subprocess.Popen[str], Visit]:
        command = [
            sys.executable,
            "-m",
            "deployments.cli",
            "review",
            world.out,
            "--as",
            "ana",
            "--port",
            str(port),
            "--no-browser",
        ]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        visit = Visit(browser, address.split("/?")[0])
        browser.open(f"{address}&queue=next", 1400)
        visit.until("document.body.dataset.shown")
        return process, visit

    def answer(visit: Visit) -> None:
        shown = files(visit)
        name = truth(world, shown[0])
        for file in shown:
            wanted[file] = name
        keys = visit.browser.run("candidates().map(one => one.individual_id)")
        if name == visit.text("#name"):
            visit.answer("Enter")
        elif name in keys:
            visit.answer(str(keys.index(name) + 1))
        else:
            visit.press("/")
            browser.write(name)
            visit.answer("Enter")

    process, visit = start()
    try:
        for _ in range(30):
            answer(visit)
        visit.until(
            "state.items.length > state.place + 2"
            " && Promise.all(state.items.slice(state.place + 1, state.place + 3).map(screenOf))"
            ".then(all => all.length === 2)"
        )
        process.send_signal(signal.SIGKILL)
        process.wait(60)
        for _ in range(2):  # what was ready ahead is answered without a server
            answer(visit)
        visit.until("document.getElementById('saved').textContent.includes('to be sent')")
        process, visit = start()
        visit.saved()
        for _ in range(28):
            answer(visit)
        visit.saved()
    finally:
        process.kill()
        process.wait(60)
    rows = labels(world.out)
    assert {row["file"]: row["individual_id"] for row in rows} == wanted
    assert len(rows) == len(wanted), "no answer is there twice"
    assert len({row["import_id"] for row in rows}) == 60


def test_no_probability_of_another_name_stands_beside_unknown(kept: Visit) -> None:
    kept.open("&queue=next")
    assert "%" in kept.text("#probability")
    kept.browser.run("state.screen.predicted_id = 'unknown'; drawEvent(state.screen)")
    assert kept.text("#name") == "unknown" and kept.text("#probability") == ""
