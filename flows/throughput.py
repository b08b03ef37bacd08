"""How fast the stages of a run were, and what their tasks waited for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from scd_core.names import Stage

__all__ = ["ARTIFACT", "SHARES", "throughput_rows"]

ARTIFACT = "audit-throughput"
"""Key of the Prefect artifact that has these rows of the last run."""

SHARES = {"waits_for_storage": "storage", "with_model": "model", "waits_for_gpu": "slot"}
"""Share of the tasks' time, as the view `throughput` names it -> how a commit names it."""


def throughput_rows(commits: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """How fast each stage of some batches was: pictures that it took, seconds, and pictures a second.

    Of the time of its tasks also the shares that they waited for the storage, worked with the model, and waited for a place on
    the GPU; None where they are not known.

    Args:
        commits: contents of commits; one of an earlier version has no times, and no rows here.
    """
    counted = {Stage.INGEST: "n_media", Stage.CLASSIFY: "n_ok", Stage.TRIAGE: "n_predictions"}
    rows = []
    for commit in commits:
        times = commit.get("seconds", {})
        for stage, seconds in times.items():
            if ":" in stage:
                continue
            n = commit["counts"][counted.get(stage, "n_masks")]
            speed = round(n / seconds, 2) if seconds else None
            batch = {"batch": commit["batch_key"], "stage": stage}
            rows.append(batch | {"pictures": n, "seconds": round(seconds, 1), "pictures_per_second": speed})
            of_tasks = times.get(f"{stage}:task")
            for column, name in SHARES.items():
                rows[-1][column] = round(times[f"{stage}:{name}"] / of_tasks, 3) if of_tasks else None
    return rows
