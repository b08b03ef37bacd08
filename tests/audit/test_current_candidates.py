"""The view `current_candidates` and the rule in Python agree on whose each unknown picture is."""

from __future__ import annotations

from datetime import timedelta

import numpy as np

from scd_core.audit import connect
from scd_core.audit.individuals.grouped import read_candidates
from scd_core.identify.standing import replay
from tests.audit.audit_builder import START, AuditBuilder

SPACE = "a" * 16


def test_after_any_merges_and_splits_the_view_is_the_rule(tmp_path) -> None:
    draw = np.random.default_rng(3)
    audit = AuditBuilder(tmp_path / "out", individuals=["Luna", "Nyx"])
    names = [f"c{n}" for n in range(8)]
    rows = []
    for place in range(40):
        name = names[place % 8]
        target = audit.predict(
            f"{place}.jpg", "unknown", at=START + timedelta(days=place), candidate_id=name, review_rank=1
        )
        media = audit.tables["predictions"][-1]["media_id"]
        rows.append({"candidate_id": name, "change": "new", "target_id": target, "media_id": media, "n_moves": None})
        for move in range(1, int(draw.integers(0, 4))):
            moved = {"candidate_id": names[draw.integers(8)], "change": "split", "n_moves": move}
            rows.append(rows[-1] | moved)
    for gone, home in (("c1", "c2"), ("c2", "c5"), ("c6", "c7"), ("c6", "c5")):
        rows.append({"candidate_id": gone, "change": "merged", "merged_into": home})
    order = draw.permutation(len(rows))
    audit.tables["candidates"] = [
        audit.stamp | {"version": 1, "embedding_space": SPACE, "change_reason": "alike"} | rows[place]
        for place in order
    ]
    out = str(audit.write())
    expected = {target: one.candidate_id for target, one in replay(read_candidates(out), {}).members.items()}
    with connect(out) as connection:
        found = dict(connection.sql("SELECT target_id, candidate_id FROM current_candidates").fetchall())
    assert found == expected and len(found) == 40 and "c1" not in found.values()
