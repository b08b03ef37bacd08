"""What the page of OUT covers, so that a run notices a page that another run died before drawing."""

from __future__ import annotations

import hashlib
import json

from scd_core.tables.store import AuditStore

__all__ = ["is_report_current", "mark_report", "report_state"]

_MARK = "report/covers.txt"


def report_state(out: str) -> str:
    """Hash over everything that a report of OUT is derived from: the commits and the imports of labels.

    Args:
        out: OUT.

    Raises:
        RunError: OUT cannot be read.
    """
    store = AuditStore(out)
    return _state(store, store.committed_keys())


def _state(store: AuditStore, commits: set[str]) -> str:
    names: list[object] = [sorted(commits), store.committed_files("labels")]
    if number := store.generation().number:
        names.append(number)
    return hashlib.sha256(json.dumps(names).encode()).hexdigest()[:16]


def is_report_current(out: str) -> bool:
    """Whether the page of OUT was drawn from all that is committed; an OUT without commits needs none.

    A run that died between its commit and its report leaves a page that is not; the next run draws it.

    Args:
        out: OUT.

    Raises:
        RunError: OUT cannot be read.
    """
    store = AuditStore(out)
    commits = store.committed_keys()
    return not commits or store.get_file(_MARK) == _state(store, commits).encode()


def mark_report(out: str, state: str) -> None:
    """Write down which state the page covers, after the page was drawn.

    Args:
        out: OUT.
        state: of :func:`report_state`, taken before the tables were derived, so that what came since is not covered.

    Raises:
        RunError: OUT cannot be written.
    """
    AuditStore(out).put_file(_MARK, state.encode())
