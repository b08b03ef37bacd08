"""Screens beside the plain event: groups of unknowns, pairs, several animals, places of the report, a disk that is full."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from scd_core.audit.query.connection import run_sql
from scd_core.audit.review.session import ReviewSession
from scd_core.errors import RunError
from tests.report.browser import Page, chromium
from tests.review.audit import make_audit
from tests.review.site import TOKEN, Visit, labels, served
from tests.services.wait import until


@pytest.fixture(scope="module")
def browser() -> Iterator[Page]:
    with chromium() as tab:
        yield tab


@pytest.fixture
def out(tmp_path: Path) -> str:
    return make_audit(tmp_path)


@pytest.fixture
def visit(browser: Page, out: str) -> Iterator[Visit]:
    with served(out) as address:
        browser.open(f"{address}/?token={TOKEN}", 1400)
        browser.run("localStorage.clear()")
        yield Visit(browser, address)
        browser.open("about:blank", 1400)


def targets(out: str, file: str) -> list[str]:
    sql = f"SELECT target_id FROM predictions JOIN media USING (media_id) WHERE file LIKE '{file}' ORDER BY file, detection_id"
    return [row[0] for row in run_sql(out, sql).fetchall()]


def test_a_group_is_split_and_named(visit: Visit, out: str) -> None:
    visit.open("&queue=candidates")
    assert visit.browser.run("document.querySelectorAll('#members li').length") == 3
    visit.browser.run("document.getElementById('member-1').click()")
    assert visit.text("#name-group") == "Name the other 2"
    visit.press("Enter")
    visit.until("document.getElementById('chooser').open")
    visit.browser.write("Zelda")
    visit.press("Enter")
    visit.until("document.querySelectorAll('#members li').length === 1")
    visit.press("Enter")
    visit.until("document.getElementById('chooser').open")
    visit.answer("Enter")
    visit.saved()
    rows = {row["file"]: row["individual_id"] for row in labels(out)}
    assert sorted(rows.values()) == ["Zelda", "Zelda", "unknown"] and all(file.startswith("new/") for file in rows)
    assert {row["review_queue"] for row in labels(out)} == {"candidates"}


def test_several_animals_are_answered_one_by_one(visit: Visit, out: str) -> None:
    first, second = targets(out, "boxes/0.jpg")
    visit.open(f"&at={first}")
    assert "animal 1 of" in visit.text("#scope")
    assert visit.browser.run("document.querySelectorAll('#boxes rect').length") == 2
    visit.press("u")
    visit.until("state.step === 1")
    assert visit.browser.run("current().target.target_id") == second
    visit.answer("Enter")
    visit.saved()
    rows = labels(out)
    assert [(row["file"], row["individual_id"]) for row in rows] == [("boxes/0.jpg", "unknown"), ("boxes/0.jpg", "Nyx")]
    assert len({row["detection_id"] for row in rows}) == 2


def test_a_pair_is_the_same_or_somebody_else(visit: Visit, out: str) -> None:
    visit.open("&queue=pairs")
    called = visit.browser.run("state.screen.individual_id")
    visit.answer("y")
    visit.saved()
    assert {row["individual_id"] for row in labels(out)} == {called}
    visit.press("n")
    visit.until("state.screen.kind === 'event'")
    assert "you said that it is not" in visit.text("#reasons")
    visit.answer("2")
    visit.saved()
    assert len(labels(out)) >= 2 and {row["review_queue"] for row in labels(out)} == {"pairs"}


def test_a_slice_of_the_report_opens_by_its_place(visit: Visit, out: str) -> None:
    sql = "SELECT slice_id FROM error_slices WHERE is_systematic AND folded_into IS NULL ORDER BY q_value LIMIT 1"
    slice_id = run_sql(out, sql).fetchall()[0][0]
    visit.open(f"&at=slice:{slice_id}")
    assert visit.browser.run("state.queue") == f"slice:{slice_id}"
    if visit.shown() != "finished":
        visit.answer("Enter")
        visit.saved()
        assert {row["review_queue"] for row in labels(out)} == {f"slice:{slice_id}"}


def test_a_full_disk_leaves_the_answer_in_the_browser_until_there_is_room(
    visit: Visit, out: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise RunError("OUT: cannot be written (No space left on device)") from OSError(
            errno.ENOSPC, "No space left on device"
        )

    visit.open("&queue=next")
    with monkeypatch.context() as patched:
        patched.setattr(ReviewSession, "write", full)
        visit.answer("u")
        visit.until("document.getElementById('notices').textContent.includes('full')")
        assert labels(out) == []
        assert visit.text("#saved") == "1 answer waits to be sent"
    visit.saved()
    until(lambda: len(labels(out)) >= 1, 60, "the answer is in OUT")
    assert {row["individual_id"] for row in labels(out)} == {"unknown"}


def test_what_changed_is_said_after_a_sitting(visit: Visit, out: str) -> None:
    sql = "SELECT slice_id FROM error_slices WHERE is_systematic AND folded_into IS NULL ORDER BY q_value LIMIT 1"
    visit.open(f"&queue=slice:{run_sql(out, sql).fetchall()[0][0]}")
    for _ in range(5):
        if visit.shown() == "finished":
            break
        visit.press("/")
        visit.browser.write("odin")
        visit.answer("Enter")
    visit.saved()
    visit.open()
    visit.until("!document.getElementById('changes-part').hidden")
    assert "Odin: from" in visit.text("#changes")


def test_a_new_name_that_is_nearly_a_known_one_is_asked_about(visit: Visit) -> None:
    visit.open("&queue=next")
    visit.press("n")
    visit.until("document.getElementById('chooser').open")
    visit.browser.write("Lunna")
    visit.until("document.getElementById('warning').textContent.includes('Luna')")
    assert "spelled nearly so" in visit.text("#warning")
    visit.press("Escape")


@pytest.mark.parametrize("width", [1400, 390])
def test_axe_of_a_group_and_of_the_end(visit: Visit, width: int) -> None:
    program = os.environ.get("AXE_CORE")
    if not program:
        if os.environ.get("CI"):
            pytest.fail("AXE_CORE names no axe.min.js; .ci/run fetches it")
        pytest.skip("AXE_CORE names no axe.min.js")
    visit.open("&queue=candidates", width)
    for _ in range(2):
        visit.browser.run(Path(program).read_text("utf-8") + ";0")
        found = visit.browser.run("axe.run().then(r => r.violations.map(v => [v.id, v.nodes[0].html.slice(0, 160)]))")
        assert found == []
        if visit.shown() != "finished":
            visit.answer("s")
    assert visit.shown() == "finished"
