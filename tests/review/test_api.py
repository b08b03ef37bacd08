"""The review's JSON interface: queues, answers, undo, conflicts, second readings, what changed."""

from __future__ import annotations

import errno
import itertools
import shutil
from pathlib import Path

import pytest

from scd_core.audit.query.connection import run_sql
from scd_core.audit.report.refresh import refresh_report_tables
from scd_core.audit.review.answers import read_answers
from scd_core.audit.review.given import GivenAnswers
from scd_core.errors import InputError, RunError
from scd_core.storage.disk import DiskStorage
from tests.audit.audit_builder import label
from tests.review.audit import client, label_rows, make_audit, post, session_of
from tests.services.wait import until

FIELDS = {
    "target_id", "media_id", "event_id", "predicted_id", "probability", "candidates", "reason", "inclusion_probability",
    "picture", "evidence",
}  # fmt: skip


def queues(caller):
    """Queue -> what waits in it and what was answered, once the pictures of slices are found."""
    caller.get("/api/queues")
    session = session_of(caller)
    until(
        lambda: all(session._queues.waiting(one) is not None for one in session._queues.slices), 60, "slices are found"
    )
    return {row["queue"]: (row["n_open"], row["n_done"]) for row in caller.get("/api/queues").json()}


def following(caller, queue="next", n=100):
    answer = caller.get("/api/next", params={"queue": queue, "n": n})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_what_is_next_is_the_list_to_label_with_its_probabilities(out):
    items = following(client(out))
    listed = run_sql(out, "SELECT target_id, queue, queue_probability FROM to_review ORDER BY place").fetchall()
    assert [(one["target_id"], one["reason"], one["inclusion_probability"]) for one in items] == listed[:100]
    assert all(one.keys() >= FIELDS for one in items)
    assert {one["candidates"][0]["individual_id"] == one["predicted_id"] for one in items} == {True}
    assert all(one["picture"].startswith("/picture/") for one in items)


def test_an_answer_is_a_row_with_who_what_was_shown_the_draw_and_the_time_it_took(out):
    ana = client(out)
    one = following(ana)[0]
    given = post(ana, one["target_id"], "Luna", seconds=2.5, flank="left", queue="next", shown=["Nyx", "Luna"])
    assert given["written"] == 1
    (row,) = label_rows(out)
    assert row["import_id"] == given["import_id"] and row["labelled_by"] == "ana" and row["media_id"] == one["media_id"]
    assert (row["individual_id"], row["state"], row["flank"]) == ("Luna", "named", "left")
    assert (row["queue"], row["queue_probability"]) == (one["reason"], one["inclusion_probability"])
    assert (row["review_queue"], row["shown"], row["answer_seconds"]) == ("next", ["Nyx", "Luna"], 2.5)
    assert queues(ana)["next"][1] == 1 and one["target_id"] not in {item["target_id"] for item in following(ana)}


@pytest.mark.parametrize(("name", "individual"), [("unknown", "unknown"), ("blank", None), ("unclear", None)])
def test_the_states_are_written_as_every_import_writes_them(out, name, individual):
    ana = client(out)
    post(ana, following(ana)[0]["target_id"], name)
    (row,) = label_rows(out)
    assert (row["state"], row["individual_id"]) == (name, individual)


def test_undo_is_a_new_row_and_the_picture_waits_again(out):
    ana = client(out)
    before, one = queues(ana)["next"], following(ana)[0]
    given = post(ana, one["target_id"], "Luna", queue="next")
    answer = ana.post("/api/undo", json={"import_id": given["import_id"]})
    assert answer.json() == {"import_id": given["import_id"], "undone": 1}
    assert queues(ana)["next"] == before and following(ana)[0]["target_id"] == one["target_id"]
    assert len(label_rows(out)) == 1 and len(label_rows(out, "undoes_import_id IS NOT NULL")) == 1
    for import_id in (given["import_id"], "none"):
        assert ana.post("/api/undo", json={"import_id": import_id}).status_code == 400
    again = post(ana, one["target_id"], "Luna", queue="next")
    assert again["written"] == 1 and again["import_id"] != given["import_id"]


