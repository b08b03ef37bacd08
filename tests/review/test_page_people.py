"""The review's page where several people, several animals or another machine's address are in play."""

from __future__ import annotations

import json
import threading
import urllib.request
from collections.abc import Iterator

import pytest

from scd_core.audit.review.queues import SliceFinder
from tests.report.browser import Page, chromium
from tests.review.site import TOKEN, Visit, labels, served
from tests.services.ports import free_port
from tests.services.wait import until


@pytest.fixture(scope="module")
def browser() -> Iterator[Page]:
    with chromium() as tab:
        yield tab


@pytest.fixture
def visit(browser: Page, out: str) -> Iterator[Visit]:
    """Ana at the page, in a browser that kept nothing."""
    with served(out) as address:
        browser.open(f"{address}/?token={TOKEN}", 1400)
        browser.run("localStorage.clear()")
        yield Visit(browser, address)
        browser.open("about:blank", 1400)


def answer_as_ben(out: str, *targets: str) -> None:
    with served(out, who="ben") as other:
        content = [{"target_id": target, "individual_id": "Mara"} for target in targets]
        request = urllib.request.Request(
            f"{other}/api/labels?token={TOKEN}",
            data=json.dumps(content).encode(),
            headers={"Content-Type": "application/json"},
        )
        assert urllib.request.urlopen(request, timeout=60).status == 200


def test_answers_are_taken_at_an_address_that_is_no_secure_context(visit: Visit, out: str) -> None:
    """At another machine's address browsers have no randomUUID unless the page is encrypted."""
    made = visit.browser.call(
        "Page.addScriptToEvaluateOnNewDocument",
        source="delete Crypto.prototype.randomUUID; delete window.crypto.subtle",
    )
    try:
        visit.open("&queue=next")
        assert visit.browser.run("typeof crypto.randomUUID") == "undefined"
        visit.answer("u")
        visit.saved()
    finally:
        visit.browser.call("Page.removeScriptToEvaluateOnNewDocument", identifier=made["identifier"])
    until(lambda: len(labels(out)) == 1, 60, "the answer is written")


def test_each_answer_that_met_another_one_stays_offered_until_it_is_decided(visit: Visit, out: str) -> None:
    visit.open("&queue=next")
    first, second = visit.browser.run("state.items.slice(0, 2).map((item) => item.target_id)")
    answer_as_ben(out, first, second)
    visit.answer("u")
    visit.answer("u")
    visit.until("document.querySelectorAll('#notices .kept').length === 2")
    for left in (1, 0):
        visit.click("#notices .kept button")
        visit.until(f"document.querySelectorAll('#notices .kept').length === {left}")
    until(lambda: len(labels(out)) == 2, 60, "both are written")


def test_one_click_saves_an_event_that_somebody_else_answered_too(visit: Visit, out: str) -> None:
    visit.open("&at=id-event%2F0.jpg")
    answer_as_ben(out, *(f"id-event/{number}.jpg" for number in range(3)))
    visit.press("u")
    visit.until("!!document.querySelector('#notices .kept button')")
    visit.click("#notices .kept button")
    until(lambda: len(labels(out)) == 3, 60, "all frames are written")


def test_what_one_person_could_not_send_is_not_sent_as_another_one(browser: Page, out: str) -> None:
    port = free_port()
    with served(out, port=port) as address:
        ana = Visit(browser, address)
        browser.open(f"{address}/?token={TOKEN}", 1400)
        browser.run("localStorage.clear()")
        ana.open("&queue=next")
        browser.run("window.fetch = () => Promise.reject(new Error('the network is down'))")
        ana.press("u")
        ana.until("document.getElementById('saved').textContent.includes('1 answer waits')")
    with served(out, who="ben", port=port) as address:
        ben = Visit(browser, address)
        ben.open("&queue=next")
        ben.answer("x")
        ben.saved()
    assert [row["state"] for row in labels(out, "labelled_by = 'ben'")] == ["unclear"] and labels(out) == []
    with served(out, port=port) as address:
        Visit(browser, address).open("&queue=next")
        until(lambda: [row["state"] for row in labels(out)] == ["unknown"], 60, "hers is sent as hers")
    browser.open("about:blank", 1400)


def test_no_animal_is_of_the_whole_picture_and_never_of_one_that_was_just_named(visit: Visit, out: str) -> None:
    visit.open("&at=id-boxes%2F0.jpg%3A0")
    visit.press("1")
    visit.until("state.step === 1")
    visit.press("b")
    visit.until("document.getElementById('notices').innerText.includes('whole picture')")
    visit.press("x")
    visit.saved()
    until(lambda: [row["state"] for row in labels(out)] == ["named", "unclear"], 60, "both boxes are answered")
    visit.open("&at=id-boxes%2F1.jpg%3A0")
    visit.answer("b")
    visit.saved()
    assert [row["state"] for row in labels(out, "file LIKE '%boxes/1%'")] == ["blank"]


def test_pictures_of_a_slice_are_open_once_they_were_counted(
    browser: Page, out: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until then the page has no number: how many labels a slice needs is not how many pictures wait."""
    may_go_on = threading.Event()
    find = SliceFinder.find

    def slow(finder: SliceFinder, queue: str) -> None:
        assert may_go_on.wait(300)
        find(finder, queue)

    monkeypatch.setattr(SliceFinder, "find", slow)
    with served(out) as address:
        visit = Visit(browser, address)
        visit.open("")
        words = "[...document.querySelectorAll('#queues .count')].map((one) => one.innerText).at(-1)"
        assert browser.run(words) == "being counted"
        may_go_on.set()
        visit.until(f"/^[0-9]+ open$/.test({words})")
    browser.open("about:blank", 1400)
