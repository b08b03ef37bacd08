"""The warning before a new name: labelled pictures that are as near as those of one individual usually are, and none else."""

from __future__ import annotations

import numpy as np
import pytest

from deployments.review.near import near_ones
from scd_core.audit.report.refresh import refresh_report_tables
from scd_core.audit.review.likeness import Near, usual_likeness
from scd_core.audit.review.session import ReviewSession
from scd_core.identify.embeddings import unit_rows
from tests.audit.audit_builder import AuditBuilder, label

NAMES = ["Luna", "Nyx"]
AXES = {"Luna": [1.0, 0.1, 0.0], "Nyx": [0.0, 0.1, 1.0], "stranger": [0.0, 1.0, 0.0]}


def audit_of(folder, space="a" * 16):
    """Twelve labelled pictures of each of two individuals, and one picture each of Luna and of a stranger that no one named."""
    audit = AuditBuilder(folder / "out", individuals=NAMES)
    noise = np.random.default_rng(3)
    truths = {}

    def add(file, who):
        audit.predict(file, "Nyx", 0.9, runner_up=("Luna", 0.05))
        row = audit.tables["predictions"][-1]
        features = (np.array(AXES[who]) + noise.normal(0, 0.03, 3)).astype(np.float16).tolist()
        names = ("batch_key", "run_id", "model_digest", "target_id", "media_id", "detection_id")
        stamp = {name: row.get(name) for name in names}
        audit.tables.setdefault("embeddings", []).append(stamp | {"embedding_space": space, "features": features})

    for number in range(12):
        for who in NAMES:
            add(f"{who}/{number:02}.jpg", who)
            truths[f"{who}/{number:02}.jpg"] = who
    add("new/luna.jpg", "Luna")
    add("new/stranger.jpg", "stranger")
    again = [f"new/again-{number}.jpg" for number in range(10)]
    for file in again:
        add(file, "stranger")
    for candidate, file in (*(("candidate-1", one) for one in again), ("candidate-2", "Nyx/00.jpg")):
        row = next(one for one in audit.tables["embeddings"] if one["media_id"] == f"id-{file}")
        audit.tables.setdefault("candidates", []).append(
            {name: row.get(name) for name in ("batch_key", "run_id", "model_digest", "target_id", "media_id")}
            | {"candidate_id": candidate, "version": 1, "change": "new", "embedding_space": space}
            | {"embedding": unit_rows(np.array([row["features"]]))[0].tolist()}
        )
    out = str(audit.write())
    label(out, folder, truths)
    refresh_report_tables(out)
    return ReviewSession(out)


@pytest.mark.parametrize(("file", "expected"), [("new/luna.jpg", {"Luna"}), ("new/stranger.jpg", set())])
def test_a_known_individual_is_offered_where_the_picture_is_near_and_else_none(tmp_path, file, expected):
    session = audit_of(tmp_path)
    row = session.target(f"id-{file}")
    assert set(session.likeness.near(row).individuals) == expected
    words = {one["individual_id"]: one["words"] for one in near_ones(session, row, "") if "individual_id" in one}
    assert {name for name in words if "labelled picture" in words[name]} == expected


@pytest.mark.parametrize(("file", "expected"), [("new/luna.jpg", []), ("new/stranger.jpg", ["candidate-1"])])
def test_a_possible_new_individual_is_offered_where_its_picture_is_near(tmp_path, file, expected):
    session = audit_of(tmp_path)
    found = [one for one in near_ones(session, session.target(f"id-{file}"), "") if "candidate_id" in one]
    assert [one["candidate_id"] for one in found] == expected
    assert all(one["picture"]["alt"].startswith("candidate-1, ") for one in found)


def test_without_embeddings_nothing_is_said(out):
    session = ReviewSession(out)
    assert session.likeness.near(session.target("id-C00/000.jpg")) == Near()


def test_the_usual_likeness_needs_pairs_of_other_events():
    unit = np.eye(12, dtype=np.float32)[[0] * 12]
    names = np.array(["Luna"] * 12)
    assert usual_likeness(unit, names, [str(one) for one in range(12)]) == pytest.approx(1)
    assert usual_likeness(unit, names, ["same"] * 12) is None
    assert usual_likeness(unit[:9], names[:9], [str(one) for one in range(9)]) is None
