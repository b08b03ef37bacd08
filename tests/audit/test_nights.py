"""Random nights: a report that keeps what it took from batches has the rows of one from nothing, whatever came in between."""

import random
from datetime import UTC, date, datetime, timedelta

import pytest

from scd_core.audit.errors import derive
from scd_core.audit.errors.derive import derive_errors, known_exposures
from scd_core.audit.forget.forget import choose_forgotten, forget_chosen
from scd_core.audit.labels import lookups
from scd_core.audit.labels.importing import list_imports, undo_import
from scd_core.audit.query.connection import open_tables
from scd_core.audit.state.held import hold_small
from scd_core.audit.state.kept import KeptRows
from scd_core.config import AuditConfig
from scd_core.names import ForgetBy
from scd_core.tables.store import AuditStore
from tests.audit.audit_builder import AuditBuilder, label, minutes

NAMES = ("Luna", "Nyx", "Tom")
KEPT = (
    "superseded", "batch_counts", "event_counts", "label_strata", "lots", "near", "stays", "cells", "targets", "label_names",
    "label_targets", "runs",
)  # fmt: skip
START = datetime(2026, 3, 1, tzinfo=UTC)


class Season:
    """What arrives in an audit, by chance: batches, late ones, more pictures of visits that are known, pictures named again by
    either model, labels before and after, undone ones; and pictures that are forgotten."""

    def __init__(self, folder, seed):
        self.folder, self.out, self.chance = folder, str(folder / "out"), random.Random(seed)
        self.n_batches = self.n_imports = 0
        self.files: list[str] = []

    def night(self, number):
        """One night; the first has a batch."""
        doings = [self.batch, self.again, self.again, self.more, self.labels, self.labels, self.undo, self.forget]
        for do in [self.batch] if number == 0 else self.chance.sample(doings, self.chance.randint(0, 3)):
            do(START + timedelta(days=number))

    def batch(self, now, files=None):
        chance, place = self.chance, self.n_batches
        # Some arrive late: finished long before others that are known.
        finished = now - timedelta(days=chance.choice([0, 0, 0, 5]), minutes=place)
        batch = AuditBuilder(
            self.out, f"b{chance.randrange(10**6)}-{place}", chance.choice(["m1", "m2"]), now.date(), finished, [*NAMES]
        )
        self.n_batches += 1
        for file in files or [f"{place}-{one}.jpg" for one in range(12)]:
            if chance.random() < 0.15:
                batch.media(file, status=chance.choice(["corrupt", "duplicate", "missing"]))
                continue
            reasons = chance.choice([[], [], ["control"], ["low_probability"], ["unknown", "small_margin"]])
            target = batch.predict(
                file,
                None if chance.random() < 0.1 else chance.choice(NAMES),
                round(chance.random(), 2),
                camera=chance.choice(["C1", "C2", None]),
                event=f"e{file.split('-')[0]}-{chance.randrange(4)}",
                at=minutes(1440 * int(file.split("-")[0]) + chance.randrange(300)),
                latitude=chance.choice([50.0, 50.0, 10.0]),
                longitude=9.0,
                sharpness=chance.choice([20.0, 100.0]),
                flag_reasons=reasons,
                is_flagged=bool(reasons),
            )
            if chance.random() < 0.3:
                batch.mask(target, chance.choice(NAMES), background_reliance=round(chance.random(), 2))
        self.files = sorted({*self.files, *(row["file"] for row in batch.tables["media"])})
        batch.write()

    def again(self, now):
        self.batch(now, files=self.chance.sample(self.files, min(len(self.files), 9)))

    def more(self, now):
        """A batch with later pictures of a visit: of the events of an earlier batch."""
        place = self.chance.randrange(self.n_batches)
        self.batch(now, files=[f"{place}-{12 + 6 * self.n_batches + one}.jpg" for one in range(6)])

    def forget(self, now):
        file = self.chance.choice(self.files)
        forget_chosen(self.out, choose_forgotten(self.out, ForgetBy.FILE, [file]))
        self.files.remove(file)

    def labels(self, now):
        coming = [
            f"{self.n_batches + more}-{one}.jpg" for more in range(2) for one in (0, 5)
        ]  # their pictures come later
        some = self.chance.sample([*self.files, *coming], 6)
        names = {file: self.chance.choice([*NAMES, "Zoe", "blank", "unknown"]) for file in some}
        label(self.out, self.folder, names, now, f"{self.n_imports}.csv", labelled_by=self.chance.choice("ab"))
        self.n_imports += 1

    def undo(self, now):
        imports = [one for one in list_imports(self.out).to_pylist() if one["undone_at"] is None and one["file"]]
        if imports:
            undo_import(self.out, self.chance.choice(imports)["import_id"], now=now)


