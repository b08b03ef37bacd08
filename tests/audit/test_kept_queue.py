"""What to label next, drawn from what a report kept of each batch: the list that all rows give, and few batches opened."""

from datetime import UTC, date, datetime

import numpy as np
import pytest

from scd_core.audit.query.connection import open_tables
from scd_core.audit.queue import draw
from scd_core.audit.queue.draw import draw_queue
from scd_core.audit.report.facts import load_facts
from scd_core.audit.report.refresh import refresh_report_tables
from scd_core.audit.report.state import report_state
from scd_core.audit.state.kept import KeptRows
from scd_core.config import AuditConfig
from scd_core.tables.store import AuditStore
from tests.audit.audit_builder import AuditBuilder, label, minutes

NAMES = ("Luna", "Nyx", "Tom")


def write_batch(out, number, seed, files=None):
    """80 pictures at three cameras in bursts; one in five flagged, some hidden persons, some without time or camera."""
    rng = np.random.default_rng((seed, number))
    finished = datetime(2026, 3, 2 + number, tzinfo=UTC)
    batch = AuditBuilder(out, f"b{number}", batch_date=date(2026, 3, 1 + number), finished=finished)
    files = files if files is not None else number
    for place in range(80):
        reasons = [[], [], [], ["control"], ["low_probability"]][rng.integers(5)]
        batch.predict(
            f"{files}-{place}.jpg",
            NAMES[(place // 8 + rng.integers(2)) % 3],
            camera=None if place == 70 else f"C{place // 20 % 3}",
            event=f"e{files}-{place // 3}",
            at=minutes(1440 * number + 12 * place),
            flag_reasons=reasons,
            is_flagged=bool(reasons),
            hidden_boxes=[{"x_min": 0.1, "y_min": 0.1, "width": 0.2, "height": 0.2}] if rng.random() < 0.1 else None,
        )
    return batch.write()


@pytest.fixture(params=range(2))
def out(tmp_path, request):
    """Eight batches, the last one the pictures of the third again; labels of pictures, of events' neighbours, of no truth."""
    out, seed = tmp_path / "out", request.param
    rng = np.random.default_rng(seed)
    for number in range(7):
        write_batch(out, number, seed)
    write_batch(out, 7, seed, files=2)
    truths = {f"{rng.integers(8)}-{rng.integers(80)}.jpg": str(rng.choice([*NAMES, "Zoe", "blank"])) for _ in range(60)}
    label(out, tmp_path, truths)
    label(out, tmp_path, {"4-7.jpg": "Luna"}, name="one.csv", now=datetime(2026, 4, 1, tzinfo=UTC))
    label(out, tmp_path, {"4-7.jpg": "Nyx"}, name="two.csv", now=datetime(2026, 4, 1, tzinfo=UTC))
    refresh_report_tables(str(out), AuditConfig())
    return str(out)


def both(out, limit, monkeypatch):
    """The list from what was kept and that from all rows, and the batches that the first one opened to draw."""
    with open_tables(out) as connection:
        load_facts(connection, KeptRows(AuditStore(out), datetime.now(UTC)), report_state(out))
        kept = draw_queue(connection, limit).to_pylist()
        opened = connection.execute("FROM deep ORDER BY ALL").fetchall()
        assert connection.execute("SELECT count(DISTINCT batch_key) FROM predictions").fetchall()[0][0] >= 8
        with monkeypatch.context() as patch:
            patch.setattr(draw, "_has_kept", lambda connection: False)
            return kept, draw_queue(connection, limit).to_pylist(), opened


def test_the_list_is_the_one_from_all_rows(out, monkeypatch):
    opened = {}
    for limit in (1, 3, 8, 500):
        kept, rows, opened[limit] = both(out, limit, monkeypatch)
        assert kept == rows and (len(rows) == limit or limit == 500)
    assert len(opened[1]) <= 2 and len(opened[500]) >= 7


def test_a_label_that_is_no_truth_takes_its_visit_off_both_lists(out, tmp_path, monkeypatch):
    before, _, _ = both(out, 500, monkeypatch)
    chosen = next(row for row in before if row["batch_key"] not in ("b2", "b7"))
    label(out, tmp_path, {chosen["file"]: "unclear"}, name="unclear.csv", now=datetime(2026, 4, 2, tzinfo=UTC))
    refresh_report_tables(out, AuditConfig())
    for limit in (1, 500):
        kept, rows, _ = both(out, limit, monkeypatch)
        assert kept == rows and chosen["target_id"] not in {row["target_id"] for row in kept}


def test_another_seed_draws_from_all_rows(out):
    with open_tables(out) as connection:
        expected = draw_queue(connection, 20, seed=5).to_pylist()
        load_facts(connection, KeptRows(AuditStore(out), datetime.now(UTC)), report_state(out))
        assert draw_queue(connection, 20, seed=5).to_pylist() == expected
        assert draw_queue(connection, 20).to_pylist() != expected
