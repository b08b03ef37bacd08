"""The relay's counts, and what the last audit was like, as text that Prometheus reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from deployments.relay.core import Count
from deployments.relay.runs import LastRuns

__all__ = ["prometheus_text"]


def prometheus_text(health: Mapping[str, Any], last: LastRuns | None = None) -> str:
    """Counts, what waits, whether Prefect takes events, and the last run's stages, in Prometheus's text format.

    It has no names of buckets, objects or batches, since it is given without a secret.

    Args:
        health: what :meth:`deployments.relay.core.Relay.health` gives.
        last: what was read of the last runs; None leaves them out.

    >>> text = prometheus_text({"waiting": 2, "prefect_failing_seconds": None, "counts": {"events": 5}})
    >>> [line for line in text.splitlines() if line.endswith((" 2", " 5"))]
    ['trapaudit_relay_waiting 2', 'trapaudit_relay_events_total 5']
    """
    failing = health["prefect_failing_seconds"]
    lines = [
        *_gauge("relay_waiting", "Uploads that wait for their event.", health["waiting"]),
        *_gauge(
            "relay_prefect_failing_seconds",
            "Time for which Prefect's server has not taken events; 0: it takes them.",
            0 if failing is None else failing,
        ),
    ]
    for name in Count:  # one that is still 0 too, so that its rate is known from the first on
        metric = f"trapaudit_relay_{name}_total"
        lines += [f"# TYPE {metric} counter", f"{metric} {health['counts'].get(name, 0)}"]
    if last is not None:
        lines += _of_runs(last)
    return "\n".join(lines) + "\n"


def _of_runs(last: LastRuns) -> Iterator[str]:
    """The last run that audited anything, and the last night that ended well; 0: there is none that the server knows."""
    yield from _gauge("run_audited_timestamp_seconds", "When a run last audited pictures.", last.audited_at or 0)
    yield from _gauge("night_completed_timestamp_seconds", "When a night last ended well.", last.night_at or 0)
    yield "# TYPE trapaudit_run_read_failures_total counter"
    yield f"trapaudit_run_read_failures_total {last.failures}"
    for name, text in (("pictures", "Pictures that a stage took."), ("seconds", "Seconds that a stage took.")):
        yield from _head(f"run_stage_{name}", f"{text} The last run that audited any.")
        for stage, totals in last.stages.items():
            yield f'trapaudit_run_stage_{name}{{stage="{stage}"}} {getattr(totals, name)}'
    yield from _head(
        "run_stage_share", "Share of the tasks' time that they waited for something, or worked with the model."
    )
    for stage, totals in last.stages.items():
        for share, value in totals.shares.items():
            yield f'trapaudit_run_stage_share{{stage="{stage}",of="{share}"}} {value}'


def _head(name: str, text: str) -> list[str]:
    return [f"# HELP trapaudit_{name} {text}", f"# TYPE trapaudit_{name} gauge"]


def _gauge(name: str, text: str, value: float) -> list[str]:
    return [*_head(name, text), f"trapaudit_{name} {value}"]
