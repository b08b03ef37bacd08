"""docs/masks.md and docs/research/masks.md quote the results files, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.docs_page import DOCS
from benchmarks.masks import docs as mask_docs
from benchmarks.masks import memory as mask_memory
from benchmarks.masks.docs import BEGIN, END

ABOUT = {
    "date": "2026-11-24T10:00:00Z", "commit": "abc", "torch": "2", "device": "cpu", "notes": {"time_ratio": "what it is"},
    "machine": {"threads": 1, "cores": 2},
}  # fmt: skip


def test_the_pages_are_as_the_results_have_them() -> None:
    assert mask_docs.main(["--check"]) == 0, "run python -m benchmarks.masks.docs"


@pytest.mark.parametrize(
    ("page", "name"), [("masks.md", "masks-method.png"), ("research/masks.md", "masks-resolution.png")]
)
def test_pictures_are_there_and_small(page: str, name: str) -> None:
    path = DOCS / page
    assert f"({name})" in path.read_text() and 0 < (path.parent / name).stat().st_size < 150_000


def test_a_changed_result_changes_the_pages(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results, pages = tmp_path / "results", [tmp_path / mask_docs.PAGE, tmp_path / mask_docs.RESEARCH]
    results.mkdir()
    pages[1].parent.mkdir()
    for page in pages:
        page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    row = {"method": "default", "data": "scenes", "ap_marks": 0.4321, "images": 66, "class_sensitivity": None}
    content = {"about": ABOUT, "summary": {"time_ratio": 12.345}, "rows": [row]}
    (results / "masks.json").write_text(json.dumps(content))
    removed = {"method": "rise", "road": 0.1234, "default_better": 4}
    notes = {"pictures": "4 animals, 4 cats"}
    substrates = {"about": ABOUT | {"notes": notes}, "summary": {}, "rows": [removed]}
    (results / "mask_substrates.json").write_text(json.dumps(substrates))
    arguments = ["--docs", str(tmp_path), "--results", str(results)]
    assert mask_docs.main([*arguments, "--check"]) == 1 and all("old" in page.read_text() for page in pages)
    assert mask_docs.main(arguments) == 0
    for page in pages:
        text = page.read_text()
        assert text.startswith("before\n") and text.endswith("after\n") and "old" not in text
        assert "class sensitivity" not in text
    text = pages[0].read_text()
    assert "| default | 0.432 |" in text and "4 animals, 4 cats" in text and "| rise | 0.123 | 4 |" in text
    text = pages[1].read_text()
    assert "| default | 66 | 0.432 |" in text and "| time_ratio | 12.3 | what it is |" in text
    assert mask_docs.main([*arguments, "--check"]) == 0
    for page in pages:
        whole = page.read_text()
        page.write_text("no markers")
        assert mask_docs.main(arguments) == 1 and "marker" in capsys.readouterr().err
        page.write_text(whole)


def test_memory_beyond_inputs_and_outputs_is_measured() -> None:
    found = mask_memory.peak_of(3)
    assert found["images"] == 3 and found["outputs_mib"] == pytest.approx(3 * 3 * 120 * 160 * 4 / 2**20)
    assert 0 <= found["peak_mib"] < 200  # 0 where the first fit of one image had left enough memory behind
