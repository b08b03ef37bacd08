"""What to label next: drawn from strata, one picture a visit, so that any first part gives honest rates."""

from __future__ import annotations

import csv
import io
from datetime import datetime, timedelta

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from deployments.cli.answers import print_rows
from scd_core.audit import connect, read_table
from scd_core.audit.errors.derive import derive_errors
from scd_core.audit.labels.importing import import_labels
from scd_core.audit.query.connection import open_tables
from scd_core.audit.queue.draw import draw_queue
from scd_core.errors import InputError
from scd_core.inputs.labels import read_labels
from scd_core.tables.schema import TABLES, table_from_rows
from tests.audit.audit_builder import AuditBuilder, minutes, write_csv

START = datetime(2026, 3, 1)
STAMP = {"run_id": "run", "batch_key": "b1", "model_digest": "m1"}


class Tables:
    """Rows of an audit in the making, kept in memory."""

    def __init__(self, config: str | None = None) -> None:
        self.rows: dict[str, list[dict]] = {table: [] for table in TABLES}
        self.rows["runs"].append({**STAMP, "finished_at": START, "config": config})

    def picture(
        self, name: str, minute: float | None, *, reasons: tuple[str, ...] = (), called: str = "Nyx", **more
    ) -> str:
        at = None if minute is None else START + timedelta(minutes=minute)
        key = {**STAMP, "media_id": name, "event_id": more.pop("event", f"e-{name}")}
        camera = more.pop("camera", "C01")
        batch = more.pop("batch", None)
        if batch:
            key |= {"batch_key": batch}
        self.rows["media"].append(
            key
            | {
                "file": f"{name}.jpg",
                "uri": f"s3://c/{name}.jpg",
                "camera_id": camera,
                "captured_at": at,
                "status": "ok",
            }
            | {"etag": "e", "size_bytes": 1, "last_modified_at": START}
        )
        prediction = {
            "target_id": name,
            "prediction_status": "ok",
            "predicted_id": called,
            "event_predicted_id": called,
            "flag_reasons": list(reasons),
            "is_flagged": bool(reasons),
            "is_control": "control" in reasons,
            "is_selected": bool(reasons),
        }
        self.rows["predictions"].append(key | prediction | more)
        return name

    def label(self, media: str, name: str, **more) -> None:
        row = {"import_id": "i1", "label_id": media, "file": media, "media_id": media, "individual_id": name}
        self.rows["labels"].append(row | {"imported_at": START, "labelled_at": START} | more)

    def open(self) -> duckdb.DuckDBPyConnection:
        connection = duckdb.connect(config={"python_enable_replacements": False, "threads": 1})
        for table, rows in self.rows.items():
            connection.register("rows", table_from_rows(table, rows))
            connection.execute(f'CREATE TABLE "{table}" AS SELECT * FROM rows')
            connection.unregister("rows")
        return connection


def drawn(tables: Tables, limit: int = 1000, **more) -> list[dict]:
    with tables.open() as connection:
        return draw_queue(connection, limit, **more).to_pylist()


def many(n: int = 60) -> Tables:
    """Visits two hours apart: one in three flagged, for two reasons."""
    tables = Tables()
    for visit in range(n):
        reasons = [(), ("low_probability",), (), ("control",), ("unknown", "small_margin"), ()][visit % 6]
        tables.picture(f"p{visit:03d}", 120 * visit, reasons=reasons)
    return tables


def test_a_visit_stands_once_and_what_is_near_a_label_not_at_all() -> None:
    tables = Tables()
    tables.picture("a1", 0), tables.picture("a2", 20), tables.picture("a3", 50)  # one visit: gaps of 20 and 30 minutes
    tables.picture("b1", 81)  # 31 minutes later
    tables.picture("c1", 10, camera="C02"), tables.picture("d1", 10, called="Tom")
    tables.picture("e1", 500), tables.picture("e2", 529)
    tables.label("e1", "Luna")
    tables.picture("f1", 505, called="Luna")  # of the labelled visit, by its true name
    found = [row["target_id"] for row in drawn(tables)]
    assert len({*found} & {"a1", "a2", "a3"}) == 1
    assert sorted({*found} - {"a1", "a2", "a3"}) == ["b1", "c1", "d1"] and len(found) == 4


def test_an_undone_label_leaves_its_visit_on_the_list() -> None:
    tables = Tables()
    tables.picture("a1", 0)
    tables.label("a1", "Luna")
    assert not drawn(tables)
    tables.rows["labels"].append(
        {"import_id": "i2", "label_id": "i2", "file": "", "imported_at": START, "undoes_import_id": "i1"}
    )
    assert [row["target_id"] for row in drawn(tables)] == ["a1"]


