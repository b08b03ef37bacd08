"""Ctrl-C and SIGTERM at any moment of a run: one line, the signal's exit code, no process left, and the next run goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from scd_core.audit import read_table
from scd_core.scenes import packaged_model
from scd_core.tables.store import AuditStore

CLEAN = str(packaged_model("clean"))
SLOW = "masks: {steps: 8}\ntriage: {control_rate: 1.0}\n"
LINE = "trapaudit: interrupted; what was finished is kept, run again to go on"


def command(card: Path, out: Path, config: Path) -> list[str]:
    return [
        sys.executable, "-m", "deployments.cli", "run", str(card / "images"), "--model", CLEAN, "--out", str(out),
        "--config", str(config), "--labels", str(card / "labels.csv"),
    ]  # fmt: skip


def group(leader: int) -> list[int]:
    """Processes of a process group that are still there, ended ones left out."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == leader and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return found


def stop(run: subprocess.Popen[str], number: signal.Signals) -> tuple[float, str]:
    """Send a signal to the run's process group, as a terminal does; how long it took to end, and what it printed."""
    began = time.monotonic()
    os.killpg(run.pid, number)
    _, err = run.communicate(timeout=60)
    return time.monotonic() - began, err


@pytest.mark.parametrize(
    ("moment", "number"),
    [
        ("start", signal.SIGINT),
        ("work/*/media", signal.SIGTERM),
        ("work/*/predictions", signal.SIGINT),
        ("work/*/triage", signal.SIGINT),
        ("commits/*.json", signal.SIGTERM),
    ],
)
def test_a_signal_ends_a_run_in_one_line(moment: str, number: signal.Signals, card: Path, tmp_path: Path) -> None:
    (tmp_path / "slow.yaml").write_text(SLOW)
    out = tmp_path / "out"
    run = subprocess.Popen(
        command(card, out, tmp_path / "slow.yaml"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip
    if moment == "start":
        time.sleep(1.0)  # in the midst of its imports
    else:
        end = time.monotonic() + 120
        while not list(out.glob(moment)) and run.poll() is None and time.monotonic() < end:
            time.sleep(0.01)
    seconds, err = stop(run, number)
    assert run.returncode == 128 + number, err
    assert err.strip().splitlines()[-1] == LINE, err
    assert "Traceback" not in err
    assert seconds < 10
    assert group(run.pid) == []
    again = subprocess.run(command(card, out, tmp_path / "slow.yaml"), capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    assert len(AuditStore(str(out)).committed_keys()) == 1
    assert read_table(str(out), "media")["media_id"].is_unique
    assert (out / "report" / "index.html").exists()


def test_a_second_signal_does_not_wait_for_children(tmp_path: Path) -> None:
    """A child that ignores SIGTERM, as a server that shuts down slowly."""
    code = (
        "import subprocess, sys, time\n"
        "from deployments.cli.interrupt import exit_on_signals\n"
        "exit_on_signals()\n"
        "deaf = 'import signal, time; signal.signal(15, signal.SIG_IGN); print(1, flush=True); time.sleep(60)'\n"
        "child = subprocess.Popen([sys.executable, '-c', deaf], stdout=subprocess.PIPE, start_new_session=True)\n"
        "child.stdout.readline()\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    run = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert run.stdout is not None
    child = int(run.stdout.readline())
    began = time.monotonic()
    run.send_signal(signal.SIGINT)
    time.sleep(0.3)
    run.send_signal(signal.SIGINT)
    _, err = run.communicate(timeout=30)
    assert (run.returncode, err.count(LINE)) == (130, 1)
    assert time.monotonic() - began < 2.5
    assert not Path(f"/proc/{child}").exists() or " Z " in Path(f"/proc/{child}/stat").read_text()


def test_a_run_whose_reader_is_gone_ends_too(tmp_path: Path) -> None:
    """`trapaudit ... | tee log` and Ctrl-C: tee dies first, and nobody reads the line."""
    code = (
        "import time\n"
        "from deployments.cli.interrupt import exit_on_signals\n"
        "exit_on_signals()\n"
        "print(1, flush=True)\n"
        "time.sleep(60)\n"
    )
    run = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert run.stdout is not None and run.stderr is not None
    assert run.stdout.readline() == "1\n"
    run.stderr.close()
    run.stdout.close()
    run.send_signal(signal.SIGTERM)
    assert run.wait(30) == 143


def test_a_signal_that_a_shell_had_ignored_stays_ignored() -> None:
    code = (
        "import signal, time\n"
        "signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "from deployments.cli.interrupt import exit_on_signals\n"
        "exit_on_signals()\n"
        "signal.raise_signal(signal.SIGINT)\n"
        "time.sleep(0.5)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
