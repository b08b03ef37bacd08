"""What a queue of the review led to is a finding, and no part of a rate."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from scd_core.audit.errors.derive import derive_errors
from scd_core.audit.query.connection import open_tables
from scd_core.audit.review.answers import read_answers
from scd_core.audit.review.session import ReviewSession
from scd_core.audit.slices.derive import find_slices
from tests.audit.audit_builder import START, AuditBuilder, label

N, N_WRONG = 100, 20


@pytest.fixture
def out(tmp_path):
    """One hundred pictures at two cameras, twenty of them wrongly called B at C02, none flagged; ten are labelled by lot."""
    audit = AuditBuilder(tmp_path / "out", individuals=["A", "B"])
    for number in range(N):
        is_wrong = number < N_WRONG
        at = START.replace(day=1 + number % 28, hour=number // 28)
        audit.predict(f"{number}.jpg", "B" if is_wrong else "A", camera="C02" if is_wrong else "C01", at=at)
    out = audit.write()
    label(out, tmp_path, {f"{number}.jpg": "A" for number in range(0, N, 10)})
    return out


def rate(rows):
    """The weighted share of wrong pictures."""
    weights = [row["event_weight"] or 0.0 for row in rows]
    wrong = [row["error_type"] != "correct" for row in rows]
    return sum(w for w, is_wrong in zip(weights, wrong, strict=True) if is_wrong) / sum(weights)


def answered(out, queue):
    """The rows of errors after all of C02 was answered in a queue."""
    session = ReviewSession(out, now=lambda: datetime(2026, 3, 9, tzinfo=UTC))
    for number in range(N_WRONG):
        content = [{"target_id": f"id-{number}.jpg", "individual_id": "A", "queue": queue}]
        session.write(read_answers(content), "ana")
    with open_tables(out) as connection:
        return derive_errors(connection)


def test_the_rate_stays_what_the_draw_gives_and_the_errors_are_found(out):
    rows = answered(out, "candidates")
    assert len(rows) == 10 + N_WRONG - 2
    assert rate(rows.to_pylist()) == pytest.approx(0.2)  # 2 of the 10 that were drawn; the truth is 20 of 100
    led_to = [row for row in rows.to_pylist() if row["event_weight"] is None]
    assert len(led_to) == N_WRONG - 2 and {row["label_probability"] for row in led_to} == {None}
    (found,) = [row for row in find_slices(rows).to_pylist() if dict(row["slice"]) == {"camera_id": "C02"}]
    assert (found["n_errors"], found["n_events"]) == (N_WRONG, N_WRONG) and found["is_systematic"]


def test_the_same_answers_given_as_if_they_were_drawn_would_have_made_it_worse(out):
    """The fixture of the test above: the rate moves where the queue is not told apart."""
    assert rate(answered(out, "next").to_pylist()) > 0.5


def test_a_picture_that_was_drawn_keeps_its_weight_when_a_queue_shows_it_again(out):
    session = ReviewSession(out, now=lambda: datetime(2026, 3, 9, tzinfo=UTC))
    content = [{"target_id": "id-0.jpg", "individual_id": "B", "queue": "suspected"}]
    session.write(read_answers(content), "ana")
    with open_tables(out) as connection:
        rows = {row["media_id"]: row for row in derive_errors(connection).to_pylist()}
    assert rows["id-0.jpg"]["true_id"] == "B" and rows["id-0.jpg"]["event_weight"] == pytest.approx(10)
