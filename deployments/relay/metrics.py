"""The relay's counts as text that Prometheus reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["prometheus_text"]


def prometheus_text(health: Mapping[str, Any]) -> str:
    """Counts, what waits, and whether Prefect takes events, in Prometheus's text format; no names of buckets or objects.

    Args:
        health: what :meth:`deployments.relay.core.Relay.health` gives.

    >>> print(prometheus_text({"waiting": 2, "prefect_failing_seconds": None, "counts": {"events": 5}}).splitlines()[-1])
    trapaudit_relay_events_total 5
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
    for name, count in sorted(health["counts"].items()):
        metric = f"trapaudit_relay_{name}_total"
        lines += [f"# TYPE {metric} counter", f"{metric} {count}"]
    return "\n".join(lines) + "\n"
