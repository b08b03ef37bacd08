"""Several people and late answers: what one decides is written, what another one says is not shown too soon, nothing is lost."""

from __future__ import annotations

import pytest

from tests.audit.audit_builder import label
from tests.review.audit import client, label_rows, post, session_of


def waiting(caller, queue):
    answer = caller.get("/api/next", params={"queue": queue, "n": 100})
    assert answer.status_code == 200, answer.text
    return [one["target_id"] for one in answer.json()]


def test_one_of_the_two_who_disagree_decides_by_the_name_that_she_gave(out):
    ana, ben = client(out), client(out, "ben")
    one = waiting(ana, "next")[0]
    given = post(ana, one, "Luna", queue="next")
    post(ben, one, "Nyx", queue="next", replaces=given["import_id"])
    assert waiting(ana, "disagreements") == [one]
    decided = post(ana, one, "Luna", queue="disagreements")
    assert decided["written"] == 1 and waiting(ana, "disagreements") == []
    assert post(ana, one, "Luna", queue="disagreements") == {**decided, "written": 0}  # sent twice
    assert [(row["labelled_by"], row["individual_id"]) for row in label_rows(out)] == [
        ("ana", "Luna"), ("ben", "Nyx"), ("ana", "Luna"),
    ]  # fmt: skip


def test_who_keeps_to_a_name_after_another_answer_has_the_last_word_once(out):
    ana, ben = client(out), client(out, "ben")
    one = waiting(ana, "next")[0]
    first = post(ana, one, "Luna")
    other = post(ben, one, "Nyx", replaces=first["import_id"])
    assert post(ana, one, "Luna")["written"] == 0  # what a browser sends late is no decision
    kept = post(ana, one, "Luna", replaces=other["import_id"])
    assert kept["written"] == 1
    assert post(ana, one, "Luna", replaces=other["import_id"]) == {**kept, "written": 0}


def test_a_second_reader_of_todays_answers_is_not_given_them(out):
    ana, ben = client(out), client(out, "ben")
    before = set(waiting(ben, "second"))
    for one in waiting(ana, "next"):
        post(ana, one, "Luna", queue="next")
    fresh = [one for one in waiting(ben, "second") if one not in before]
    assert fresh

    def answers(caller, target_id):
        frames = caller.get("/api/event", params={"target_id": target_id}).json()["frames"]
        return [answer["who"] for frame in frames for target in frame["targets"] for answer in target["answers"]]

    assert answers(ben, fresh[0]) == [] and answers(ana, fresh[0]) == ["ana"]
    post(ben, fresh[0], "Luna", queue="second")
    assert answers(ben, fresh[0]) == ["ana", "ben"]


def test_an_answer_in_a_slice_that_the_newest_report_has_no_longer_is_kept(out):
    """A browser sends what it kept after a report was made, of which the slices are others."""
    ana = client(out)
    one, other = waiting(ana, "next")[:2]
    assert post(ana, one, "Luna", queue="slice:00112233445566ff")["written"] == 1
    (row,) = label_rows(out)
    assert (row["review_queue"], row["queue"], row["queue_probability"]) == ("slice:00112233445566ff", None, None)
    for queue in ("slice:", "slice:../x", "slices"):
        post(ana, other, "Luna", 400, queue=queue)


@pytest.mark.parametrize("origin", ["http://[", "http://[::1", "http://[v"])
def test_an_origin_that_is_no_address_is_refused(out, origin):
    answer = client(out).post("/api/undo", json={"import_id": "x"}, headers={"Origin": origin})
    assert answer.status_code == 403


def test_an_answer_that_came_while_a_picture_was_handed_out_is_a_conflict(out, monkeypatch):
    """Between the list of what waits and its pictures, which may take long to read."""
    ana, ben = client(out), client(out, "ben")
    session = session_of(ben)
    load, found = session.target, []

    def slow(target_id, place=None):
        if place is not None and not found:
            found.append(target_id)
            post(ana, target_id, "Luna", queue="next")
            session.refresh()
        return load(target_id, place)

    monkeypatch.setattr(session, "target", slow)
    waiting(ben, "next")
    assert post(ben, found[0], "Nyx", 409, queue="next")["other"]["name"] == "Luna"


def test_an_import_meanwhile_is_a_conflict_however_long_ago_it_was_labelled(out, tmp_path):
    ana = client(out)
    one = waiting(ana, "next")[0]
    label(out, tmp_path, {one.removeprefix("id-"): "Nyx"}, name="more.csv", labelled_by="cora")
    assert post(ana, one, "Luna", 409, queue="next")["other"]["who"] == "cora"