def test_only_who_answered_takes_it_back(out):
    ana, ben = client(out), client(out, "ben")
    given = post(ana, following(ana)[0]["target_id"], "Luna")
    answer = ben.post("/api/undo", json={"import_id": given["import_id"]})
    assert answer.status_code == 400 and "ana" in answer.json()["detail"]


def test_an_answer_of_somebody_else_meanwhile_is_a_conflict_and_can_be_replaced(out):
    ana, ben = client(out), client(out, "ben")
    one = following(ana)[0]["target_id"]
    assert following(ben)[0]["target_id"] == one
    given = post(ana, one, "Luna")
    refused = post(ben, one, "Nyx", 409)
    assert refused["other"]["who"] == "ana" and refused["other"]["name"] == "Luna" and refused["target_id"] == one
    assert len(label_rows(out)) == 1
    assert post(ben, one, "Nyx", replaces=given["import_id"])["written"] == 1
    assert post(ana, one, "Luna", 200)["written"] == 0  # her own, sent once more
    assert post(ana, one, "Odin", 409)["other"]["name"] == "Nyx"


def test_two_tabs_of_one_person_and_an_answer_sent_twice_write_one_row(out):
    ana, tab = client(out), client(out)
    one = following(ana)[0]["target_id"]
    first = post(ana, one, "Luna")
    assert post(tab, one, "Luna") == {"import_id": first["import_id"], "written": 0}
    assert post(tab, one, "Nyx")["written"] == 1  # she thought again
    assert [row["individual_id"] for row in label_rows(out)] == ["Luna", "Nyx"]
    assert len(label_rows(out)) == 2


def test_two_people_see_each_others_answers_and_those_of_an_import(out, tmp_path):
    ana, ben = client(out), client(out, "ben")
    one, other = following(ben)[:2]
    post(ana, one["target_id"], "Luna", queue="next")
    label(out, tmp_path, {other["target_id"].removeprefix("id-"): "Luna"}, name="more.csv")
    left = {item["target_id"] for item in following(ben)}
    assert not left & {one["target_id"], other["target_id"]} and queues(ben)["next"][1] == 1


def test_a_second_reader_sees_no_name_and_agreement_and_disagreements_follow(out):
    ana, ben, cora = client(out), client(out, "ben"), client(out, "cora")
    assert "disagreements" not in queues(ben)
    items = following(ben, "second")
    assert len(items) >= 3 and not any(one["answers"] or one["said"] for one in items)
    for one in items:
        frames = ben.get("/api/event", params={"target_id": one["target_id"]}).json()["frames"]
        assert not any(target["answers"] for frame in frames for target in frame["targets"])
    assert ben.get("/api/agreement").json()["n"] == 0
    labels = dict(run_sql(out, "SELECT media_id, individual_id FROM labels").fetchall())
    names = [labels[one["media_id"]] for one in items]
    for number, (one, name) in enumerate(zip(items, names, strict=True)):
        post(ben, one["target_id"], name if number else "blank", queue="second")
    found = ben.get("/api/agreement").json()
    assert (found["n"], found["n_agree"]) == (len(items), len(items) - 1)
    assert found["low"] < found["kappa"] < found["high"] and found["pairs"][0]["second"] == "ben"
    assert following(ben, "second") == [] == following(cora, "second")
    (open_one,) = following(ana, "disagreements")
    assert open_one["target_id"] == items[0]["target_id"] and open_one["said"] == ["ben: blank", f"first: {names[0]}"]
    refresh_report_tables(out)
    assert [one["said"] for one in following(client(out), "disagreements")] == [["ben: blank", f"first: {names[0]}"]]
    assert following(cora, "disagreements")[0]["target_id"] == open_one["target_id"]
    post(cora, open_one["target_id"], names[0], queue="disagreements")
    assert following(ana, "disagreements") == [] == following(client(out), "disagreements")
    refresh_report_tables(out)
    assert following(client(out), "disagreements") == []


