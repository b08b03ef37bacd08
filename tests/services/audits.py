"""An audit in this process, on a thread pool, without bars."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flows.audit import AuditResult, run_audit
from flows.threads_runner import ThreadsRunner
from scd_core.config import AuditConfig
from scd_core.job import prepare_job
from scd_core.request import AuditRequest


class Silent:
    """Progress that shows nothing."""

    @contextmanager
    def stage(self, stage: str, total: int) -> Iterator[Callable[[int], None]]:
        yield lambda images: None

    def note(self, text: str) -> None:
        pass


def request_of(source: Any, model: Any, out: Any, settings: dict[str, Any] | None = None, **given: Any) -> AuditRequest:
    """A request with settings as the sections of a file."""
    return AuditRequest(
        source=str(source),
        model=None if model is None else str(model),
        out=str(out),
        settings=AuditConfig.from_mapping(settings, "test"),
        **given,
    )


def audit(source: Any, model: Any, out: Any, settings: dict[str, Any] | None = None, **given: Any) -> AuditResult:
    """Run an audit."""
    return run_audit(prepare_job(request_of(source, model, out, settings, **given)), ThreadsRunner(Silent()))


def given_names(card: Path, path: Path) -> Path:
    """A table of names of a card's pictures, none of which is sure, one of somebody whom no model knows."""
    with (card / "labels.csv").open() as file:
        rows = [(row["file"], row["individual_id"], "0.4") for row in csv.DictReader(file)]
    rows[0] = (rows[0][0], "Bigfoot", "0.4")
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("file", "individual_id", "probability"), *rows])
    return path
