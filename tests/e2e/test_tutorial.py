"""docs/tutorial.md, command by command, as somebody with own pictures and an own model would."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torchvision

from scd_core.audit import read_table
from scd_core.scenes import write_scenes
from tests.services.ports import free_port
from tests.services.processes import Services, heed_interrupts
from tests.services.wait import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]
TEXT = (Path(__file__).resolve().parents[2] / "docs" / "tutorial.md").read_text()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What the tutorial's reader has: pictures, names given by people, weights and their names."""
    write_scenes(str(tmp_path / "scenes"), world="demo", n_events=12, seed=77, split="audit")
    (tmp_path / "scenes" / "images").rename(tmp_path / "my-images")
    (tmp_path / "scenes" / "labels.csv").rename(tmp_path / "labels.csv")
    names = ["Luna", "Nyx", "Tara", "Kiro", "Sana", "Bruno", "Orla", "Odin"]
    (tmp_path / "names.txt").write_text("\n".join(names) + "\n")
    torch.manual_seed(7)
    network = torchvision.models.shufflenet_v2_x0_5(num_classes=len(names))
    torch.save(network.state_dict(), tmp_path / "best.pth")
    return tmp_path


def test_every_command_of_the_tutorial(folder: Path) -> None:
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
    blocks = [text for language, text in fenced if not language]
    assert len(blocks) >= 8
    port = free_port()
    activate = f". {Path(sys.executable).parent / 'activate'}\n"
    assert blocks[0] == ". .venv/bin/activate\n"
    script = "set -em\n" + activate + "\n".join(blocks[1:])
    assert "prefect server start" in script
    script = script.replace("127.0.0.1:4200", f"127.0.0.1:{port}")
    script = script.replace("prefect server start", f"prefect server start --port {port}")
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "TRAPAUDIT_"))}
    review = "trapaudit review my-audit\n"
    assert script.count(review) == 1
    opened = (  # ended as Ctrl-C ends it, once it prints its address
        "trapaudit review my-audit --no-browser > review.log &\n"
        "until grep -q http://127.0.0.1 review.log; do sleep 0.2; done\nkill -INT $!\nwait $!\n"
    )
    script = script.replace(review, opened)
    services = Services(folder, env | {"PREFECT_HOME": str(folder / "home"), "DO_NOT_TRACK": "1"})
    try:
        done = subprocess.run(
            ["bash", "-c", script], cwd=folder, env=services.env, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, check=False, timeout=3000, preexec_fn=heed_interrupts,
        )  # fmt: skip
        with contextlib.suppress(AssertionError):  # what was killed last may end a moment later
            until(lambda: not services.left(), 120, "end of what the tutorial started")
    finally:
        left = services.kill_all()
    said = done.stdout + done.stderr
    assert done.returncode == 0, said[-3000:]
    assert left == [], "the tutorial's last commands leave something running"
    assert "WRONG" not in said
    assert "nothing to do" in said or "0 new in 0 batches" in said or "Completed" in said
    media = read_table(str(folder / "my-audit"), "media")
    assert set(media["status"]) == {"ok"}
    assert len(media) == len(list((folder / "my-images").rglob("*.JPG")))
    assert (folder / "my-audit" / "report" / "index.html").is_file()