def test_a_share_of_new_answers_goes_to_a_second_reader(out):
    ana, ben = client(out), client(out, "ben")
    before = {one["target_id"] for one in following(ben, "second")}
    items = following(ana)
    for one in items:
        post(ana, one["target_id"], one["predicted_id"], queue="next")
    new = {one["target_id"] for one in following(ben, "second")} - before
    assert new < {one["target_id"] for one in items} and 1 <= len(new) <= len(items) / 3
    assert not {one["target_id"] for one in following(ana, "second")} & new


def test_pictures_of_a_slice_have_its_keys_and_no_label(out):
    ana = client(out)
    (queue,) = [one for one in queues(ana) if one.startswith("slice:")][:1]
    keys = dict(
        run_sql(
            out,
            f"SELECT unnest(map_entries(slice), recursive := true) FROM error_slices WHERE slice_id = '{queue[6:]}'",
        ).fetchall()
    )
    items = following(ana, queue)
    assert keys["camera_id"] == "C03" and items and {one["camera_id"] for one in items} == {"C03"}
    labelled = {name for (name,) in run_sql(out, "SELECT media_id FROM labels").fetchall()}
    assert not labelled & {one["media_id"] for one in items}
    assert all(one["slice_id"] == queue[6:] and one["inclusion_probability"] is None for one in items)


def test_changes_are_what_the_next_report_counts(out):
    ana = client(out)
    (queue,) = [one for one in queues(ana) if one.startswith("slice:")][:1]
    assert ana.get("/api/changes").json() == []
    items = following(ana, queue)
    for one in items:
        post(ana, one["target_id"], "Odin" if one["predicted_id"] == "Nyx" else one["predicted_id"], queue=queue)
    found = {one["slice_id"]: one for one in ana.get("/api/changes").json()}
    changed = found[queue[6:]]
    assert changed["after"]["n_events"] == changed["before"]["n_events"] + len(items)
    (x, n), (x_now, n_now) = (tuple(changed[when].values()) for when in ("before", "after"))
    assert changed["sentence"].startswith(f"{changed['title']}: from {x} of {n} to {x_now} of {n_now}")
    columns = "slice_id, n_errors, n_events"
    before = {row[0]: row[1:] for row in run_sql(out, f"SELECT {columns} FROM error_slices").fetchall()}
    refresh_report_tables(out)
    after = {row[0]: row[1:] for row in run_sql(out, f"SELECT {columns} FROM error_slices").fetchall()}
    for slice_id, one in found.items():
        assert tuple(one["before"].values()) == before[slice_id]
        assert slice_id not in after or tuple(one["after"].values()) == after[slice_id]
    assert queue[6:] in after


def test_changes_of_a_sitting_do_not_count_what_was_answered_before_it(out):
    first = client(out)
    (queue,) = [one for one in queues(first) if one.startswith("slice:")][:1]
    items = following(first, queue)
    post(first, items[0]["target_id"], "Odin")
    second = client(out)
    assert second.get("/api/changes").json() == []
    post(second, items[1]["target_id"], "Odin")
    (one,) = [one for one in second.get("/api/changes").json() if one["slice_id"] == queue[6:]]
    (total,) = [one for one in first.get("/api/changes").json() if one["slice_id"] == queue[6:]]
    assert one["after"] == total["after"] and one["before"]["n_events"] == total["before"]["n_events"] + 1


def test_several_animals_are_answered_one_by_one_and_a_missing_box_is_drawn(out):
    ana = client(out)
    event = ana.get("/api/event", params={"target_id": "id-boxes/0.jpg:0"}).json()
    (frame,) = event["frames"]
    assert [one["target_id"] for one in frame["targets"]] == ["id-boxes/0.jpg:0", "id-boxes/0.jpg:1"]
    assert frame["targets"][1]["box"] == pytest.approx([0.5, 0.2, 0.4, 0.5])
    post(ana, "id-boxes/0.jpg:0", "Odin")
    post(ana, "id-boxes/0.jpg:1", "Nyx", box=[0.52, 0.22, 0.4, 0.5])  # nearly the detector's
    post(ana, "id-boxes/0.jpg:1", "Tara", box=[0.45, 0.75, 0.1, 0.2])
    rows = label_rows(out)
    assert [row["detection_id"] for row in rows[:2]] == ["0", "1"]
    assert rows[2]["detection_id"].startswith("drawn-") and rows[2]["bbox_y_min"] == pytest.approx(0.75)
    errors, _, _ = refresh_report_tables(out)
    found = {row["target_id"]: row["true_id"] for row in errors.to_pylist() if "boxes/0" in row["media_id"]}
    assert found == {"id-boxes/0.jpg:0": "Odin", "id-boxes/0.jpg:1": "Nyx"}


