"""docs/reclassify.md and docs/research/reclassify.md quote the results files, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.reclassify import docs as reclassify_docs
from benchmarks.reclassify.docs import BEGIN, END

ABOUT = {
    "date": "2026-11-24T10:00:00Z", "commit": "abc", "torch": "2", "device": "cpu", "notes": {"jaguar": "ten frames"},
    "machine": {"threads": 1, "cores": 2},
}  # fmt: skip


def test_the_pages_are_as_the_results_have_them() -> None:
    assert reclassify_docs.main(["--check"]) == 0, "run python -m benchmarks.reclassify.docs"


def test_a_changed_result_changes_the_pages(tmp_path: Path) -> None:
    results, pages = tmp_path / "results", [tmp_path / reclassify_docs.PAGE, tmp_path / reclassify_docs.RESEARCH]
    results.mkdir()
    pages[1].parent.mkdir()
    for page in pages:
        page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    row = {"pictures": "jaguar", "strategy": "fused", "n_errors": 7, "recovered": 4, "n_right": 3, "broken": 1}
    content = {"about": ABOUT, "summary": {"recovered_rate": 0.8125, "broken_rate": None}, "rows": [row]}
    (results / "reclassify.json").write_text(json.dumps(content))
    row = {"pool": "gap", "trained": "early", "shown": "early", "n": 99, "accuracy_known": 0.9, "accuracy_new": 0.85}
    (results / "reclassify_vit.json").write_text(json.dumps({"about": ABOUT, "summary": {}, "rows": [row]}))
    place = {"kind": "place", "home_suggested_right": 3, "home_errors": 10, "suggested_right": 4, "suggested": 5}
    place |= {"right": 100, "home_right": 80, "home_right_suggested": 0, "sure": 0.95}
    real = [place | {"right_suggested": 1}, place | {"right_suggested": 0}]
    real += [place | {"sure": 0.8, "suggested": 9, "right_suggested": 2}]
    (results / "real_places.json").write_text(json.dumps({"about": ABOUT, "summary": {}, "rows": real}))
    arguments = ["--docs", str(tmp_path), "--results", str(results)]
    assert reclassify_docs.main([*arguments, "--check"]) == 1
    assert reclassify_docs.main(arguments) == 0
    assert "| jaguars, no boxes | 4 of 7; 1 of 3 | - | - |" in pages[0].read_text()
    # Wilson's interval of 6 of 20 at 95 %, by hand: (.3 + z2/40 +- z sqrt(.3 .7 / 20 + z2/1600)) / (1 + z2/20)
    assert (
        "| each has a place of its own | 6 of 20 (0.15 to 0.52) | 8 of 10 (0.49 to 0.94) | 1 of 200"
        in pages[0].read_text()
    )
    assert "| 0 of 160 (0.00 to 0.02) |" in pages[0].read_text()
    text = pages[1].read_text()
    assert "| **decision** | 4 of 7 | 1 of 3 |" in text
    assert "| recovered_rate | 0.812 |" in text and "broken_rate" not in text
    assert "| gap | early | early | 99 | 0.9 | 0.85 |" in text
    assert "| place | 0.8 | 3 of 10 (0.11 to 0.60) | 4 of 9 (0.19 to 0.73) | 2 of 100" in text
    assert "| place | 0.95 | 6 of 20 (0.15 to 0.52) | 8 of 10 (0.49 to 0.94) | 1 of 200" in text
    assert "Jaguar: ten frames." in text
    assert reclassify_docs.main([*arguments, "--check"]) == 0
