"""Duplicates and events: rows of media held against each other."""

from __future__ import annotations

from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from scd_core.media import assign_events, mark_clocks, mark_duplicates
from scd_core.media.groups import is_timed


def row(file: str, sha: str = "", status: str = "ok", **columns: object) -> dict:
    return {"media_id": file, "file": file, "content_sha256": sha or file, "status": status, **columns}


def at(second: float) -> datetime:
    return datetime(2024, 5, 3, 12) + timedelta(seconds=second)


def test_the_first_in_file_order_keeps_ok():
    rows = [row("b", "same"), row("a", "same"), row("c", "same", status="corrupt"), row("d", "other")]
    marked = {r["file"]: r for r in mark_duplicates(rows)}
    assert [marked[f]["status"] for f in "abcd"] == ["ok", "duplicate", "corrupt", "ok"]
    assert marked["b"]["duplicate_of"] == "a" and "content as a" in marked["b"]["failure_reason"]


def test_events_slide_from_the_last_frame_within_one_deployment():
    rows = [
        row("1", deployment_id="d1", captured_at=at(0)),
        row("2", deployment_id="d1", captured_at=at(50)),
        row("3", deployment_id="d1", captured_at=at(105)),
        row("4", deployment_id="d1", captured_at=at(170)),
        row("5", deployment_id="d2", captured_at=at(50)),
        row("6", deployment_id="d1", captured_at=None),
        row("7", deployment_id="d1", captured_at=None),
    ]
    event = {r["file"]: r["event_id"] for r in assign_events(rows, 60)}
    assert event["1"] == event["2"] == event["3"]
    assert len({event[f] for f in "1456"}) == 4


def test_frames_without_a_time_are_one_event_of_their_deployment_and_folder():
    """They are no proofs of their own, and no name is expected to be common to them."""
    rows = [
        row("C1/d1/a", deployment_id="d1", captured_at=at(0)),
        row("C1/d1/b", deployment_id="d1"),
        row("C1/d1/c", deployment_id="d1"),
        row("C1/d1/x/d", deployment_id="d1"),
        row("C1/d2/e", deployment_id="d2"),
        row("C2/f", camera_id="C2"),
        row("C2/g", camera_id="C2"),
    ]
    event = {r["file"][-1]: r["event_id"] for r in assign_events(rows, 60)}
    assert event["b"] == event["c"] and event["f"] == event["g"]
    assert len(set(event.values())) == 5
    assert [name for name in "abcdefg" if is_timed(event[name])] == ["a"]


def test_times_with_different_offsets_are_compared_in_utc():
    def of(file: str, hours: float, offset: int | None, camera: str = "c") -> dict:
        return row(file, captured_at=at(3600 * hours), utc_offset_minutes=offset, camera_id=camera)

    rows = [
        of("a", 5, 0),
        of("b", 6, 60),
        of("c", 6, 0),
        of("d", 5, 0, "x"),
        of("e", 6, 60, "x"),
        of("f", 6, None, "x"),
    ]
    event = {r["file"]: r["event_id"] for r in assign_events(rows, 60)}
    assert event["a"] == event["b"] != event["c"]
    assert event["d"] != event["e"] == event["f"], "one offset is not known, so the times count as they are written"


def test_a_doubt_that_is_there_stays_when_clocks_are_compared():
    rows = [
        row("C1/IMG_0001.JPG", captured_at=at(0), captured_at_source="exif", clock_doubt="set wrong"),
        row("C1/IMG_0002.JPG", captured_at=at(-5), captured_at_source="exif_created", clock_doubt=None),
    ]
    assert [r["clock_doubt"] for r in mark_clocks(rows)] == [
        "set wrong", "the clock runs backwards: 0:00:05 earlier than C1/IMG_0001.JPG",
    ]  # fmt: skip


@given(st.permutations(list(range(12))))
def test_events_do_not_depend_on_the_order_of_rows(order):
    rows = [row(f"{n}", camera_id=f"c{n % 2}", captured_at=at(n * 37.0)) for n in range(12)]
    expected = {r["file"]: r["event_id"] for r in assign_events(rows, 60)}
    assert {r["file"]: r["event_id"] for r in assign_events([rows[n] for n in order], 60)} == expected
