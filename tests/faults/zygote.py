"""Runs audits in forked children that can be made to kill themselves at a chosen call.

Reads one JSON order a line, answers with one JSON line. Importing torch takes seconds and is done once.
Order: ``what`` ("audit", or "forget" for `forget_files` below), ``call`` (arguments of it), ``env``, ``log`` (file for
output), ``kill`` (None, or hook, n, when).
Answer: ``status`` (exit status, negative for a signal) and ``calls`` (hook -> number of calls, for a run that ended).
"""

from __future__ import annotations

import functools
import json
import os
import signal
import sys
import threading
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from scd_core.audit.forget.forget import choose_forgotten, forget_chosen
from scd_core.identify.small_cnn import SmallCNN
from scd_core.masks import fit_masks  # noqa: F401 - imported before the fork
from scd_core.media import decode
from scd_core.names import ForgetBy
from scd_core.storage import Storage
from scd_core.tables.store import AuditStore
from tasks import shards
from tests.services.audits import audit

HOOKS: dict[str, tuple[Any, str]] = {
    "fetch": (Storage, "read"),
    "decode": (decode, "open_image"),
    "network": (SmallCNN, "forward"),
    "put": (Storage, "put"),
    "create": (Storage, "create"),
    "link": (os, "link"),
    "replace": (Path, "replace"),
    "shard": (shards, "save_shard"),
    "table": (AuditStore, "write_table"),
    "commit": (AuditStore, "commit"),
    "delete": (Storage, "delete"),
}


_OTHER_TABLES = {"errors": "snapshot", "error_slices": "snapshot", "labels": "import"}
"""Tables whose writing is a hook of its own, though they are written by the same method as a batch's."""


def install(kill: dict[str, Any] | None) -> Counter[str]:
    calls: Counter[str] = Counter()
    lock = threading.Lock()

    def wrap(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def counted(*args: Any, **kwargs: Any) -> Any:
            hook = _OTHER_TABLES.get(args[1], name) if name == "table" else name
            with lock:
                calls[hook] += 1
                is_now = kill is not None and kill["hook"] == hook and kill["n"] == calls[hook]
            if is_now and kill["when"] == "before":
                os.kill(os.getpid(), signal.SIGKILL)
            result = original(*args, **kwargs)
            if is_now:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return counted

    for name, (owner, attribute) in HOOKS.items():
        setattr(owner, attribute, wrap(name, getattr(owner, attribute)))
    return calls


def forget_files(out: str, patterns: list[str]) -> None:
    """Forget the pictures whose files fit."""
    forget_chosen(out, choose_forgotten(out, ForgetBy.FILE, patterns))


def child(order: dict[str, Any], answer: int) -> None:
    log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.environ.update(order["env"])
    status = 0
    calls = install(order["kill"])
    try:
        {"audit": audit, "forget": forget_files}[order["what"]](**order["call"])
    except BaseException:  # noqa: BLE001 - a child ends here, whatever happened
        traceback.print_exc()
        status = 1
    os.write(answer, json.dumps(calls).encode())
    os._exit(status)


def main() -> None:
    orders, answers = os.fdopen(os.dup(0), "r"), os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a child prints must not end up among the answers
    for line in orders:
        order = json.loads(line)
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(reader)
            child(order, writer)
        os.close(writer)
        with os.fdopen(reader) as found:
            calls = json.loads(found.read() or "{}")
        _, status = os.waitpid(pid, 0)
        answers.write(json.dumps({"status": os.waitstatus_to_exitcode(status), "calls": calls}) + "\n")
        answers.flush()


if __name__ == "__main__":
    sys.exit(main())
