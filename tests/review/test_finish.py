"""The end of a sitting: the tables and the page that Done writes, what it says, and that the review goes on behind it."""

from __future__ import annotations

import shutil
import unicodedata

import pyarrow.compute as pc

from scd_core.audit.query.connection import run_sql
from scd_core.audit.report.refresh import refresh_report_tables
from tests.review.audit import client, label_rows, post

OWN = ["report_id", "report_date", "n_reports"]


def done(caller):
    answer = caller.post("/api/done", json={})
    assert answer.status_code == 200, answer.text
    return answer.json()


def following(caller, queue="next", n=100):
    return caller.get("/api/next", params={"queue": queue, "n": n}).json()


def slice_queue(caller):
    return next(one["queue"] for one in caller.get("/api/queues").json() if one["queue"].startswith("slice:"))


def rows_of(table):
    columns = [name for name in table.column_names if name not in OWN]
    return table.select(columns).to_pylist()


def test_done_writes_what_a_report_from_nothing_gives(out, tmp_path):
    ana = client(out)
    queue = slice_queue(ana)
    for one in following(ana, queue):
        post(ana, one["target_id"], "Odin" if one["predicted_id"] == "Nyx" else one["predicted_id"], queue=queue)
    found = done(ana)
    assert found["is_new"] and found["changes"] == ana.get("/api/changes").json() != []
    page = (tmp_path / "out/report/index.html").read_text("utf-8")
    assert "<html" in page
    fresh = shutil.copytree(out, tmp_path / "fresh", ignore=shutil.ignore_patterns("state", "errors", "error_slices"))
    errors, slices, _ = refresh_report_tables(str(fresh))
    written = run_sql(out, "SELECT * FROM errors ORDER BY target_id").to_arrow_table()
    places = pc.sort_indices(errors["target_id"])
    assert rows_of(written.select(errors.column_names)) == rows_of(errors.take(places))
    changed = {one["slice_id"]: one["after"] for one in found["changes"]}
    counts = {row["slice_id"]: {"n_errors": row["n_errors"], "n_events": row["n_events"]} for row in slices.to_pylist()}
    assert changed and all(counts.get(name, after) == after for name, after in changed.items())


def test_done_without_answers_writes_nothing_and_the_review_goes_on_after_it(out):
    ana = client(out)
    n = len(label_rows(out, "true"))
    first = done(ana)
    assert not first["is_new"] and first["changes"] == []
    one, two = following(ana)[:2]
    post(ana, one["target_id"], "Luna", queue="next")
    assert done(ana)["is_new"] and not done(ana)["is_new"]
    assert one["target_id"] not in {item["target_id"] for item in following(ana)}
    given = post(ana, two["target_id"], "Luna", queue="next")
    assert ana.post("/api/undo", json={"import_id": given["import_id"]}).status_code == 200
    assert done(ana)["is_new"] and len(label_rows(out, "true")) == n + 3


def test_undo_after_the_page_was_opened_again(out):
    ana, ben = client(out), client(out, "ben")
    one, two = following(ana)[:2]
    post(ana, one["target_id"], "Luna", queue="next")
    last = post(ana, two["target_id"], "Luna", queue="next")
    post(ben, following(ben)[0]["target_id"], "Nyx", queue="next")
    again = client(out)
    assert again.get("/page/last").json() == {"import_id": last["import_id"], "target_id": two["target_id"]}
    again.post("/api/undo", json={"import_id": last["import_id"]})
    assert again.get("/page/last").json()["target_id"] == one["target_id"]
    assert client(out, "cem").get("/page/last").json() == {}


def test_the_list_goes_on_for_who_opens_a_review_after_all_of_it_was_answered(audit, tmp_path, monkeypatch):
    monkeypatch.setattr("scd_core.audit.review.kept._LIMIT", 5)
    out = str(shutil.copytree(audit, tmp_path / "short", ignore=shutil.ignore_patterns("review")))
    ana = client(out)
    first = following(ana)
    for one in first:
        post(ana, one["target_id"], one["predicted_id"], queue="next")
    second = following(client(out))
    assert len(second) == 5 and not {one["target_id"] for one in second} & {one["target_id"] for one in first}


def test_a_name_is_the_same_however_its_letters_are_composed(out):
    ana = client(out)
    one, two = following(ana)[:2]
    post(ana, one["target_id"], unicodedata.normalize("NFC", "Zoë"))
    post(ana, two["target_id"], unicodedata.normalize("NFD", "Zoë"))
    assert {row["individual_id"] for row in label_rows(out)} == {unicodedata.normalize("NFC", "Zoë")}


def test_a_source_that_is_no_address_is_refused_at_once(out, trapaudit):
    found = trapaudit("review", out, "--no-browser", "--source", "nothing://there")
    assert found.code == 2 and "nothing" in found.err and found.err.count("\n") == 1
