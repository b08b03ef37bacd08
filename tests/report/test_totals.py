"""The command's line and the page show the same totals, and they are those of the current predictions."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from deployments.cli.run import run_report_command
from scd_core.audit import read_table
from scd_core.config import AuditConfig
from tests.report.world import World, build_world, commit_world, planted_frames


def line_and_page(world: World) -> tuple[str, str]:
    """What `trapaudit report` prints, and the page that it writes."""
    stream = io.StringIO()
    config = Path(world.out).parent / "audit.yaml"
    config.write_text("reclassify: {max_broken: 0.9, certain: 0.5}\n")
    run_report_command(Console(file=stream, width=200), world.out, str(config))
    return stream.getvalue(), (Path(world.out) / "report" / "index.html").read_text("utf-8")


def test_a_second_audit_with_another_config_counts_no_label_twice(tmp_path: Path) -> None:
    """Issue 14: after two audits of one SOURCE the command said "52 labelled: 10 wrong", the page 26."""
    frames = planted_frames(n_events=40, label_share=1)
    world = build_world(tmp_path, frames, broken=False, has_pictures=False, reports=0)
    other = AuditConfig.model_validate({"triage": {"min_probability": 0.9}})
    assert other.digest != world.config.digest
    commit_world(replace(world, config=other), run="run-2", hour=3)
    printed, page = line_and_page(world)
    assert len(read_table(world.out, "errors")) == 2 * len(frames), "both audits are in the tables"
    line = re.search(r"(\d+) labelled: (\d+) wrong, (\d+) corrected by masks, (\d+) made worse", printed)
    assert line is not None
    names = ("labelled", "wrong", "corrected by masks", "made worse")
    tiles = [found for name in names for found in re.findall(rf"<dt>{name}</dt><dd>(\d+)<", page)]
    wrong = sum(frame.called != frame.true for frame in frames)
    recovered = sum(frame.called != frame.true and frame.final == frame.true for frame in frames)
    assert list(line.groups()) == tiles == [str(number) for number in (len(frames), wrong, recovered, 0)]


def test_the_systematic_errors_of_the_line_are_those_of_the_page(tmp_path: Path) -> None:
    printed, page = line_and_page(build_world(tmp_path, broken=False, has_pictures=False))
    (n_systematic,) = re.findall(r"(\d+) systematic errors?\n", printed)
    assert int(n_systematic) == page.count("<article") > 0
    assert f"<b>{n_systematic} systematic error" in page