def test_pictures_without_a_time_stand_by_themselves_and_those_without_a_camera_by_their_event() -> None:
    tables = Tables()
    for name in ("u1", "u2"):
        tables.picture(name, None, event="untimed-folder")
    for name in ("n1", "n2"):
        tables.picture(name, 0, camera=None, event="e-n")
    found = {row["target_id"] for row in drawn(tables)}
    assert {"u1", "u2"} < found and len(found & {"n1", "n2"}) == 1


def test_only_the_newest_run_over_a_medium_is_on_the_list() -> None:
    tables = Tables()
    tables.rows["runs"].append({**STAMP, "batch_key": "b2", "finished_at": START + timedelta(days=1)})
    tables.picture("a1", 0, reasons=("unknown",))
    tables.picture("a1", 0, batch="b2")
    (row,) = drawn(tables)
    assert (row["batch_key"], row["queue"]) == ("b2", "unflagged")


def test_every_first_part_has_two_flagged_for_one_unflagged_and_each_reason() -> None:
    tables = many(180)
    rows = drawn(tables)
    assert [row["place"] for row in rows] == list(range(1, 181))
    for n in (3, 12, 30, 60):
        queues = [row["queue"] for row in rows[:n]]
        assert queues.count("unflagged") == n // 3
        assert abs(queues.count("unknown") - queues.count("low_probability")) <= 1
    assert {row["queue"] for row in rows} == {"unflagged", "unknown", "low_probability"}, "a control is unflagged"


def test_the_probability_is_the_share_of_the_stratum_that_stands_in_the_first_part() -> None:
    """Kolmogorov's distance between the probabilities and the shares; 1.95 / sqrt(n) is its 99.9 % quantile."""
    rows = drawn(many(900))
    for queue in ("unflagged", "unknown", "low_probability"):
        given = np.array([row["queue_probability"] for row in rows if row["queue"] == queue])
        assert (np.diff(given) > 0).all() and given[0] > 0 and given[-1] <= 1
        assert np.abs(given - np.arange(1, given.size + 1) / given.size).max() < 1.95 / given.size**0.5


def test_reasons_with_more_errors_among_the_labels_get_more_places() -> None:
    tables = many(180)
    for n in range(40):
        error = {"target_id": f"known{n}", "media_id": f"known{n}", "is_labelled": True, "is_current": True}
        error |= {"stratum": "unknown" if n % 2 else "low_probability", "error_type": "shift" if n % 2 else "correct"}
        tables.rows["errors"].append({**STAMP, "report_id": "r", "true_id": "Tom", **error})
    tables.rows["errors"] = [{k: v for k, v in row.items() if k != "run_id"} for row in tables.rows["errors"]]
    queues = [row["queue"] for row in drawn(tables, 30)]
    assert queues.count("unflagged") == 10
    assert queues.count("unknown") in (16, 17), "sqrt(21 / 22) to sqrt(1 / 22), of 20 places"


def test_long_visits_do_not_make_the_list_short() -> None:
    tables = Tables()
    for visit in range(60):
        for frame in range(50):
            tables.picture(f"v{visit:02d}-{frame:02d}", 200 * visit + frame)
    with tables.open() as connection:
        found = draw_queue(connection, 20).to_pylist()
        query = "SELECT target_id FROM label_queue(NULL, NULL, 1000000) ORDER BY place LIMIT 20"
        assert [(row["target_id"],) for row in found] == connection.execute(query).fetchall()
    assert len({row["target_id"][:3] for row in found}) == 20


def test_the_list_is_the_same_when_drawn_again_and_another_with_another_seed() -> None:
    tables = many()
    first = [row["target_id"] for row in drawn(tables, 30, seed=1)]
    assert first == [row["target_id"] for row in drawn(tables, 30, seed=1)]
    assert first != [row["target_id"] for row in drawn(tables, 30, seed=2)]
    stored = many()
    stored.rows["runs"][0]["config"] = '{"triage": {"seed": 1}, "slices": {"visit_minutes": 200}}'
    assert [row["target_id"] for row in drawn(stored, 30, visit_minutes=30)] == first
    assert len(drawn(stored)) == 1, "the run's gap of 200 minutes makes one visit of all"


def test_labelled_ones_leave_the_others_in_their_order() -> None:
    tables = many()
    before = [row["target_id"] for row in drawn(tables) if row["queue"] == "unflagged"]
    for name in before[:5]:
        tables.label(name, "Nyx")
    assert [row["target_id"] for row in drawn(tables) if row["queue"] == "unflagged"] == before[5:]


