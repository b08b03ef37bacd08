"""Derive errors and slices of an audit and draw its page, measured: ``python -m benchmarks.scale.derive OUT SCRATCH``.

Prints one JSON object: numbers of rows, seconds with the imports, processor seconds, also of each step, peak memory, the first
slices found.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from types import ModuleType

started = time.perf_counter()

from benchmarks.memory import peak_mib  # noqa: E402 - imports are part of what is measured
from scd_core.audit.report import refresh, write  # noqa: E402
from scd_core.config import AuditConfig  # noqa: E402

STEPS = (
    (refresh, ("derive_errors", "known_exposures", "keep_facts", "find_slices")),
    (write, ("gather", "keep_queues", "render")),
)
"""Functions that a module calls, which take most of the time."""


def cpu_seconds() -> float:
    """Processor time of this process so far, of all its threads."""
    return sum(resource.getrusage(resource.RUSAGE_SELF)[:2])


def measure_step(module: ModuleType, name: str, steps: dict[str, float]) -> None:
    """Let a module call a function that adds what it takes to `steps`."""
    step = getattr(module, name)

    def measured(*arguments: object, **more: object) -> object:
        before = cpu_seconds()
        try:
            return step(*arguments, **more)
        finally:
            steps[name] = steps.get(name, 0.0) + cpu_seconds() - before

    setattr(module, name, measured)


def main() -> None:
    """Derive, draw, print."""
    config, steps = AuditConfig(), {"imports": cpu_seconds()}
    for module, names in STEPS:
        for name in names:
            measure_step(module, name, steps)
    errors, slices, _ = refresh.refresh_report_tables(sys.argv[1], config, threads=2, scratch=sys.argv[2])
    derived = time.perf_counter() - started
    found = [row["sentence"] for row in slices.to_pylist() if row["is_systematic"] and row["folded_into"] is None]
    counts = {"errors": len(errors), "slices": len(slices)}
    del errors, slices
    write.write_report(sys.argv[1], config)
    measured = {
        "seconds_derive": derived,
        "seconds": time.perf_counter() - started,
        "cpu_seconds": cpu_seconds(),
        "steps": {name: round(seconds, 2) for name, seconds in steps.items()},
        "peak_gb": peak_mib() / 1024,
        "found": found[:3],
    }
    print(json.dumps(counts | measured))


if __name__ == "__main__":
    main()
