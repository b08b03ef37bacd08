"""docs/audit.md quotes the results files of the audit's benchmarks, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.audit import docs
from benchmarks.audit.docs import BEGIN, END, PAGE

ABOUT = {
    "date": "2026-11-28T10:00:00Z", "commit": "abc", "torch": "2", "device": "cpu", "notes": {},
    "machine": {"threads": 1, "cores": 2},
}  # fmt: skip


def test_the_page_is_as_the_results_have_it() -> None:
    assert docs.main(["--check"]) == 0, "run python -m benchmarks.audit.docs"


def test_a_changed_result_changes_the_page(tmp_path: Path) -> None:
    results, page = tmp_path / "results", tmp_path / PAGE
    results.mkdir()
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    cell = {"regime": "flagged", "planted": "yes", "n_worlds": 24, "findable": 0.8, "reported": 7.0, "coverage": 0.95}
    cell |= {"recall": 0.5, "recall_low": 0.4, "recall_high": 0.6, "recall_with_cause": 0.25, "recall_findable": 0.75}
    cell |= {"false": 0.125, "bias": None, "printed": 0.0, "seconds": 2.0}
    rows = [cell | {"method": "audit"}, cell | {"method": "group_by", "recall": 0.625}]
    rows.append({"regime": "everything", "planted": "no", "method": "audit", "reported": 1.0, "false": 0.0})
    (results / "audit.json").write_text(json.dumps({"about": ABOUT, "rows": rows}))
    (results / "audit_before.json").write_text(json.dumps({"rows": [{"regime": "flagged", "recall": 0.25}]}))
    night = {
        "labels": "list",
        "found_by": "audit",
        "n_found": 3,
        "n_planted": 4,
        "recall": 0.75,
        "false": 0.0,
        "bias": 0.01,
    }
    (results / "audit_nights.json").write_text(json.dumps({"about": ABOUT, "rows": [night]}))
    arguments = ["--docs", str(tmp_path), "--results", str(results)]
    assert docs.main([*arguments, "--check"]) == 1
    assert docs.main(arguments) == 0
    text = page.read_text()
    assert (
        "| all flagged, nothing else | 24 | 0.50 (0.40 to 0.60) | 0.25 | 0.75 (0.80) | 0.12 | no rate printed | 0.95 "
        "| 0.25; -; - |" in text
    )
    assert "| all flagged, nothing else | 0.50; 0.12 of 7 | 0.62; 0.12 of 7 |" in text
    assert "| everything | 1.00; 0.00 |" in text
    assert "| the program's list | the audit | 3 of 4 | 0.75 | 0.00 | 0.010 |" in text
    assert docs.main([*arguments, "--check"]) == 0