def test_the_list_to_label_goes_on_where_the_reports_comes_to_its_end(audit, tmp_path, monkeypatch):
    monkeypatch.setattr("scd_core.audit.review.kept._LIMIT", 5)
    out = str(shutil.copytree(audit, tmp_path / "short", ignore=shutil.ignore_patterns("review")))
    ana = client(out)
    first = following(ana)
    assert len(first) == 5 and queues(ana)["next"] == (5, 0)
    for one in first:
        post(ana, one["target_id"], one["predicted_id"], queue="next")
    second = following(ana, n=3)
    listed = run_sql(out, "SELECT target_id, queue_probability FROM to_review ORDER BY place").fetchall()
    assert [(one["target_id"], one["inclusion_probability"]) for one in second] == listed[:3]
    assert not {one["target_id"] for one in second} & {one["target_id"] for one in first}


def test_many_items_are_read_by_batch_and_are_the_same_as_one_by_one(out):
    together = following(client(out), n=20)
    alone = client(out)
    for one in together[:5]:
        event = alone.get("/api/event", params={"target_id": one["target_id"]}).json()
        assert event["event_id"] == one["event_id"]
        assert one["target_id"] in {target["target_id"] for frame in event["frames"] for target in frame["targets"]}
    three = alone.get("/api/event", params={"target_id": "id-event/1.jpg"}).json()
    assert [frame["media_id"] for frame in three["frames"]] == [f"id-event/{number}.jpg" for number in range(3)]


def test_candidates_come_group_by_group(out):
    items = following(client(out), "candidates")
    assert [(one["group"], one["predicted_id"]) for one in items] == [("candidate-1", "unknown")] * 3
    assert items[0]["reason"] == "3 pictures look like one new individual"


def test_pairs_are_drawn_pictures_beside_a_labelled_one_of_the_same_name(out):
    ana = client(out)
    items = following(ana, "pairs")
    assert items and {one["reason"] for one in items} == {"small_margin"}
    assert all(one["inclusion_probability"] for one in items)
    shown = ana.get("/api/references", params={"individual_id": items[0]["predicted_id"], "n": 2}).json()
    names = dict(run_sql(out, "SELECT media_id, individual_id FROM labels").fetchall())
    assert [names[one["media_id"]] for one in shown] == [items[0]["predicted_id"]] * 2


def test_names_of_models_and_answers_are_known(out):
    ana = client(out)
    assert ana.get("/api/names").json() == ["Luna", "Nyx", "Odin", "Tara"]
    post(ana, following(ana)[0]["target_id"], "Ixchel")
    assert "Ixchel" in client(out).get("/api/names").json()


def test_a_target_that_no_queue_holds_is_answered_too(out):
    """After a restart a page may send what an earlier server gave it."""
    labelled = run_sql(out, "SELECT media_id FROM labels LIMIT 1").fetchall()[0][0]
    assert post(client(out), labelled, "Nyx")["written"] == 1
    assert post(client(out), "id-none", "Nyx", 400)["detail"].endswith("OUT holds none of this name")


def test_the_queues_of_the_report_are_kept_and_made_anew_where_they_cannot_be_read(out, monkeypatch):
    (kept,) = Path(out).joinpath("review/queues").glob("*.parquet") if following(client(out)) else [None]
    items = following(client(out))
    monkeypatch.setattr("scd_core.audit.review.kept.open_tables", None)
    assert following(client(out)) == items  # nothing is derived
    monkeypatch.undo()
    kept.write_bytes(b"PAR1 damaged")
    assert following(client(out)) == items


