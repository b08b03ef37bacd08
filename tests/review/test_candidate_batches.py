"""The queue of candidates opens the batches alone that may have one, and has the places of a look at all batches."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime

import pytest

from scd_core.audit.errors.superseded import create_superseded
from scd_core.audit.query.connection import open_tables
from scd_core.audit.review import kept
from scd_core.label_names import ReviewQueue
from scd_core.tables.schema import SCHEMA_DIGEST
from scd_core.tables.store import AuditStore
from tests.audit.audit_builder import AuditBuilder

ROW = {"version": 1, "change": "new", "change_reason": "alike", "embedding_space": "a" * 16}


def write(out, number, pictures, has_table=True):
    """A batch of this version in which some pictures, each with a candidate or None, are not known."""
    batch = AuditBuilder(
        out, f"b{number}", "m1", date(2026, 3, number), datetime(2026, 3, number, 9, tzinfo=UTC), ["Luna"]
    )
    for place, (file, candidate) in enumerate(pictures):
        batch.predict(file, "unknown", candidate_id=candidate, review_rank=place)
        if candidate and has_table:
            row = batch.stamp | ROW | {"candidate_id": candidate, "target_id": f"id-{file}"}
            batch.tables.setdefault("candidates", []).append(row)
    batch.write()
    store, commit = AuditStore(str(out)), f"commits/b{number}.json"
    content = json.loads(store.get_file(commit))
    if has_table:
        store.put_file(commit, json.dumps(content | {"schema_digest": SCHEMA_DIGEST}).encode())
    return str(out)


def queue(out, monkeypatch, knows_replaced=True):
    """Places, and the batches that were shown alone; None where all were."""
    shown = []
    own = kept.batches_shown
    with monkeypatch.context() as patch, open_tables(out) as connection:
        patch.setattr(
            kept, "batches_shown", lambda connection, keys: own(connection, shown.append(sorted(keys)) or keys)
        )
        if knows_replaced:
            create_superseded(connection)
        places = kept._rows(connection, ReviewQueue.CANDIDATES)["target_id"].to_pylist()
    return places, shown[0] if shown else None


PICTURES = [("a.jpg", "one"), ("b.jpg", "one"), ("c.jpg", None)]


def test_batches_without_candidates_stay_closed(tmp_path, monkeypatch):
    out = write(tmp_path / "out", 1, PICTURES)
    write(tmp_path / "out", 2, [("d.jpg", None)])
    assert queue(out, monkeypatch) == (["id-a.jpg", "id-b.jpg"], ["b1"])
    assert queue(out, monkeypatch, knows_replaced=False) == (["id-a.jpg", "id-b.jpg"], None)


def test_without_candidates_no_batch_is_opened(tmp_path, monkeypatch):
    out = write(tmp_path / "out", 1, [("c.jpg", None)])
    assert queue(out, monkeypatch) == ([], [])


@pytest.mark.parametrize("change", ["named again", "older version"])
def test_where_any_batch_may_count_all_are_looked_at(tmp_path, monkeypatch, change):
    out = write(tmp_path / "out", 1, PICTURES)
    if change == "named again":  # by a run that puts it to no candidate
        write(tmp_path / "out", 2, [("b.jpg", None), ("d.jpg", None)])
        places = []
    else:
        write(tmp_path / "out", 2, [("d.jpg", "one")], has_table=False)
        places = ["id-a.jpg", "id-b.jpg", "id-d.jpg"]
    found, shown = queue(out, monkeypatch)
    assert (sorted(found), shown) == (places, None)
    assert found == queue(out, monkeypatch, knows_replaced=False)[0]
