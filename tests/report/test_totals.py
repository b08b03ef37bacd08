"""The command's line and the page show the same totals, and they are those of the current predictions."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from deployments.cli.run import say
from scd_core.audit.report.refresh import refresh_report_tables
from scd_core.config import AuditConfig
from tasks.report import draw_report
from tests.report.world import build_world, commit_world, planted_frames


def test_a_second_audit_with_another_config_counts_no_label_twice(tmp_path: Path) -> None:
    """Issue 14: after two audits of one SOURCE the command said "52 labelled: 10 wrong", the page 26."""
    frames = planted_frames(n_events=40, label_share=1)
    world = build_world(tmp_path, frames, broken=False, has_pictures=False, reports=0)
    other = AuditConfig.model_validate({"triage": {"min_probability": 0.9}})
    assert other.digest != world.config.digest
    commit_world(replace(world, config=other), run="run-2", hour=3)
    errors, _, _ = refresh_report_tables(world.out, other, now=datetime(2026, 6, 1, tzinfo=UTC))
    assert errors.num_rows >= 2 * len(frames), "both audits are in the tables"

    summary = draw_report.fn(world.out, other)
    stream = io.StringIO()
    say(Console(file=stream, width=200), {"batches": [], "n_objects": 0, "n_waiting": 0, "report": summary})
    line = re.search(r"(\d+) labelled: (\d+) wrong, (\d+) corrected by masks, (\d+) made worse", stream.getvalue())
    assert line is not None
    page = (Path(world.out) / "report" / "index.html").read_text("utf-8")
    tiles = [
        re.search(rf"<dt>{name}</dt><dd>(\d+)<", page)
        for name in ("labelled", "wrong", "corrected by masks", "made worse")
    ]
    assert list(line.groups()) == [tile.group(1) for tile in tiles if tile]
    wrong = sum(frame.called != frame.true for frame in frames)
    recovered = sum(frame.called != frame.true and frame.final == frame.true for frame in frames)
    assert [int(number) for number in line.groups()] == [len(frames), wrong, recovered, 0]


def test_the_systematic_errors_of_the_line_are_those_of_the_page(tmp_path: Path) -> None:
    world = build_world(tmp_path, broken=False, has_pictures=False)
    summary = draw_report.fn(world.out, world.config)
    page = (Path(world.out) / "report" / "index.html").read_text("utf-8")
    assert summary["n_systematic"] == page.count("<article") > 0
    assert f"<b>{summary['n_systematic']} systematic error" in page