def test_a_full_disk_is_507_and_the_answer_can_be_sent_again(out, monkeypatch):
    ana = client(out)
    one = following(ana)[0]["target_id"]
    is_full = True

    def create(self, path, data, durable, original=DiskStorage._create):
        if is_full:
            raise OSError(errno.ENOSPC, "No space left on device")
        return original(self, path, data, durable)

    monkeypatch.setattr(DiskStorage, "_create", create)
    refused = post(ana, one, "Luna", 507)
    assert "disk is full" in refused["detail"] and "\n" not in refused["detail"]
    assert label_rows(out) == [] and one in {item["target_id"] for item in following(ana)}
    is_full = False
    assert post(ana, one, "Luna")["written"] == 1 and len(label_rows(out)) == 1


def test_all_answers_of_a_request_or_none(out):
    ana = client(out)
    one, other = (item["target_id"] for item in following(ana)[:2])
    content = [{"target_id": one, "state": "blank"}, {"target_id": "id-none", "state": "blank"}]
    assert ana.post("/api/labels", json=content).status_code == 400 and label_rows(out) == []
    content[1]["target_id"] = other
    assert ana.post("/api/labels", json=content).json()["written"] == 2
    assert len({row["import_id"] for row in label_rows(out)}) == 1


def test_a_storage_that_does_not_answer_is_503_and_nothing_is_lost(out, monkeypatch):
    ana = client(out)
    one = following(ana)[0]["target_id"]

    def refuse(*_):
        raise RunError("s3://cards: did not answer within 30 s")

    monkeypatch.setattr(GivenAnswers, "poll", refuse)
    assert post(ana, one, "Luna", 503)["detail"] == "s3://cards: did not answer within 30 s"
    assert ana.get("/api/next").status_code == ana.post("/api/undo", json={"import_id": "x"}).status_code == 503
    monkeypatch.undo()
    assert post(ana, one, "Luna")["written"] == 1


def test_the_review_of_an_audit_on_s3(bucket, tmp_path):
    out = make_audit(tmp_path, f"s3://{bucket}/audit")
    ana, ben = client(out), client(out, "ben")
    (queue,) = [one for one in queues(ana) if one.startswith("slice:")][:1]
    for one in following(ana, queue)[:3]:
        post(ana, one["target_id"], "Odin", queue=queue)
    one = following(ben)[0]["target_id"]
    given = post(ana, one, "Luna", queue="next")
    assert (
        one not in {item["target_id"] for item in following(ben)}
        and post(ben, one, "Nyx", 409)["other"]["name"] == "Luna"
    )
    assert ana.post("/api/undo", json={"import_id": given["import_id"]}).status_code == 200
    assert following(ben)[0]["target_id"] == one
    assert {change["slice_id"] for change in ana.get("/api/changes").json()} >= {queue[6:]}
    assert len(label_rows(out)) == 4


ODD = [None, True, -1, 1e999, "", "  ", "a\x00b", "a\u202eb", "x" * 500, [], {}, [1], {"a": 1}]


def test_what_is_no_answer_is_refused_with_one_line():
    good = {"target_id": "t", "individual_id": "Luna"}
    assert read_answers([good])[0].name == "Luna"
    bad = [None, 3, "x", {}, [], [3], [[]], [{}], [good, good], [good | {"state": "blank"}], [good | {"evil": 1}]]
    bad += [[{"target_id": "t", "state": state}] for state in ("named", "none", 3, [], {})]
    bad += [
        [good | {"box": box}]
        for box in ([], [0, 0, 1], [0, 0, 0, 1], [0.5, 0, 0.6, 1], ["a"] * 4, [0, 0, float("nan"), 1])
    ]
    optional = {"seconds", "flank", "box", "queue", "shown", "replaces"}
    for field, value in itertools.product(("target_id", "individual_id", *optional), ODD):
        is_fine = (value is None and field in optional) or (field == "shown" and value == [])
        if not is_fine:
            bad.append([good | {field: value}])
    bad.append([{"target_id": "t", "state": "blank", "box": [0, 0, 1, 1]}])
    for content in bad:
        with pytest.raises(InputError) as refused:
            read_answers(content)
        assert "\n" not in str(refused.value) and len(str(refused.value)) < 400
