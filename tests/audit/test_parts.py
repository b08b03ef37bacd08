"""What a report takes from batches: the same whether all are looked at together, one by one, or only the new ones."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest

from scd_core.audit.errors import batches
from scd_core.audit.errors.derive import derive_errors, known_exposures
from scd_core.audit.query.batches import show_all, show_batches
from scd_core.audit.query.connection import open_tables
from scd_core.audit.slices.announce import _looked
from scd_core.audit.slices.data import slice_data
from scd_core.audit.state import kept
from scd_core.audit.state.kept import KeptRows
from scd_core.config import AuditConfig, SliceConfig
from scd_core.errors import RunError
from scd_core.tables.store import AuditStore
from tests.audit.audit_builder import AuditBuilder, label, minutes

NAMES = ("Luna", "Nyx", "Tom")


def write_batch(out, number, model="m1", files=None):
    """A batch of 24 pictures at two cameras; three are flagged, four masked, one looked at again, one far away."""
    batch = AuditBuilder(
        out, f"b{number}", model, date(2026, 3, 1 + number), datetime(2026, 3, 2 + number, tzinfo=UTC), [*NAMES]
    )
    for place in range(24):
        file = f"{files if files is not None else number}-{place}.jpg"
        target = batch.predict(
            file,
            NAMES[(place // 2 + number) % 3],
            0.5 + place / 60,
            camera=f"C{place // 2 % 2}",
            event=f"e{file.split('-')[0]}-{place // 2}",
            at=minutes(1440 * number + 40 * (place // 2)),
            sharpness=20.0 if place == 5 else 100.0 + place,
            latitude=50.0 if place != 7 else 10.0,
            longitude=9.0,
            inclusion_probability=1.0 if place % 8 == 0 else 0.1,
            flag_reasons=["low_probability"] if place % 8 == 0 else [],
            is_flagged=place % 8 == 0,
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


def derived(out, now=None, config=None):
    """Errors and exposures; with what earlier reports kept, for a report of a time."""
    rows = None if now is None else KeptRows(AuditStore(out), now)
    with open_tables(out) as connection:
        return derive_errors(connection, config or AuditConfig(), "r1", rows), known_exposures(connection)


def same(one, other):
    return one[0].equals(other[0]) and one[1].equals(other[1])


@pytest.fixture
def looked_at(monkeypatch):
    """Batches that were looked at since the list was cleared; each is by two stages."""
    seen = []

    def show(connection, batch_keys):
        seen.extend(batch_keys)
        show_batches(connection, batch_keys)

    monkeypatch.setattr(batches, "show_batches", show)
    return seen


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


NIGHT = datetime(2026, 5, 1, 3, tzinfo=UTC)


def test_a_report_looks_at_new_batches_and_new_labels_alone_and_has_the_rows_of_one_from_nothing(tmp_path, looked_at):
    out = tmp_path / "out"
    for night in range(4):
        write_batch(out, night)
        if night:
            label_batch(out, tmp_path, night - 1)
        looked_at.clear()
        assert same(derived(str(out), NIGHT + timedelta(days=night)), derived(str(out)))
        # By both stages the new batch, by the second the one with new labels; from nothing all, by both.
        new = [f"b{night}"] * 2 + ([f"b{night - 1}"] if night else [])
        assert sorted(looked_at) == sorted(new + [f"b{number}" for number in range(night + 1)] * 2)
    looked_at.clear()
    derived(str(out), NIGHT + timedelta(days=5))
    assert looked_at == []


def test_pictures_named_again_and_newer_labels_change_the_rows_that_they_change(out, tmp_path):
    derived(out, NIGHT)
    write_batch(tmp_path / "out", 5, "m3", files=2)
    label_batch(out, tmp_path, 0, places=(0, 1, 2), now=datetime(2026, 4, 9, tzinfo=UTC))
    again = derived(out, NIGHT + timedelta(days=1))
    assert same(again, derived(out))
    current = {row["batch_key"] for row in again[0].to_pylist() if row["is_current"]}
    assert "b5" in current
    assert "b2" not in current


def test_travel_to_a_place_of_another_batch_is_found_at_both_ends(tmp_path):
    for number, (name, latitude) in enumerate([("Luna", 50.0), ("Nyx", 50.0), ("Luna", 10.0)]):
        batch = AuditBuilder(tmp_path / "out", f"b{number}", batch_date=date(2026, 3, 1 + number))
        batch.predict(f"{number}.jpg", name, at=minutes(number), latitude=latitude, longitude=9.0)
        batch.write()
        errors, exposures = derived(str(tmp_path / "out"), NIGHT + timedelta(days=number))
    assert same((errors, exposures), derived(str(tmp_path / "out")))
    assert {row["batch_key"]: row["suspicion_reasons"] for row in errors.to_pylist()} == {
        "b0": ["impossible_travel"],
        "b2": ["impossible_travel"],
    }


def test_other_settings_use_no_rows_of_the_old_ones(out):
    whole = derived(out, NIGHT)
    config = AuditConfig(slices=SliceConfig(visit_minutes=400, low_quality_ratio=0.1))
    other = derived(out, NIGHT + timedelta(days=1), config)
    assert same(other, derived(out, config=config))
    assert not same(other, whole)


@pytest.mark.parametrize("harm", ["list", "part", "torn list", "torn part", "all"])
def test_files_that_are_missing_or_torn_cost_time_only(out, tmp_path, harm, looked_at):
    whole = derived(out, NIGHT)
    for file in (tmp_path / "out" / "state").rglob("*.parquet"):
        if harm == "all" or ("-" in file.stem) == harm.endswith("part"):
            file.write_bytes(file.read_bytes()[:-20]) if harm.startswith("torn") else file.unlink()
    looked_at.clear()
    assert same(derived(out, NIGHT + timedelta(days=1)), whole)
    assert set(looked_at) == {f"b{number}" for number in range(5)}
    looked_at.clear()
    assert same(derived(out, NIGHT + timedelta(days=2)), whole)
    assert looked_at == []


def test_a_report_that_dies_before_its_list_leaves_nothing_that_counts(out, monkeypatch, looked_at):
    def die(self, relative, data):
        if relative.endswith("/judged.parquet"):
            raise RunError("killed")
        return create(self, relative, data)

    create = AuditStore.create_file
    with monkeypatch.context() as patch:
        patch.setattr(AuditStore, "create_file", die)
        with pytest.raises(RunError, match="killed"):
            derived(out, NIGHT)
    assert same(derived(out, NIGHT + timedelta(hours=1)), derived(out))
    looked_at.clear()
    derived(out, NIGHT + timedelta(hours=2))
    assert looked_at == []


def test_two_reports_of_one_moment_do_not_disturb_each_other(out, tmp_path, monkeypatch):
    derived(out, NIGHT)
    write_batch(tmp_path / "out", 5)
    load = KeptRows.load

    def load_beside_another(self, connection, stage, parts):
        monkeypatch.setattr(KeptRows, "load", load)
        derived(out, NIGHT + timedelta(days=1))
        load(self, connection, stage, parts)

    monkeypatch.setattr(KeptRows, "load", load_beside_another)
    assert same(derived(out, NIGHT + timedelta(days=1)), derived(out))
    assert same(derived(out, NIGHT + timedelta(days=2)), derived(out))


def test_many_nights_leave_few_files(tmp_path, monkeypatch):
    monkeypatch.setattr(kept, "_MOST_SOURCES", 2)
    out = tmp_path / "out"
    for night in range(6):
        write_batch(out, night)
        rows = derived(str(out), NIGHT + timedelta(days=night))
    assert same(rows, derived(str(out)))
    folders = {file.parent.name for file in (out / "state").rglob("*.parquet")}
    # Those in use, and those of the last two days, which another report may be reading.
    assert len(folders) <= 2 + 1 + 2


def test_rows_are_kept_in_storage_without_paths(tmp_path, looked_at):
    out = "memory://kept-parts/out"
    for number in range(2):
        write_batch(out, number)
    label_batch(out, tmp_path, 0)
    whole = derived(out, NIGHT)
    looked_at.clear()
    assert same(derived(out, NIGHT + timedelta(days=1)), whole)
    assert looked_at == []


def test_exposures_are_counted_together_where_visits_became_known_on_the_same_days(out, tmp_path):
    # All flags are at C0. Those of batches 0, 2 and 4 are labelled on one day, those of batch 3 on two.
    label_batch(out, tmp_path, 3, places=(0,), now=datetime(2026, 4, 1, tzinfo=UTC))
    label_batch(out, tmp_path, 3, places=(4, 8, 12), now=datetime(2026, 4, 3, tzinfo=UTC))
    with open_tables(out) as connection:
        errors = derive_errors(connection, AuditConfig())
        together = known_exposures(connection)
        rows = connection.execute("SELECT batch_key || camera_id, stands_for FROM places").fetchall()
        connection.execute("UPDATE places SET stands_for = batch_key")
        apart = known_exposures(connection)
    assert dict(rows) == {"b0C0": "b0", "b2C0": "b0", "b3C0": "b3", "b4C0": "b0"} | {
        f"b{n}C1": "b0" for n in (0, 2, 3, 4)
    }
    assert set(together["batch_key"].to_pylist()) == {"b0", "b3"}
    assert set(apart["batch_key"].to_pylist()) == {"b0", "b2", "b3", "b4"}
    by_day = []
    for found in (together, apart):
        data = slice_data(errors, found)
        rows = np.arange(data.exposure.size)
        by_day.append(_looked(data).grouped(rows, np.zeros_like(rows), 1, data.exposure)[0])
    assert len(by_day[0]) == 3
    assert by_day[0] == pytest.approx(by_day[1])


def test_tables_that_nothing_reads_any_more_are_dropped(out):
    with open_tables(out) as connection:
        derive_errors(connection, AuditConfig())
        left = {name for (name,) in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()}
    assert not left & {
        "scored",
        "targets",
        "truth",
        "seen",
        "qualities",
        "label_boxes",
        "label_media",
        "label_names",
        "wanted",
    }
    assert left >= {"places", "label_matches", "label_targets", "labelled", "superseded"}