def derived(out, kept=None):
    with pytest.MonkeyPatch.context() as patch, open_tables(out) as connection:
        patch.setattr(derive, "_drop", lambda *_: None)  # what is kept is compared, what nothing reads later as well
        hold_small(connection, "runs", kept)
        rows = derive_errors(connection, AuditConfig(), "r", kept), known_exposures(connection)
        tables = {name: connection.sql(f"FROM {name} ORDER BY ALL").to_arrow_table() for name in KEPT}
    return rows, tables


@pytest.mark.parametrize("seed", [1701, 1702, 1703])
def test_whatever_comes_in_the_rows_are_those_from_nothing(tmp_path, seed):
    season, changes = Season(tmp_path, seed), set()
    for number in range(7):
        season.night(number)
        now = START + timedelta(days=number, hours=12)
        (errors, exposures), tables = derived(season.out, KeptRows(AuditStore(season.out), now))
        (errors_anew, exposures_anew), anew = derived(season.out)
        assert errors.equals(errors_anew) and exposures.equals(exposures_anew), number
        for name in KEPT:
            assert tables[name].equals(anew[name]), (number, name)
        changes.add(tables["superseded"].num_rows)
    assert len(changes) > 1 and errors.num_rows > 5


def test_new_labels_open_only_the_batches_that_may_hold_their_pictures(tmp_path, monkeypatch):
    out = str(tmp_path / "out")
    for number in range(6):
        batch = AuditBuilder(out, f"b{number}", batch_date=date(2026, 3, 1), finished=START + timedelta(number))
        batch.predict(f"{number}.jpg", "Luna")
        batch.write()
    label(out, tmp_path, {"1.jpg": "Nyx", "later.jpg": "Nyx"}, START, "first.csv")
    derived(out, KeptRows(AuditStore(out), START))
    batch = AuditBuilder(out, "b6", batch_date=date(2026, 3, 1), finished=START + timedelta(6))
    batch.predict("later.jpg", "Luna")
    batch.write()
    label(out, tmp_path, {"3.jpg": "Tom"}, START + timedelta(days=7), "second.csv")
    opened, shown = [], lookups.batches_shown

    def batches_shown(connection, keys):
        opened.append(list(keys))
        return shown(connection, keys)

    monkeypatch.setattr(lookups, "batches_shown", batches_shown)
    (errors, _), tables = derived(out, KeptRows(AuditStore(out), START + timedelta(days=8)))
    # What waits is looked for in the new batch alone; what is new in the batch that has it, and in the new one.
    assert opened == [[], ["b6"], ["b3"], ["b6"]]
    assert [row["media_id"] for row in errors.to_pylist()] == ["id-1.jpg", "id-3.jpg", "id-later.jpg"]
    monkeypatch.undo()
    assert tables["label_targets"].equals(derived(out)[1]["label_targets"])


def test_a_batch_that_is_gone_leaves_nothing_behind(tmp_path):
    for number, name in enumerate(("Luna", "Nyx", "Tom")):
        batch = AuditBuilder(
            tmp_path / "out", f"b{number}", batch_date=date(2026, 3, 1), finished=START + timedelta(number)
        )
        batch.predict("a.jpg", name)
        batch.predict(f"{number}.jpg", name)
        batch.write()
        derived(str(tmp_path / "out"), KeptRows(AuditStore(str(tmp_path / "out")), START + timedelta(days=number)))
    (tmp_path / "out" / "commits" / "b2.json").unlink()
    out = str(tmp_path / "out")
    _, tables = derived(out, KeptRows(AuditStore(out), START + timedelta(days=9)))
    assert tables["superseded"].to_pylist() == [{"batch_key": "b0", "media_id": "id-a.jpg"}]
    assert tables["superseded"].equals(derived(out)[1]["superseded"])
