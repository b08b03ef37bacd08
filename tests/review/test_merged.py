"""Candidates that were merged wait as one group, at any remove."""

from __future__ import annotations

from datetime import timedelta

from scd_core.audit.report.refresh import refresh_report_tables
from tests.audit.audit_builder import START, AuditBuilder
from tests.review.audit import client


def test_a_merged_candidate_is_the_one_that_it_was_merged_into(tmp_path):
    audit = AuditBuilder(tmp_path / "out", individuals=["Luna", "Nyx"])
    for place, candidate in enumerate(["one", "one", "two", "two", "three", "three", "four", "four"]):
        at = START + timedelta(days=place)
        audit.predict(f"{candidate}/{place}.jpg", "unknown", at=at, candidate_id=candidate, review_rank=1)
    audit.tables["candidates"] = [
        audit.stamp
        | {"candidate_id": gone, "version": 2, "change": "merged", "change_reason": "alike", "merged_into": home}
        | {"embedding_space": "a" * 16}
        for gone, home in (("three", "two"), ("two", "one"))
    ]
    out = str(audit.write())
    refresh_report_tables(out)
    found = client(out).get("/api/next", params={"queue": "candidates", "n": 100}).json()
    groups = {}
    for one in found:
        groups.setdefault(one["group"], set()).add(one["target_id"].removeprefix("id-").split("/")[0])
    assert groups == {"one": {"one", "two", "three"}, "four": {"four"}}
    # The group is shown whole, whichever of its pictures is opened.
    one = next(one for one in found if one["target_id"].startswith("id-three"))
    shown = client(out).get("/page/screen", params={"queue": "candidates", "target": one["target_id"]}).json()
    assert shown["kind"] == "group" and len(shown["members"]) == 6
