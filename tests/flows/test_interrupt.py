"""Ctrl-C and SIGTERM at any moment of a run: one line, the signal's exit code, no process left, and the next run goes on."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from scd_core.audit import read_table
from scd_core.scenes import packaged_model
from scd_core.tables.store import AuditStore
from tests.services.wait import is_running, until

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
        if int(fields[2]) == leader and is_running(int(stat.parent.name)):
            found.append(int(stat.parent.name))
    return found


def heeds_sigterm(pid: int) -> bool:
    """Whether a process has a handler for SIGTERM; Python itself has none."""
    (caught,) = re.findall(r"^SigCgt:\s*(\w+)$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return bool(int(caught, 16) >> (signal.SIGTERM - 1) & 1)


def interrupted(moment: str, number: signal.Signals, run: subprocess.Popen[str], out: Path) -> tuple[bool, str]:
    """Send a signal to a run at a moment, as a terminal does: to its whole group.

    Returns:
        Whether the signal ended it, before it had done what comes after that moment; what it printed as errors.
    """
    if moment == "start":
        until(lambda: heeds_sigterm(run.pid), 120, "handler of signals", pause=0.001)  # then it imports for a while
    else:
        until(lambda: list(out.glob(moment)) or run.poll() is not None, 240, moment, pause=0.005)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(run.pid, number)
    _, err = run.communicate(timeout=240)
    until(lambda: not group(run.pid), 60, lambda: f"end of {group(run.pid)}")
    is_done = run.returncode == 0 or (moment.startswith("work") and list(out.glob("commits/*.json")))
    return not is_done, err


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
    for attempt in range(5):  # on a busy machine a run may be done before this process sees where it is
        out = tmp_path / f"out-{attempt}"
        run = subprocess.Popen(
            command(card, out, tmp_path / "slow.yaml"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            start_new_session=True,
        )  # fmt: skip
        was_ended, err = interrupted(moment, number, run, out)
        if was_ended:
            break
    assert was_ended, "the signal is never heeded before the run is done"
    assert run.returncode == 128 + number, err
    assert err.strip().splitlines()[-1] == LINE, err
    assert "Traceback" not in err
    again = subprocess.run(command(card, out, tmp_path / "slow.yaml"), capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    assert len(AuditStore(str(out)).committed_keys()) == 1
    assert read_table(str(out), "media")["media_id"].is_unique
    assert (out / "report" / "index.html").exists()


def started(code: str) -> subprocess.Popen[str]:
    """A program of its own, with pipes for what it prints."""
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_a_second_signal_does_not_wait_for_children(tmp_path: Path) -> None:
    """A child that ignores SIGTERM, as a server that shuts down slowly; here it would get ten minutes."""
    code = (
        "import subprocess, sys, time\n"
        "from deployments.cli import interrupt\n"
        "interrupt._CHILD_SECONDS = 600.0\n"
        "interrupt.exit_on_signals()\n"
        "deaf = 'import signal, time; signal.signal(15, signal.SIG_IGN); print(1, flush=True); time.sleep(900)'\n"
        "child = subprocess.Popen([sys.executable, '-c', deaf], stdout=subprocess.PIPE, start_new_session=True)\n"
        "child.stdout.readline()\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(900)\n"
    )
    run = started(code)
    assert run.stdout is not None and run.stderr is not None
    child = int(run.stdout.readline())
    try:
        run.send_signal(signal.SIGINT)
        assert run.stderr.readline().strip() == LINE
        assert run.poll() is None and is_running(child), "the first signal waits for the child"
        run.send_signal(signal.SIGINT)
        _, err = run.communicate(timeout=120)
        assert (run.returncode, err) == (130, "")
        until(lambda: not is_running(child), 60, "end of the child that was killed")
    finally:
        run.kill()
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)


def test_a_run_whose_reader_is_gone_ends_too(tmp_path: Path) -> None:
    """`trapaudit ... | tee log` and Ctrl-C: tee dies first, and nobody reads the line."""
    code = (
        "import time\n"
        "from deployments.cli.interrupt import exit_on_signals\n"
        "exit_on_signals()\n"
        "print(1, flush=True)\n"
        "time.sleep(60)\n"
    )
    run = started(code)
    assert run.stdout is not None and run.stderr is not None
    assert run.stdout.readline() == "1\n"
    run.stderr.close()
    run.stdout.close()
    run.send_signal(signal.SIGTERM)
    assert run.wait(120) == 143


@pytest.mark.parametrize(
    ("printed", "expected"), [("ingest 3/9", f"ingest 3/9\n{LINE}\n"), ("done\n", f"done\n{LINE}\n")]
)
def test_the_line_stands_alone_whatever_was_printed_before(printed: str, expected: str) -> None:
    """A bar of progress ends its line a moment after it is drawn."""
    code = (
        "import sys, time\n"
        "from deployments.cli.interrupt import exit_on_signals\n"
        "exit_on_signals()\n"
        f"print({printed!r}, end='', file=sys.stderr, flush=True)\n"
        "print(1, flush=True)\n"
        "time.sleep(60)\n"
    )
    run = started(code)
    assert run.stdout is not None
    assert run.stdout.readline() == "1\n"
    run.send_signal(signal.SIGINT)
    _, err = run.communicate(timeout=120)
    assert (run.returncode, err) == (130, expected)


def test_a_signal_that_a_shell_had_ignored_stays_ignored() -> None:
    """Signals are taken in their order: the exit code is that of the second one."""
    code = (
        "import signal, time\n"
        "signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "from deployments.cli.interrupt import exit_on_signals\n"
        "exit_on_signals()\n"
        "signal.raise_signal(signal.SIGINT)\n"
        "signal.raise_signal(signal.SIGTERM)\n"
        "time.sleep(60)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, stderr=subprocess.DEVNULL).returncode == 143