def test_every_visit_of_a_stratum_and_every_picture_of_a_visit_is_as_likely_to_come_first() -> None:
    """Chi-squared by hand: 200 seeds, ten visits of one to three pictures; 99.9 % quantiles from a table."""
    tables = Tables()
    for visit in range(10):
        for frame in range(1 + visit % 3):
            tables.picture(f"v{visit}-{frame}", 200 * visit + frame)
    by_visit, by_frame = dict.fromkeys(range(10), 0), dict.fromkeys(range(3), 0)
    with tables.open() as connection:
        for seed in range(200):
            rows = draw_queue(connection, 10, seed=seed).to_pylist()
            assert len({row["target_id"][:2] for row in rows}) == 10
            by_visit[int(rows[0]["target_id"][1])] += 1
            by_frame[next(int(row["target_id"][3]) for row in rows if row["target_id"].startswith("v2"))] += 1
    assert sum((n - 20) ** 2 / 20 for n in by_visit.values()) < 27.9  # 9 degrees of freedom
    assert sum((n - 200 / 3) ** 2 / (200 / 3) for n in by_frame.values()) < 13.8  # 2


class Flagged:
    """A world of visits, a sixth of them misnamed: what is wrong is flagged more often, and with the smaller margin."""

    def __init__(self, seed: int = 5, n_visits: int = 1200) -> None:
        rng = np.random.default_rng(seed)
        self.tables, self.wrong, self.flagged, self.frames, self.margin = Tables(), [], [], [], []
        for visit in range(n_visits):
            is_misnamed = rng.random() < 1 / 6
            for event in range(rng.integers(1, 4)):
                n_frames = int(rng.integers(1, 5))
                for frame in range(n_frames):
                    is_wrong = is_misnamed and rng.random() < 0.85
                    is_flagged = bool(rng.random() < (0.5 if is_wrong else 0.08))
                    reason = rng.choice(["low_probability", "small_margin"])
                    name, time = f"{visit}-{event}-{frame}", 300 * visit + 10 * event + 0.05 * frame
                    called, key = "Tom" if is_misnamed else "Nyx", f"e{visit}-{event}"
                    self.tables.picture(name, time, reasons=(reason,) * is_flagged, called=called, event=key)
                    self.wrong.append(is_wrong)
                    self.flagged.append(reason if is_flagged else "unflagged")
                    self.frames.append(n_frames)
                    self.margin.append(rng.beta(2, 4) if is_wrong else rng.beta(3, 2))
        self.wrong, self.flagged, self.frames = np.array(self.wrong), np.array(self.flagged), np.array(self.frames)
        self.margin, self.place = np.array(self.margin), {}
        for place, row in enumerate(self.tables.rows["predictions"]):
            self.place[row["target_id"]] = place

    @property
    def rate(self) -> float:
        """True share of the events that err."""
        return float((self.wrong / self.frames).sum() / (1 / self.frames).sum())

    def estimate(self, labelled: np.ndarray) -> float:
        """Rate of the labelled rows, each weighted by the rows of its stratum for each labelled one, and by its event."""
        weight = np.zeros(labelled.size)
        for stratum in set(self.flagged):
            inside = self.flagged[labelled] == stratum
            weight[inside] = (self.flagged == stratum).sum() / max(inside.sum(), 1) / self.frames[labelled][inside]
        return float((weight * self.wrong[labelled]).sum() / weight.sum())


