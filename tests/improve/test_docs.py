"""A reader can follow docs/improve.md: its commands on a small audit, in its order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.docs.commands import ROOT, shown
from tests.improve import world

SETTINGS = r"media: {filename_pattern: '(?P<captured_at>\d{8}_\d{4})_.*'}" + "\ntriage: {budget: 0, control_rate: 0}\n"


def test_a_reader_can_follow_the_page(
    trapaudit: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unlabelled = [replace(one, label="", visit=one.visit + 500) for one in world.plain(20, seed=3)]
    world.build(tmp_path, [*world.plain(60), *unlabelled])
    (tmp_path / "out").rename(tmp_path / "made_without_a_run")
    world.pack(tmp_path)
    box = ",".join(map(str, world.BOX))
    files = sorted(str(path.relative_to(tmp_path / "cards")) for path in (tmp_path / "cards").rglob("*.png"))
    lines = [f"{file},animal,0.9,{box}" for file in files]
    (tmp_path / "boxes.csv").write_text("\n".join(["file,category,confidence,x_min,y_min,width,height", *lines]) + "\n")
    (tmp_path / "crops.yaml").write_text(SETTINGS)
    (tmp_path / "whole.yaml").write_text(SETTINGS + "classify: {box_use: locate}\n")
    monkeypatch.chdir(tmp_path)
    done = []
    for command in shown("improve.md", (ROOT / "docs/improve.md").read_text()):
        if not command.is_whole or command.words[0] != "trapaudit":
            continue
        outcome = trapaudit(*command.words[1:])
        assert outcome.code == 0, f"{command}\n{outcome.err}"
        done.append(outcome)
    assert len(done) == 10
    assert "recommended: " in done[1].err and "written: better" in done[2].err
    assert (tmp_path / "better/model.json").is_file() and (tmp_path / "DIR/README.md").is_file()
    assert "60" in done[5].out and (tmp_path / "next.csv").is_file()
