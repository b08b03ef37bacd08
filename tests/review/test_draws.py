"""The draws of a review are made from what a picture holds: the same wherever it lies."""

from __future__ import annotations

from datetime import timedelta

import pytest

from scd_core.audit.query.connection import open_tables
from scd_core.audit.report.refresh import refresh_report_tables
from scd_core.audit.review.frames import Frames
from scd_core.audit.review.kept import SECOND_SHARE, load_queues
from scd_core.audit.review.queues import lot
from scd_core.audit.sql import load_sql
from scd_core.tables.store import AuditStore
from tests.audit.audit_builder import START, AuditBuilder, label

N = 120
SLICE = dict.fromkeys(("camera", "deployment", "true", "confused", "model", "hour", "week", "light")) | {"limit": N}


@pytest.fixture(scope="module")
def outs(tmp_path_factory):
    """The same pictures at two addresses: a third labelled by one person, the others not."""
    found = []
    for place in ("card", "disk"):
        folder = tmp_path_factory.mktemp(place)
        audit = AuditBuilder(folder / "out", individuals=["Luna", "Nyx"])
        truths = {}
        for number in range(N):
            file = f"{place}/{number:03}.jpg"
            at = START + timedelta(days=number)
            audit.predict(file, "Luna", at=at, event=f"e-{number // 2}", content_number=7_919 * (number + 1))
            if number % 3 == 0:
                truths[file] = "Luna"
        out = str(audit.write())
        label(out, folder, truths, labelled_by="first")
        refresh_report_tables(out)
        found.append(out)
    return found


def second_readings(out):
    return [one.content_number for one in load_queues(out).waiting if one.queue == "second"]


def slice_pictures(out):
    rows = Frames(AuditStore(out)).select(
        load_sql("scd_core.audit.review", "slice"), SLICE | {"name": "Luna"}, ("media", "predictions", "runs")
    )
    return [row["content_number"] for row in rows]


def test_a_second_reader_is_given_the_same_pictures_in_the_same_order_wherever_they_lie(outs):
    here, there = map(second_readings, outs)
    assert here == there
    assert 0 < len(here) < 20  # a tenth of 40


def test_a_slices_queue_draws_the_same_pictures_wherever_they_lie(outs):
    here, there = map(slice_pictures, outs)
    assert here == there != sorted(here)
    assert len(here) == N // 2  # one of each event


def test_answers_since_the_report_are_drawn_as_those_before_it(outs):
    """A target's lot is one number: in the queues that a report keeps, and for what is answered after it."""
    with open_tables(outs[0]) as connection:
        rows = connection.execute(
            "SELECT content_number, target_id FROM predictions WHERE media_id IN (SELECT media_id FROM errors WHERE is_labelled)"
        ).fetchall()
    expected = sorted((lot(*row), row[0]) for row in rows if lot(*row) < SECOND_SHARE)
    assert second_readings(outs[0]) == [content for _, content in expected]


def test_a_target_whose_content_is_not_known_is_drawn_by_its_id():
    assert lot(None, "a") != lot(None, "b")
    assert lot(5, "a") == lot(5, "b") != lot(6, "a")