def test_any_first_part_gives_a_rate_without_bias_and_the_most_doubtful_first_does_not() -> None:
    world = Flagged()
    estimates: dict[int, list[float]] = {30: [], 100: [], 300: []}
    with world.tables.open() as connection:
        for seed in range(40):
            listed = draw_queue(connection, 300, seed=seed)["target_id"].to_pylist()
            for n, found in estimates.items():
                found.append(world.estimate(np.array([world.place[target] for target in listed[:n]])))
    for n, found in estimates.items():
        bias, error = np.mean(found) - world.rate, np.std(found) / len(found) ** 0.5
        assert abs(bias) < max(3 * error, 0.005), f"{n} labels: {bias:+.3f}, standard error {error:.3f}"
    # The order before: controls and flagged pictures by turns, those with the smallest margin first.
    doubtful = np.flatnonzero(world.flagged != "unflagged")
    doubtful = doubtful[np.argsort(world.margin[doubtful])]
    others = np.random.default_rng(0).permutation(np.flatnonzero(world.flagged == "unflagged"))
    for n in estimates:
        assert world.estimate(np.concatenate([doubtful[: n // 2], others[: n // 2]])) - world.rate > 0.03


def test_the_weights_of_errors_are_the_shares_that_the_list_needs() -> None:
    """The estimate of the test above, by `event_weight` of the derived rows."""
    world = Flagged(n_visits=300)
    with world.tables.open() as connection:
        listed = draw_queue(connection, 60)["target_id"].to_pylist()
    labelled = np.array([world.place[target] for target in listed])
    for target, wrong in zip(listed, world.wrong[labelled], strict=True):
        called = world.tables.rows["predictions"][world.place[target]]["predicted_id"]
        world.tables.label(target, "Mara" if wrong else called)
    world.tables.rows["runs"][0]["individuals"] = ["Nyx", "Tom", "Mara"]
    with world.tables.open() as connection:
        rows = derive_errors(connection).to_pandas()
    rows = rows[rows["is_labelled"]]
    assert len(rows) == 60 and set(rows["stratum"]) == set(world.flagged[labelled])
    rate = rows["event_weight"][rows["error_type"] != "correct"].sum() / rows["event_weight"].sum()
    assert rate == pytest.approx(world.estimate(labelled))


def test_an_empty_audit_has_an_empty_list() -> None:
    with Tables().open() as connection:
        found = draw_queue(connection, 10)
    assert isinstance(found, pa.Table) and not len(found)


@pytest.fixture
def out(tmp_path) -> str:
    """An audit of thirty visits, a third of them flagged."""
    builder = AuditBuilder(tmp_path / "out", individuals=["Luna", "Nyx"])
    for n in range(30):
        reasons = [] if n % 3 else ["small_margin"]
        builder.predict(f"C01/{n}.jpg", "Nyx", at=minutes(90 * n), flag_reasons=reasons, is_flagged=bool(reasons))
    return builder.write()


def test_the_view_is_the_list_that_the_function_draws(out: str) -> None:
    with connect(out) as audit, open_tables(out) as tables:
        view = audit.execute("SELECT place, target_id, queue, queue_probability FROM to_review LIMIT 12").fetchall()
        rows = draw_queue(tables, 12).to_pylist()
    assert view == [(row["place"], row["target_id"], row["queue"], row["queue_probability"]) for row in rows]
    assert [queue for _, _, queue, _ in view] == ["small_margin", "unflagged", "small_margin"] * 4


def test_the_list_as_a_file_is_read_back_as_labels(out: str, tmp_path, capsys) -> None:
    with connect(out) as audit:
        print_rows(audit.sql("SELECT * FROM to_review LIMIT 6").to_arrow_table(), "csv")
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert len(rows) == 6 and not any(row["individual_id"] for row in rows)
    for row, name in zip(rows, ["Luna", "", "Nyx", "blank", "unknown", ""], strict=True):
        row["individual_id"] = name
    result = import_labels(out, write_csv(tmp_path / "next.csv", rows))
    assert (result.n_rows, result.n_known_media) == (4, 4)
    assert "2 rows without individual_id" in result.counts.line()
    table = read_table(out, "labels").set_index("file")
    for row in (row for row in rows if row["individual_id"]):
        assert table.loc[row["file"], "queue"] == row["queue"]
        assert table.loc[row["file"], "queue_probability"] == pytest.approx(float(row["queue_probability"]))
    with connect(out) as audit:
        left = {file for (file,) in audit.execute("SELECT file FROM to_review").fetchall()}
    assert len(left) == 26 and left.isdisjoint(table.index), "what was labelled since the last report is off the list"


def test_a_label_that_was_on_the_list_repeats_one_that_was_not(out: str, tmp_path) -> None:
    row = {"file": "C01/0.jpg", "individual_id": "Luna"}
    listed = row | {"queue": "small_margin", "queue_probability": "0.1"}
    assert import_labels(out, write_csv(tmp_path / "a.csv", [row])).n_rows == 1
    assert import_labels(out, write_csv(tmp_path / "b.csv", [listed])).n_rows == 0


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"queue": "first come", "queue_probability": "0.5"}, "line 2: queue 'first come'"),
        ({"queue": "unflagged", "queue_probability": "often"}, "line 2: queue_probability 'often'"),
        ({"queue": "unflagged", "queue_probability": "1.5"}, "line 2: queue_probability '1.5'"),
        ({"queue": "unflagged", "probability": "0.5"}, "has a column of probabilities"),
    ],
)
def test_a_list_that_cannot_be_is_refused(tmp_path, columns: dict[str, str], message: str) -> None:
    file = write_csv(tmp_path / "l.csv", [{"file": "a.jpg", "individual_id": "Luna", **columns}])
    with pytest.raises(InputError, match=message):
        read_labels(file)


def test_a_table_with_a_queue_of_its_own_is_an_ordinary_one(tmp_path) -> None:
    file = write_csv(tmp_path / "l.csv", [{"file": "a.jpg", "individual_id": "Luna", "queue": "Monday"}])
    (label,) = read_labels(file).labels
    assert label.queue is None and label.queue_probability is None
