"""What a report takes from batches: the same whether all are looked at together, one by one, or only the new ones."""

from datetime import UTC, date, datetime

import pytest

from scd_core.audit.errors import batches
from scd_core.audit.errors.derive import derive_errors, known_exposures
from scd_core.audit.query.batches import show_all, show_batches
from scd_core.audit.query.connection import open_tables
from scd_core.config import AuditConfig
from tests.audit.audit_builder import AuditBuilder, label, minutes

NAMES = ("Luna", "Nyx", "Tom")


def write_batch(out, number, model="m1", files=None):
    """A batch of 24 pictures at two cameras; a quarter is flagged, one masked, one looked at again, one far away."""
    batch = AuditBuilder(
        out, f"b{number}", model, date(2026, 3, 1 + number), datetime(2026, 3, 2 + number, tzinfo=UTC), [*NAMES]
    )
    for place in range(24):
        file = f"{files if files is not None else number}-{place}.jpg"
        target = batch.predict(
            file,
            NAMES[(place // 2 + number) % 3],
            0.5 + place / 60,
            camera=f"C{place % 2}",
            event=f"e{file.split('-')[0]}-{place // 2}",
            at=minutes(1440 * number + 40 * (place // 2)),
            sharpness=20.0 if place == 5 else 100.0 + place,
            latitude=50.0 if place != 7 else 10.0,
            longitude=9.0,
            inclusion_probability=1.0 if place % 4 == 0 else 0.1,
            flag_reasons=["low_probability"] if place % 4 == 0 else [],
            is_flagged=place % 4 == 0,
            runner_up=("Zoe", 0.1) if place == 8 else None,
        )
        if place % 6 == 0:
            batch.mask(target, NAMES[number % 3], background_reliance=0.7 if place == 6 else 0.1)
    return batch.write()


def label_batch(out, folder, number, places=(0, 4, 8, 12, 13, 20), **more):
    truths = {f"{number}-{place}.jpg": NAMES[(place // 2 + number + (place == 8)) % 3] for place in places}
    label(out, folder, truths, name=f"labels{number}{len(places)}.csv", **more)


@pytest.fixture
def out(tmp_path):
    out = tmp_path / "out"
    for number in range(4):
        write_batch(out, number)
    write_batch(out, 4, "m2", files=1)  # the pictures of batch 1 once more
    for number in range(3):
        label_batch(out, tmp_path, number)
    return str(out)


def derived(out):
    with open_tables(out) as connection:
        return derive_errors(connection, AuditConfig(), "r1"), known_exposures(connection)


def test_batches_looked_at_one_by_one_give_the_rows_of_all_together(out, monkeypatch):
    errors, exposures = derived(out)
    monkeypatch.setattr(batches, "_PICTURES", 1)
    one_by_one = derived(out)
    assert one_by_one[0].equals(errors)
    assert one_by_one[1].equals(exposures)
    assert {"b0", "b1", "b2", "b4"} <= set(errors["batch_key"].to_pylist())
    assert exposures.num_rows > 3
    assert set(errors["is_suspected"].to_pylist()) == {True, False}


def test_only_some_batches_are_shown_until_all_are_again(out):
    def shown(connection):
        return connection.execute("SELECT DISTINCT batch_key FROM predictions ORDER BY ALL").fetchall()

    with open_tables(out) as connection:
        show_batches(connection, ["b1", "b3", "none"])
        assert shown(connection) == [("b1",), ("b3",)]
        show_batches(connection, [])
        assert shown(connection) == []
        show_all(connection)
        assert len(shown(connection)) == 5
