"""The relay's counts as text that Prometheus reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deployments.relay.core import Count

__all__ = ["prometheus_text"]


def prometheus_text(health: Mapping[str, Any]) -> str:
    """Counts, what waits, and whether Prefect takes events, in Prometheus's text format; no names of buckets or objects.

    Args:
        health: what :meth:`deployments.relay.core.Relay.health` gives.

    >>> text = prometheus_text({"waiting": 2, "prefect_failing_seconds": None, "counts": {"events": 5}})
    >>> [line for line in text.splitlines() if line.endswith((" 2", " 5"))]
    ['trapaudit_relay_waiting 2', 'trapaudit_relay_events_total 5']
    """
    failing = health["prefect_failing_seconds"]
    lines = [
        "# HELP trapaudit_relay_waiting Uploads that wait for their event.",
        "# TYPE trapaudit_relay_waiting gauge",
        f"trapaudit_relay_waiting {health['waiting']}",
        "# HELP trapaudit_relay_prefect_failing_seconds Time for which Prefect's server has not taken events; 0: it takes them.",
        "# TYPE trapaudit_relay_prefect_failing_seconds gauge",
        f"trapaudit_relay_prefect_failing_seconds {0 if failing is None else failing}",
    ]
    for name in Count:  # one that is still 0 too, so that its rate is known from the first on
        metric = f"trapaudit_relay_{name}_total"
        lines += [f"# TYPE {metric} counter", f"{metric} {health['counts'].get(name, 0)}"]
    return "\n".join(lines) + "\n"
